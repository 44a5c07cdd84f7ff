"""A demo that runs while the tests look at its page."""

from __future__ import annotations

import subprocess
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from monitor.broker import program
from monitor.demo.plan import faults
from monitor.store import Store
from simulator.fleet import asset_names
from tests.browser.chromium import chromium
from tests.rig import COMMAND, environment, until
from tests.servers import missing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.browser.chromium import Page


ENGINES, SEED = 12, 1
QUIET_MS = 400_000


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of them are left to `make browser`, which asks for the mark."""
    for item in items:
        if "tests/browser/" in item.nodeid:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where a demo, with faults of its own, serves its page."""
    if program() is None:
        missing("nats-server")
    folder = tmp_path_factory.mktemp("demo") / "work"
    command = [*COMMAND, "demo", "--engines", str(ENGINES), "--seed", str(SEED), "--folder", str(folder)]
    process = subprocess.Popen(command, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        yield until(lambda: served(folder), why="the demo serves a page")
    finally:
        process.terminate()
        _, said = process.communicate()
        assert not said, said.decode()


def served(folder: Path) -> str:
    """The address that the daemon of a folder has noted; empty as long as it has none."""
    file = folder / "state" / "store.db"
    if not file.exists():
        return ""
    with closing(Store(file)) as store:
        said = store.facts().get("http", "")
    return said if said.startswith("http://") else ""


@pytest.fixture
def engine() -> str:
    """One that the demo leaves alone for the first minutes."""
    planned = faults(ENGINES, SEED, from_ms=0, until_ms=QUIET_MS)
    return next(
        name for number, name in enumerate(asset_names(ENGINES)) if number not in {each.engine for each in planned}
    )


@pytest.fixture
def page(address: str) -> Iterator[Page]:
    """A tab of a browser of its own, before it has opened anything; nothing it shows is an error of the page."""
    with chromium(address) as tab:
        yield tab
        assert tab.complaints() == []
