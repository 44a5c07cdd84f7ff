"""Recorded runs through the daemon's own line, `pipeline.step`: evaluation and daemon cannot differ.

All runs go side by side, as assets of one class that began together: each is shifted by whole ticks. Whoever has
ended says goodbye. Nothing but scores and transitions is looked at.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from models.events import Incident
from monitor.commands.as_published import of_recordings, records
from monitor.pipeline import step
from monitor.records import Batch, Kind, Transition
from monitor.regime import RegimeConfig
from monitor.state import LineState
from monitor.window import WindowConfig

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from monitor.records import AlertEvent, Float32, Int64, Model, StepResult, UInt8
    from monitor.spec import ClassSpec, LineSpec
    from simulator.recording import Recording

SITE = "evaluate"
BEGINNING = 1_600_000_000_000  # about: epoch ms at which all runs begin
SLICE = 32  # ticks in one record of the journal
SCORE, SCORE_HASH = "score", "score"
# What says something of the machine or of a sensor. Silence says nothing of either.
TOLD = frozenset(Kind) - {Kind.STALE, Kind.BLIND, Kind.LIMIT}


@dataclass(frozen=True, slots=True)
class Rows:
    """The score rows of one run, in the order of time; ticks count from the run's first."""

    tick: Int64  # (B,)
    status: UInt8  # (B,)
    score: Float32  # (B,)
    threshold: Float32  # (B,)
    regime: UInt8  # (B,)
    contribution: Float32  # (B, C)
    expected: Float32  # (B, C)
    actual: Float32  # (B, C)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the line made of one run."""

    rows: Rows
    incidents: tuple[Incident, ...]


def through(
    recordings: Sequence[Recording],
    spec: LineSpec,
    models: Mapping[str, Model],
    told: Callable[[int], None] = lambda _rows: None,
) -> list[Outcome]:
    """What a line of one class makes of runs of different names; `told` hears how many readings went through."""
    period = spec.classes[0].align.period_ms
    beginning = -(-BEGINNING // period) * period
    spec = replace(spec, max_streams=max(spec.max_streams, len(recordings)))
    state = LineState.empty(spec)
    published = of_recordings(recordings, [beginning - first_tick(each, period) * period for each in recordings])
    results = []
    for record in records(published, root=spec.root, site=SITE, slice_ms=SLICE * period, first=beginning):
        results.append(step(state, record, models))
        if isinstance(record.payload, Batch):
            told(len(record.payload.messages))
    return _by_run(recordings, results, state, period, beginning)


def first_tick(recording: Recording, period_ms: int) -> int:
    """The tick of a run's first row, from which its ticks are counted."""
    return int(recording.time[0]) // period_ms


def _by_run(
    recordings: Sequence[Recording], results: Sequence[StepResult], state: LineState, period: int, beginning: int
) -> list[Outcome]:
    """Score rows and incidents of each run."""
    places = {f"{SITE}//{each.asset}": place for place, each in enumerate(recordings)}
    # The class numbers its streams as they come.
    of_stream = np.array([places[key] for key in state.classes[0].keys], np.int64)
    batches = [batch.rows for result in results for batch in result.scores]
    stream = np.concatenate([batch.stream for batch in batches]) if batches else np.zeros(0, np.int32)
    order = np.argsort(of_stream[stream], kind="stable")
    ends = np.cumsum(np.bincount(of_stream[stream], minlength=len(recordings)))[:-1]
    rows = _columns(batches, order, ends, beginning // period)
    incidents = _incidents([event for result in results for event in result.events], places, period, beginning)
    return [Outcome(rows[place], tuple(incidents[place])) for place in range(len(recordings))]


def _columns(batches: Sequence[object], order: Int64, ends: Int64, first: int) -> list[Rows]:
    """The columns of all batches, cut by run."""
    names = Rows.__slots__
    cut = {
        name: np.split(np.concatenate([getattr(batch, name) for batch in batches])[order], ends) for name in names
    }
    runs = [Rows(*(cut[name][place] for name in names)) for place in range(len(ends) + 1)]
    return [replace(rows, tick=rows.tick - first) for rows in runs]


def _incidents(
    events: Sequence[AlertEvent], places: Mapping[str, int], period: int, beginning: int
) -> list[list[Incident]]:
    """The incidents of each run, as they fired and cleared."""
    found: list[dict[str, Incident]] = [{} for _ in places]
    for event in events:
        if event.kind not in TOLD or event.transition not in {Transition.FIRED, Transition.CLEARED}:
            continue
        own = found[places[event.stream]]
        tick = (event.time - beginning) // period
        if event.transition is Transition.FIRED:
            named = tuple(each.sensor for each in event.top)
            own[event.incident_id] = Incident(tick, None, str(event.kind), event.sensor, named)
        elif event.incident_id in own:
            own[event.incident_id] = replace(own[event.incident_id], cleared=tick)
    return [list(own.values()) for own in found]


class AsItIs:
    """A model of windows of one tick and one sensor: the sensor is the score. Satisfies `Model`."""

    window = 1
    level_rows = 0  # it compares no asset with itself
    memory = 0  # it carries nothing from tick to tick
    lasting = None

    def score(self, values: Float32, level: object = None) -> tuple[Float32, Float32, Float32]:
        """The values of B windows (B, 1, 1) as contribution (B, 1), expectation (B, 1) and score (B,)."""
        del level
        return values[:, 0], values[:, 0], values[:, 0, 0]


MODELS: Mapping[str, Model] = {SCORE_HASH: AsItIs()}


def score_line(of: LineSpec) -> LineSpec:
    """A line for scores that were made elsewhere: the thresholds and incidents of the other, and nothing else."""
    given = of.classes[0]
    made: ClassSpec = replace(
        given,
        name="score",
        route=replace(given.route, sensors=(SCORE,), published=(), scale=(), offset=()),
        units=("",),
        model=SCORE,
        model_hash=SCORE_HASH,
        align=replace(given.align, sensors=1, hold_ms=0, gap_ticks=1),
        window=WindowConfig(1, 1, 1, given.window.min_coverage),
        threshold=replace(given.threshold, regime_rows=(), regime_levels=()),
        alert=replace(given.alert, sensors=(SCORE,), units=("",), regimes=()),
        sensor_check=None,
        regime=RegimeConfig(),
        drift=None,
        carry=None,
    )
    return replace(of, classes=(made,))
