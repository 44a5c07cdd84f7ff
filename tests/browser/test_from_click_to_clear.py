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
    assert keeps_the_focus(page, ".wrong button", ".wrong .since")

    page.press(".wrong a", "Everything of it")
    assert keeps_the_focus(page, ".view-incident button.primary", ".figures .figure:nth-child(2)")
    page.press("button", "Acknowledge")
    page.write("dialog [name=who]", "Ada")
    page.write("dialog [name=why]", "on my way")
    page.press("dialog button", "Acknowledge")
    page.see(".life li", "by Ada")
    page.see(".life li", "on my way")

    page.press("nav a", "Lab")
    page.press(f"button[aria-label$='{engine}']", "Mend")
    page.until(lambda: not page.find(f"button[aria-label$='{engine}']", "Mend"), "it is mended")
    page.press("nav a", "Incidents")
    page.until(lambda: page.find("section[aria-labelledby=past-title] tr", engine))
    page.find("section[aria-labelledby=past-title] tr", engine)[0].find_element("css selector", ".what a").click()
    page.see(".life li", "cleared")
    page.see(".life li", "by Ada")
    page.picture("an-incident-that-is-over")


def test_what_is_chosen_stays_chosen_and_a_question_ends_with_its_view(page: Page, engine: str) -> None:
    """The list of incidents goes on meanwhile; going back leaves no dialog over another view."""
    page.open("#/lab")
    page.choose("[name=engine]", engine)
    page.press("button.chip", "misfire")
    page.press("nav a", "Incidents")
    box = f"[aria-labelledby=open-title] input[aria-label*='{engine}']"
    page.press(box)
    assert page.see("button", "Acknowledge 1 selected").is_enabled()
    assert keeps_the_focus(
        page, box, f"[aria-labelledby=open-title] tr:has(input[aria-label*='{engine}']) .lasted"
    )
    assert page.see(box).is_selected()

    page.press("button", "Acknowledge 1 selected")
    page.see("dialog [name=who]")
    page.driver.back()
    page.see(".lab-form")
    assert page.find("dialog") == []
    page.press(f"button[aria-label$='{engine}']", "Mend")


def keeps_the_focus(page: Page, selector: str, clock: str) -> bool:
    """Whether what has the focus keeps it while a time beside it goes on."""
    focused = page.see(selector)
    page.driver.execute_script("arguments[0].focus()", focused)
    before = page.see(clock).text
    page.until(lambda: page.see(clock).text != before, "the time goes on")
    return bool(page.driver.switch_to.active_element == focused)
