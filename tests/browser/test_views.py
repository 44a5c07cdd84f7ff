"""Each view in both themes and at the width of a phone, by keyboard and to a screen reader."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.browser.chromium import DESK, PHONE

if TYPE_CHECKING:
    from tests.browser.chromium import Page

# And what is seen once it is there.
VIEWS = {
    "fleet": ".asset-card",
    "incidents": "section[aria-labelledby=open-title]",
    "lab": ".lab-form",
    "health": "h2",
    "asset/demo%2F%2Fengine-01": ".js-plotly-plot .main-svg",
}


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_is_whole_in_either_theme_and_on_a_phone(page: Page, address: str, view: str) -> None:
    """Nothing comes from elsewhere, nothing is wider than the screen, and whatever can be pressed has a name."""
    page.open(f"#/{view}")
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
