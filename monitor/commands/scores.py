"""`enginewatch scores`: the latest score rows out of the daemon's store."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from monitor.commands.common import clock, show, state_arguments, state_folder
from monitor.records import Status
from monitor.store import Store

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from monitor.records import StoredScores

COLUMNS = ("time", "asset", "status", "score", "threshold", "sensor", "actual", "expected")
FOLLOW_S = 0.5


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    state_arguments(parser)
    parser.add_argument("--asset", metavar="SITE/AREA/ASSET", help="only this asset")
    parser.add_argument("-n", "--limit", type=int, default=20, metavar="N", help="how many rows (default 20)")
    parser.add_argument("--json", action="store_true", help="one JSON object a line, with every sensor")
    parser.add_argument("-f", "--follow", action="store_true", help="go on with new rows as they come")


def run(options: argparse.Namespace) -> int:
    """Show the latest rows, oldest first."""
    store = Store(state_folder(options) / "store.db")
    position = 0
    rows: list[dict[str, Any]] = []
    for stored in store.latest_scores(asset=options.asset):
        position = max(position, stored.position)
        rows = [*_rows(stored), *rows]
        if len(rows) >= options.limit:
            break
    show(rows[-options.limit :], COLUMNS, as_json=options.json)
    while options.follow:
        time.sleep(FOLLOW_S)
        news = list(store.latest_scores(position, options.asset))[::-1]
        if news:
            position = news[-1].position
            show((row for stored in news for row in _rows(stored)), COLUMNS, as_json=options.json)
    store.close()
    return 0


def _rows(stored: StoredScores) -> Iterator[dict[str, Any]]:
    """The rows of a batch as people read them: with the sensor that contributes most."""
    rows = stored.rows
    for i, asset in enumerate(stored.streams):
        row: dict[str, Any] = {
            "time": clock(int(stored.time[i])),
            "asset": asset,
            "class": stored.asset_class,
            "model": stored.model,
            "status": Status(rows.status[i]).name.lower(),
            "score": _number(rows.score[i]),
            "threshold": _number(rows.threshold[i]),
        }
        if not np.isnan(rows.contribution[i]).all():
            top = int(np.nanargmax(rows.contribution[i]))
            row |= {
                "sensor": stored.sensors[top],
                "actual": _number(rows.actual[i, top]),
                "expected": _number(rows.expected[i, top]),
            }
        row["sensors"] = {
            name: {
                "actual": _number(rows.actual[i, c]),
                "expected": _number(rows.expected[i, c]),
                "contribution": _number(rows.contribution[i, c]),
            }
            for c, name in enumerate(stored.sensors)
        }
        yield row


def _number(value: np.float32) -> float | None:
    """A value rounded for reading; None where there is none."""
    return None if math.isnan(value) else float(f"{value:.5g}")
