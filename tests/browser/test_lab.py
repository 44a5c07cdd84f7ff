"""The lab by hand: a sample is scored and the floor moved by the keyboard, a fault is injected and mended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select

from tests.browser.chromium import DESK, PHONE

if TYPE_CHECKING:
    from tests.browser.chromium import Page


def choose(page: Page, name: str, value: str) -> None:
    Select(page.see(f"select[name={name}]")).select_by_value(value)


def test_a_faulty_sample_and_what_a_higher_floor_would_have_missed(page: Page) -> None:
    """A severely lean mixture scores about 3.7: at a floor of 10 it is no incident."""
    page.open("#/lab")
    choose(page, "kind", "lean_mixture")
    page.press(".lab-form button.primary")
    page.see("[aria-labelledby=lab-alarms]", "1 incident in these rows at a floor of 1")
    slider = page.see("#lab-floor")
    slider.send_keys(Keys.END)
    page.see("[aria-labelledby=lab-alarms]", "0 incidents in these rows at a floor of 10")
    page.see("[aria-labelledby=lab-alarms] code", "floor = 10")
    page.until(lambda: len(page.find(".chart .plotly")) >= 6, "the charts are drawn")
    page.press("button", "Back to 1")
    page.see("[aria-labelledby=lab-alarms]", "1 incident in these rows")
    for theme in ("light", "dark"):
        page.theme(theme)
        page.picture(f"lab-result-{theme}")
    page.size(*PHONE)
    assert page.overflows() <= 0
    assert page.nameless() == []
    page.size(*DESK)


def test_a_fault_is_injected_and_mended(page: Page) -> None:
    page.open("#/lab")
    page.press(".chip", "turbo wear")  # none of the demo's own
    page.see("[aria-labelledby=lab-faults] li", "turbo wear (severe)")
    page.picture("lab-injected")
    page.press("[aria-labelledby=lab-faults] li button", "Mend")
    page.until(lambda: not page.find("[aria-labelledby=lab-faults] li"), "it is mended")
