"""The detectors beside the daemon, judged by the daemon's own thresholds and incidents.

A baseline's scores go through `monitor.pipeline.step` as the only sensor of an asset whose model takes them as
they are: rolling threshold, delays and incidents are those of the daemon. The model's own scores go the same way
for other floors of the threshold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from models.baselines import BASELINES
from models.baselines.compare import fit, level
from models.evaluation import Said, while_open
from monitor.commands.judged_line import MODELS, SCORE, first_tick, score_line, through
from monitor.commands.recorded_windows import windows_of
from monitor.records import Kind
from monitor.sensor_check import FAULTS
from simulator.recording import Recording

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from rich.progress import Progress

    from models.evaluation import Truth
    from models.split import Run
    from monitor.commands.judged_line import Outcome
    from monitor.records import Bool, Float32, Int64
    from monitor.spec import LineSpec

# Floors of the threshold that the curve is made of.
FLOORS = (0.3, 0.5, 0.7, 0.85, 1.0, 1.2, 1.5, 2.0, 3.0, 5.0)
# What a row is worth, at the least, while the sensor check withholds a sensor as faulty: a score of 1.0.
# The model does not see that sensor then, so its score says nothing of it.
FAULTY = 1.0
WITHHELD = frozenset(FAULTS) - {Kind.SENSOR_SPIKES}


def said_of(truths: Sequence[Truth], outcomes: Sequence[Outcome], *, everything: bool) -> list[Said]:
    """What a line said, by the truths' ticks; with the incidents of sensors, or the model's alone."""
    said = []
    for truth, outcome in zip(truths, outcomes, strict=True):
        rows = outcome.rows
        score, threshold = (by_tick(truth, rows.tick, column) for column in (rows.score, rows.threshold))
        told = [each for each in outcome.incidents if everything or each.kind == Kind.ANOMALY]
        above = _above(score, threshold)
        faulty = while_open([each for each in told if each.kind in WITHHELD], truth.tick)
        said.append(Said(np.where(faulty, np.fmax(score, np.float32(FAULTY)), score), above | faulty, tuple(told)))
    return said


def _above(score: Float32, threshold: Float32) -> Bool:
    """Whether scores are above their thresholds (N,); what was not scored or not judged is not."""
    with np.errstate(invalid="ignore"):
        above: Bool = score > threshold
    return above


def by_tick(truth: Truth, tick: Int64, column: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """A column of ticks (B, …) by the truth's ticks (N, …); NaN, or 0, where there is no row."""
    out = np.full((len(truth.tick), *column.shape[1:]), np.nan if column.dtype.kind == "f" else 0, column.dtype)
    place = np.searchsorted(truth.tick, tick)
    there = (place < len(truth.tick)) & (truth.tick[np.minimum(place, len(truth.tick) - 1)] == tick)
    out[place[there]] = column[there]
    return out


def baseline_scores(
    chosen: Sequence[str],
    normal: Sequence[Recording],
    judged: tuple[Sequence[Recording], Sequence[Truth]],
    spec: LineSpec,
    progress: Progress,
    *,
    own_level: bool,
) -> tuple[dict[str, list[Float32]], list[str]]:
    """The scores of each baseline by the truths' ticks; and a sentence for each that could not be fitted.

    `own_level`: every run is scaled by its own normal rows.
    """
    if not chosen:
        return {}, []
    given = spec.classes[0]
    period, window = given.align.period_ms, given.window.length

    def cut(recordings: Sequence[Recording]) -> list[Run]:
        return windows_of(
            recordings, period_ms=period, window=window, hold_ms=given.align.hold_ms, regimes=given.regime
        )

    runs = cut(judged[0])
    fitting = cut(normal) if normal else []
    scales = level(fitting or runs, own=own_level)  # without normal windows, of use to what learns nothing
    task = progress.add_task("baselines", total=len(chosen))
    scores: dict[str, list[Float32]] = {}
    told = []
    for name in chosen:
        progress.update(task, description=BASELINES[name][0])
        try:
            fitted = fit(name, fitting, scales)
        except ValueError as error:
            told.append(f"{BASELINES[name][0]} is left out: {error}")
            continue
        found: dict[str, list[tuple[Int64, Float32]]] = {}
        for run in runs:
            found.setdefault(run.name, []).append((run.tick, fitted.score(run).astype(np.float32)))
        scores[name] = [
            _joined(truth, found.get(recording.asset, []), first_tick(recording, period))
            for recording, truth in zip(*judged, strict=True)
        ]
        progress.advance(task)
    return scores, told


def _joined(truth: Truth, pieces: Sequence[tuple[Int64, Float32]], first: int) -> Float32:
    """The scores of a run's pieces by the truth's ticks (N,), NaN where there is none."""
    joined = np.full(len(truth.tick), np.nan, np.float32)
    for tick, values in pieces:
        joined = np.fmax(joined, by_tick(truth, tick - first, values))
    return joined


def through_the_threshold(
    scores: Mapping[str, Sequence[Float32]],
    model: Sequence[Said],
    truths: Sequence[Truth],
    spec: LineSpec,
    progress: Progress,
) -> tuple[dict[str, list[Said]], dict[float, list[Said]]]:
    """What the daemon would tell of these scores, and of the model's own at other floors of the threshold."""
    # A score half as large is judged by a floor as if that were twice as high; so are the rule and the cap.
    floor = spec.classes[0].threshold.floor
    swept = {f"floor-{place}": [s.score * (floor / at) for s in model] for place, at in enumerate(FLOORS)}
    everything = {**scores, **swept}
    recordings, places = [], list[tuple[str, int]]()
    for name, columns in everything.items():
        for run, column in enumerate(columns):
            recording = _as_recording(f"{name}-{run}", truths[run], column, spec.classes[0].align.period_ms)
            if len(recording.time):
                recordings.append(recording)
                places.append((name, run))
    task = progress.add_task("thresholds", total=sum(len(each.time) for each in recordings))
    outcomes = through(recordings, score_line(spec), MODELS, lambda rows: progress.advance(task, rows))
    said = {
        name: [Said(column, np.zeros(len(column), np.bool_)) for column in columns]
        for name, columns in everything.items()
    }
    for (name, run), recording, outcome in zip(places, recordings, outcomes, strict=True):
        first = first_tick(recording, spec.classes[0].align.period_ms)
        rows = outcome.rows
        score, threshold = (by_tick(truths[run], rows.tick + first, each) for each in (rows.score, rows.threshold))
        told = tuple(
            type(each)(each.fired + first, None if each.cleared is None else each.cleared + first, each.kind)
            for each in outcome.incidents
        )
        said[name][run] = Said(everything[name][run], _above(score, threshold), told)
    floors = {at: said.pop(f"floor-{place}") for place, at in enumerate(FLOORS)}
    return said, floors


def _as_recording(name: str, truth: Truth, score: Float32, period_ms: int) -> Recording:
    """The scores of a run as a recording of one sensor; no row where there is no score."""
    there = np.flatnonzero(~np.isnan(score))
    return Recording(name, (SCORE,), truth.tick[there] * period_ms, np.maximum(score[there], 0)[:, None])
