"""A fault that somebody injects by clicking is found, acknowledged, mended and over: all of it at the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.browser.chromium import Page


def test_a_fault_is_injected_found_acknowledged_and_cleared(page: Page, engine: str) -> None:
    """As who looks at a demo does it, from the lab's button to the incident's last word."""
    page.open("#/lab")
    page.choose("[name=engine]", engine)
    page.press("button.chip", "misfire")
    page.see(f"button[aria-label$='{engine}']", "Mend")

    page.press("nav a", "Fleet")
    page.see(".asset-card[data-tone=critical], .asset-card[data-tone=warning]", engine)
    page.picture("a-fleet-with-incidents")
    page.press(".asset-card a", engine)
    page.see(".wrong")
    page.see(".js-plotly-plot .main-svg")
    page.picture("an-engine-that-misfires")

    page.press(".wrong a", "Everything of it")
    page.press("button", "Acknowledge")
    page.write("dialog [name=who]", "Ada")
    page.write("dialog [name=why]", "on my way")
    page.press("dialog button", "Acknowledge")
    page.see(".life li", "by Ada")
    page.see(".life li", "on my way")

    page.press("nav a", "Lab")
    page.press(f"button[aria-label$='{engine}']", "Mend")
    page.press("nav a", "Incidents")
    page.until(lambda: page.find("section[aria-labelledby=past-title] tr", engine))
    page.find("section[aria-labelledby=past-title] tr", engine)[0].find_element("css selector", ".what a").click()
    page.see(".life li", "cleared")
    page.see(".life li", "by Ada")
    page.picture("an-incident-that-is-over")
