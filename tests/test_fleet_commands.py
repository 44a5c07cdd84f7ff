"""A command goes to every shard: what is said of an incident is told by one, and assets stay where they are."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest

from config.fleet import FleetSettings
from monitor.fleet import control
from monitor.fleet.shard import Arrived, Shard
from monitor.fleet_page.orders import NO_RENAME, Orders
from monitor.spec import LineSpec
from monitor.state import LineState
from monitor.store import Store
from tests.line_samples import ROOT, START, asked, pump, shipped, telemetry

if TYPE_CHECKING:
    from pathlib import Path

ASSETS = ("pump-1", "pump-2", "pump-3")
SHELF = control.Shelf()


@pytest.fixture
def shards() -> list[Shard]:
    """One for each asset, which has been heard."""
    made = []
    line = LineSpec(ROOT, 10, (replace(shipped(), model_hash=""),))
    for asset in ASSETS:
        shard = Shard(LineState.empty(LineSpec("", 1, ())))
        heard = telemetry(asset, 0, pump(50.0))
        zero = np.zeros(1, np.int64)
        list(shard.control([control.encode(control.Control(line))], START, SHELF))
        list(shard.take(Arrived([heard.topic], [heard.payload], zero, zero, zero + START), START, SHELF))
        made.append(shard)
    return made


@pytest.mark.parametrize("action", ["comment", "verdict"])
def test_words_about_an_incident_are_told_by_the_shard_that_has_its_asset(
    shards: list[Shard], action: str
) -> None:
    """Else there would be as many of them as shards."""
    said = asked(action, incident="i", asset="plant//pump-2", why="seen", verdict="real")
    value = control.encode(control.Control(command=said))
    told = [
        [event.stream for result in shard.control([value], START + 1, SHELF) for event in result.events]
        for shard in shards
    ]
    assert told == [[], ["plant//pump-2"], []]


def test_an_asset_of_a_fleet_is_not_renamed(tmp_path: Path) -> None:
    """Its messages would come to the shard of the new name, and its state would stay in that of the old one."""
    with closing(Store(tmp_path / "store.db")) as store:
        said = asked("rename", asset="plant//pump-2", name="plant//pump-9")
        told = Orders(FleetSettings(), store).command(msgspec.json.encode(said))
    assert told == {"done": False, "reply": NO_RENAME}
