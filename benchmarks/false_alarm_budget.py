"""Whether a budget of false alarms is kept: calibrate on some simulated engine-days, count on later ones.

    python -m benchmarks.false_alarm_budget [--engines 20] [--hours 12] [--later 24] [--seed 8]

The engines are well all the time. Their readings go through `monitor.pipeline.step` with the shipped model and the
settings that ship, into a store; `enginewatch calibrate` finds the floor of each budget there. The later scores of
the same engines are then judged by `threshold.current`, `alert.judge` and `threshold.learn` at that floor, in the
pipeline's order, and the incidents counted. Prints a table in Markdown.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from config.classes import resolve_classes
from config.load import load
from config.shipped import model_folder
from models.runtime import load_model
from monitor import alert, threshold
from monitor.alarm_budget import parse
from monitor.alert import AlertState
from monitor.assemble import line_spec
from monitor.commands.as_published import of_recordings, records
from monitor.commands.calibrate import outcome
from monitor.false_alarms import poisson_bounds
from monitor.incident import Moment
from monitor.pipeline import step
from monitor.records import Scores, StepResult, Transition
from monitor.state import LineState, joined
from monitor.store import Store
from monitor.threshold import ThresholdState
from simulator.fleet import Fleet
from simulator.recording import Recording
from simulator.records import SENSORS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monitor.commands.calibrate import Outcome
    from monitor.spec import ClassSpec, LineSpec

PERIOD_MS = 500
BEGINNING = 1_700_000_000_000
BLOCK = 7_200  # ticks: an hour
BUDGETS = ("4/asset-day", "1/asset-day", "2/asset-week", "1/asset-week", "1/asset-month")
HEADER = """\
| budget | way | floor | predicted | at most | later: incidents | rate | between |
|---|---|---|---|---|---|---|---|
"""


def line() -> LineSpec:
    """The shipped model at the settings that ship."""
    given = ["classes.0.name=engine", "classes.0.model=pretrained:engine"]
    loaded = load(None, overrides=given, environment={})
    return line_spec(loaded.settings, resolve_classes(loaded))


def results(spec: LineSpec, fleet: Fleet, ticks: int, state: LineState) -> Iterator[StepResult]:
    """What the line makes of the fleet's next ticks."""
    models = {spec.classes[0].model_hash: load_model(model_folder(Path("pretrained:engine")))}
    for _ in range(0, ticks, BLOCK):
        block = fleet.block(BLOCK)
        time = BEGINNING + block.time
        recordings = [
            Recording(
                asset,
                tuple(SENSORS),
                time[block.running[:, number]],
                block.values[block.running[:, number], number],
            )
            for number, asset in enumerate(fleet.assets)
        ]
        journal = records(
            of_recordings(recordings, goodbye=False), root=spec.root, site="bench", slice_ms=32 * PERIOD_MS,
            first=int(time[0]),
        )  # fmt: skip
        for record in journal:
            yield step(state, record, models)


def main() -> None:
    """Run it and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engines", type=int, default=20)
    parser.add_argument("--hours", type=int, default=12)
    parser.add_argument("--later", type=int, default=24)
    parser.add_argument("--seed", type=int, default=8)
    options = parser.parse_args()
    spec = line()
    fleet = Fleet(options.engines, seed=options.seed)
    state = LineState.empty(spec)
    with (
        tempfile.TemporaryDirectory(prefix="enginewatch-") as name,
        closing(Store(Path(name) / "store.db")) as store,
    ):
        for position, each in enumerate(results(spec, fleet, options.hours * BLOCK, state), 1):
            store.write(position, replace(each, events=[]))
        found = {text: outcome(store, list(spec.classes), parse(text)) for text in BUDGETS}
    stored = [each for result in results(spec, fleet, options.later * BLOCK, state) for each in result.scores]
    rows = joined(Scores, [each.rows for each in stored])
    days = int(np.count_nonzero(~np.isnan(rows.score))) * PERIOD_MS / 86_400_000
    first = next(iter(found.values()))
    sys.stdout.write(
        f"calibrated on {first.found.days:.3g} engine-days, counted on {days:.3g} later ones\n\n{HEADER}"
    )
    for text, calibrated in found.items():
        sys.stdout.write(
            f"| {text} | {calibrated.choice.way} | {_row(spec.classes[0], rows, text, calibrated, days)} |\n"
        )


def incidents(spec: ClassSpec, rows: Scores, floor: float) -> int:
    """How many fire at a floor, every stage of it in the pipeline's order; the rows are of all assets."""
    limits = replace(spec.threshold, floor=floor)
    streams = int(rows.stream.max()) + 1
    levels, state = ThresholdState.empty(limits, streams), AlertState.empty(spec.alert, streams)
    moment = Moment([str(number) for number in range(streams)], 0)
    order = np.argsort(rows.tick, kind="stable")
    order = order[~np.isnan(rows.score[order])]
    fired = 0
    for part in np.split(order, np.flatnonzero(np.diff(rows.tick[order])) + 1):
        row = Scores(*(getattr(rows, column)[part] for column in Scores.__slots__))
        by = threshold.current(levels, limits, row.stream, row.regime)
        events = alert.judge(state, spec.alert, replace(row, threshold=by), moment)
        fired += sum(event.transition is Transition.FIRED for event in events)
        frozen = alert.frozen(state, row.stream)
        threshold.learn(levels, limits, row.stream, row.tick, row.score, row.regime, frozen=frozen)
    return fired


def _row(spec: ClassSpec, rows: Scores, text: str, each: Outcome, days: float) -> str:
    if each.floor is None:
        return f"{each.choice.why} | | | | | "
    fired = incidents(spec, rows, each.floor)
    budget = parse(text)

    def rate(a_day: float | None) -> str:
        return "" if a_day is None else f"{budget.of_rate(a_day, each.assets):.2g}"

    low, high = (rate(bound / days) for bound in poisson_bounds(fired))
    cells = [f"{each.floor:g}", rate(each.choice.a_day), rate(each.choice.high), str(fired), rate(fired / days)]
    return " | ".join([*cells, f"{low} to {high}"])


if __name__ == "__main__":
    main()
