"""The lab by hand: a sample is scored, the floor moved by the keyboard, and what is asked for amiss."""

from __future__ import annotations

from typing import TYPE_CHECKING

from selenium.webdriver.common.keys import Keys

from tests.browser.chromium import PHONE

if TYPE_CHECKING:
    from tests.browser.chromium import Page

ALARMS = "[aria-labelledby=lab-alarms]"


def test_a_faulty_sample_and_what_a_higher_floor_would_have_missed(page: Page) -> None:
    """A severely lean mixture scores about 3.7: at a floor of 10 it is none. No result outlives a mistake."""
    page.open("#/lab")
    page.choose("[name=kind]", "lean mixture: the control holds lambda too high")
    page.press(".lab-form button.primary")
    page.see(ALARMS, "1 incident in these rows at a floor of 1")
    slider = page.see("#lab-floor")
    slider.send_keys(Keys.END)
    page.see(ALARMS, "0 incidents in these rows at a floor of 10")
    assert "0 incidents" in str(slider.get_attribute("aria-valuetext"))
    page.see(f"{ALARMS} code", "floor = 10")
    page.until(lambda: len(page.find(".chart .plotly")) >= 6, "the charts are drawn")
    page.press("button", "Back to 1")
    page.see(ALARMS, "1 incident in these rows")
    for theme in ("light", "dark"):
        page.theme(theme)
        page.picture(f"lab-result-{theme}")
    page.size(*PHONE)
    assert page.overflows() <= 0
    assert page.nameless() == []

    page.press(".lab-form label", "A file of yours")
    page.press(".lab-form button.primary")
    page.see(".lab-form .mistake", "Choose a file first")
    assert page.find(ALARMS) == []
