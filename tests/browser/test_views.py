"""Each view in both themes and at the width of a phone, by keyboard and to a screen reader."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.browser.chromium import DESK, PHONE
from tests.rig import answer, until

if TYPE_CHECKING:
    from tests.browser.chromium import Page

# And what is seen once it is there.
VIEWS = {
    "fleet": ".asset-card",
    "incidents": "section[aria-labelledby=open-title]",
    "lab": ".lab-form",
    "health": "h2",
    "asset/demo%2F%2Fengine-01": ".js-plotly-plot .main-svg",
    "incident": ".life li",
}


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_is_whole_in_either_theme_and_on_a_phone(page: Page, address: str, view: str) -> None:
    """Nothing comes from elsewhere, nothing is wider than the screen, and whatever can be pressed has a name."""
    page.open(f"#/{view}/{incident(address)}" if view == "incident" else f"#/{view}")
    for theme in ("light", "dark"):
        page.theme(theme)
        for name, size in (("desk", DESK), ("phone", PHONE)):
            page.size(*size)
            page.see(VIEWS[view])
            page.picture(f"{view.partition('/')[0]}-{theme}-{name}")
            assert page.overflows() <= 0
    assert page.nameless() == []
    asked = page.requests()
    assert asked
    assert [each for each in asked if not each.startswith((address, "data:", "blob:"))] == []


def incident(address: str) -> str:
    """One of the demo's own."""
    found = until(lambda: answer(address, "/api/v1/incidents")[1]["incidents"], why="the demo has an incident")
    return str(found[-1]["id"])


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
