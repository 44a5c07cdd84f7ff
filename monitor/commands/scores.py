"""`enginewatch scores`: the latest score rows out of the daemon's store."""

from __future__ import annotations

import json
import math
import sys
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np

from monitor.commands.common import at_least_one, clock, open_store, show, state_arguments
from monitor.records import Status
from monitor.watch import progress

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from monitor.records import StoredScores
    from monitor.store import Store

COLUMNS = ("time", "asset", "status", "regime", "score", "threshold", "sensor", "actual", "expected")
FOLLOW_S = 0.5
ROWS_AT_ONCE = 5_000


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    state_arguments(parser)
    parser.add_argument("--asset", metavar="SITE/AREA/ASSET", help="only this asset")
    parser.add_argument(
        "-n", "--limit", type=at_least_one, default=20, metavar="N", help="how many rows (default 20)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a line, with every sensor")
    parser.add_argument("-f", "--follow", action="store_true", help="go on with new rows as they come")


def run(options: argparse.Namespace) -> int:
    """Show the latest rows, oldest first."""
    with closing(open_store(options)) as store:
        position, rows = _latest(store, options.limit, options.asset)
        if rows or options.follow:
            _show(rows, options)
        if not rows:
            _say_what_is_known(store)
        elif any(row["status"] == "learning" for row in rows):
            _say_how_far_learning_is(store)
        while options.follow:
            news = store.scores_after(position, ROWS_AT_ONCE)
            if not news:
                time.sleep(FOLLOW_S)
                continue
            position = news[-1].position
            rows = [row for stored in news for row in _rows(stored, options.asset)]
            if rows:
                _show(rows, options, header=False)
    return 0


def _say_what_is_known(store: Store) -> None:
    """Where there is no row, where it stopped."""
    facts = store.facts()
    if facts.get("not_scoring"):
        when = clock(int(facts["not_scoring_at"]))
        sys.stderr.write(f"no score rows yet; at {when} the daemon noted: {facts['not_scoring']}\n")
    else:
        sys.stderr.write(f"no score rows yet; the broker: {facts.get('broker', 'not heard of yet')}\n")
    for letter in store.dead_letters(1):
        sys.stderr.write(f"the latest message that was refused, on {letter.topic}: {letter.reason}\n")


def _say_how_far_learning_is(store: Store) -> None:
    """Rows without a score, because there is no model yet, say so; how far that is stands beside them."""
    for name, far in json.loads(store.facts().get("books", "{}")).get("learning", {}).items():
        sentence = progress(far["normal_ms"], far["wanted_ms"])
        sys.stderr.write(f"class {name} has no model yet, {sentence}; `enginewatch models list`\n")


def _latest(store: Store, limit: int, asset: str | None) -> tuple[int, list[dict[str, Any]]]:
    """The position to go on from, and the latest rows, oldest first."""
    position, count = 0, 0
    batches: list[list[dict[str, Any]]] = []
    with closing(store.latest_scores()) as newest_first:
        for stored in newest_first:
            position = max(position, stored.position)
            batches.append(list(_rows(stored, asset)))
            count += len(batches[-1])
            if count >= limit:
                break
    return position, [row for batch in reversed(batches) for row in batch][-limit:]


def _rows(stored: StoredScores, wanted: str | None) -> Iterator[dict[str, Any]]:
    """The rows of a batch, or of one asset in it, as people read them: with the sensor that contributes most."""
    rows = stored.rows
    for i, asset in enumerate(stored.streams):
        if wanted not in {None, asset}:
            continue
        row: dict[str, Any] = {
            "time": int(stored.time[i]),
            "asset": asset,
            "class": stored.asset_class,
            "model": stored.model,
            "status": Status(rows.status[i]).name.lower(),
            "regime": stored.regimes[rows.regime[i]],
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
    """A value; None where there is none."""
    return None if math.isnan(value) else float(value)


def _show(rows: list[dict[str, Any]], options: argparse.Namespace, *, header: bool = True) -> None:
    """JSON is for machines, as it is; the table is for people: a clock and five digits."""
    if not options.json:
        rows = [
            {name: f"{value:.5g}" if isinstance(value, float) else value for name, value in row.items()}
            | {"time": clock(row["time"])}
            for row in rows
        ]
    show(rows, COLUMNS, as_json=options.json, header=header)
