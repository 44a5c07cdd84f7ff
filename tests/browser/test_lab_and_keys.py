"""What else is done at the page by hand: a sample scored in the lab, the fleet gone through by keys."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

if TYPE_CHECKING:
    from tests.browser.chromium import Page


def test_a_sample_is_scored_and_the_floor_moved(page: Page) -> None:
    """A misfiring sample has an incident; the floor at its highest would have had none."""
    page.open("#/lab")
    page.choose("[name=kind]", "misfire: some of one cylinder's cycles do not burn")
    page.press("button", "Score it")
    page.see(".view-lab section h2", "Misfire")
    page.until(lambda: len(page.find(".chart .main-svg")) > 1, "charts are drawn")
    page.picture("lab-with-a-misfire")
    said = "#lab-floor ~ output"
    before = page.see(said).text
    slider = page.see("#lab-floor")
    slider.send_keys(Keys.END)
    page.until(lambda: page.see(said).text != before, "the floor moved")
    assert re.search(r"\b0 incidents", str(slider.get_attribute("aria-valuetext")))


def test_the_fleet_is_gone_through_by_keys(page: Page) -> None:
    """The key / leads to the search; what is written there filters; Tab and Enter open what is left."""
    page.open("#/fleet")
    page.see(".asset-card")
    page.driver.find_element(By.TAG_NAME, "body").send_keys("/")
    focused = page.driver.switch_to.active_element
    assert focused.get_attribute("type") == "search"
    focused.send_keys("engine-11")
    page.until(lambda: len(page.find(".asset-card")) == 1, "one is left")
    for _ in range(10):
        page.driver.switch_to.active_element.send_keys(Keys.TAB)
        if page.driver.switch_to.active_element.text == "engine-11":
            break
    page.driver.switch_to.active_element.send_keys(Keys.ENTER)
    page.see(".view-asset h1", "engine-11")
