"""Daemons that come and go, and tokens that are given late: a line made by hand, behind a real port."""

from __future__ import annotations

from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import pytest

from monitor.store import Store
from tests.browser.chromium import chromium
from tests.http_rig import number, port
from tests.page_rig import Page as Plant
from tests.test_page_live import row

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.browser.chromium import Page

TOKEN = "plain-letters-digits-and-signs-1"  # noqa: S105 - of a test


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    """Three assets of which nothing is heard, so that no row changes."""
    with closing(Store(tmp_path / "store.db")) as store:
        made = Plant(store, tmp_path / "models")
        made.rows = [row(f"plant//p{each}") for each in (1, 2, 3)]
        yield made


@contextmanager
def tab() -> Iterator[Page]:
    """A tab whose page makes no mistakes; that an answer is missing, or is no, is what these tests are about."""
    with chromium("") as page:
        yield page
        assert [each for each in page.complaints() if "Failed to load resource" not in each] == []


def cards(page: Page) -> list[str]:
    return [str(each.get_attribute("data-key")) for each in page.find(".asset-card")]


def test_an_asset_stays_while_it_rests_and_goes_where_it_went_while_nobody_could_tell(plant: Plant) -> None:
    """Fleet, incidents, fleet: all three. The daemon away: all three. It comes back with one: that one."""
    every = [each["asset"] for each in plant.rows]
    with tab() as page:
        with port(plant) as first:
            page.address, again = first.address, number(first)
            page.open("#/fleet")
            page.until(lambda: cards(page) == every)
            page.press("nav a", "Incidents")
            page.see("#open-title")
            page.press("nav a", "Fleet")
            page.until(lambda: cards(page) == every)
            assert page.driver.switch_to.active_element.text == "Fleet"  # its heading
        page.see("#notice", "Not connected since")
        page.press("nav a", "Lab")
        page.see("#main", "the daemon does not answer")
        page.press("nav a", "Fleet")
        page.until(lambda: cards(page) == every)
        plant.rows = plant.rows[:1]
        with port(plant, port=again):
            page.until(lambda: cards(page) == every[:1])
            page.see("#connection", "live")


def test_a_token_can_be_given_later_and_one_that_no_header_holds_is_told_so(plant: Plant) -> None:
    """Left at first; then one with accents; then the right one, of which the live state is had as well."""
    with tab() as page, port(plant, token=TOKEN, allowed_hosts=("plant.example",)) as made:
        page.address = made.address
        page.open("#/incidents")
        page.press("dialog button", "Cancel")
        page.press("#main button", "Try again")
        page.write("dialog [name=token]", "sésame, 1 €")
        page.press("dialog button", "Sign in")
        page.see("dialog p", "No token has such letters")
        kept = "return sessionStorage.getItem('enginewatch.token')"
        assert page.driver.execute_script(kept) is None
        page.write("dialog [name=token]", TOKEN)
        page.press("dialog button", "Sign in")
        page.see("#open-title")
        page.see("#connection", "live")
        assert page.driver.execute_script(kept) == TOKEN
