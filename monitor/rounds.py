"""From closed ticks to score rows and events: the stages from the sensor check to the alert, in their order.

Pure. A round holds at most one tick, or one row, of each stream. The rounds of a record are scored together, in
one call of the model, and judged one after the other, because each is judged by what those before it have taught.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np

from models import lasting
from monitor import (
    alert,
    align,
    drift,
    ledger,
    level,
    limits,
    regime,
    sensor_check,
    threshold,
    unscored,
    window,
)
from monitor.incident import Moment
from monitor.records import Outcome, Status, StoredScores, Windows
from monitor.score import score
from monitor.state import joined, of_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from models.lasting import Lasting
    from monitor.records import Float32, Frames, LevelModel, Masks, Model, Scores, StepResult
    from monitor.state import ClassState, LineState

WINDOWS_AT_ONCE = 2_048  # bounds the memory of a batch, whatever its size


def judge(
    state: LineState,
    index: int,
    frames: Iterable[Frames],
    now: int,
    models: Mapping[str, Model],
    result: StepResult,
) -> None:
    """Take the closed ticks of class `index`, round by round; changes `state`, adds to `result`."""
    each = state.classes[index]
    rounds: list[Windows] = []
    waiting = 0
    for closed in frames:
        masks = _check_sensors(each, closed, now, result)
        _follow_regimes(each, closed, masks)
        if each.spec.wanted_ms:
            _watch_limits(each, closed, masks, now, result)
        cut = window.push(each.window, each.spec.window, closed, masks)
        cut = regime.mark(each.regime, each.spec.regime, cut, each.spec.window.length)
        if len(cut.stream):
            rounds.append(cut)
            waiting += len(cut.stream)
        if waiting >= WINDOWS_AT_ONCE:
            _score_rounds(state, index, rounds, now, models, result)
            rounds, waiting = [], 0
    if rounds:
        _score_rounds(state, index, rounds, now, models, result)


def flush(state: LineState, index: int, now: int, models: Mapping[str, Model], result: StepResult) -> None:
    """Give every value that still waits in class `index` its row, because what it waits in ends here."""
    each = state.classes[index]
    closed = align.tick_over(each.align, each.spec.align, int(align.NEVER), int(align.NONE))
    judge(state, index, closed, now, models, result)
    cut = window.flush(each.window, each.spec.window, each.align.last_frame)
    if len(cut.stream):
        cut = regime.mark(each.regime, each.spec.regime, cut, each.spec.window.length)
        _score_rounds(state, index, [cut], now, models, result)


def _check_sensors(each: ClassState, frames: Frames, now: int, result: StepResult) -> Masks | None:
    """What the model must not see of these ticks; None where sensors are not checked."""
    config = each.spec.sensor_check
    if config is None:
        return None
    rests = regime.resting(each.regime, each.spec.regime, frames.stream)
    masks, changes = sensor_check.push(each.sensor_check, config, frames, rests, each.roughness)
    changes = [change for change in changes if each.held is None or not each.held[change.stream]]
    if changes:
        moment = Moment(each.keys, now)
        result.events.extend(alert.sensors(each.alert, each.spec.alert, changes, moment))
    return masks


def _follow_regimes(each: ClassState, frames: Frames, masks: Masks | None) -> None:
    """In which regimes the machines are, by what was measured: a faulty sensor says nothing of that."""
    if len(each.spec.regime.names) > 1:
        values = frames.values
        if masks is not None:
            faulty = sensor_check.withheld(each.sensor_check.fault[frames.stream])  # (N, C)
            values = np.where(masks.value | faulty, np.float32(np.nan), values)
        regime.push(each.regime, each.spec.regime, frames.stream, frames.tick, values, frames.gap)


def _watch_limits(each: ClassState, frames: Frames, masks: Masks | None, now: int, result: StepResult) -> None:
    """Where there is no model yet: what the limits say of these ticks, and how many are normal running."""
    rests = regime.resting(each.regime, each.spec.regime, frames.stream)
    unscored.pause(each.alert, frames.stream[rests])
    runs = ~rests & (frames.tick >= each.regime.first_tick[frames.stream]) & ~each.of_held(frames.stream)
    if not runs.all():  # what a model would not be judged on is not for the limits either
        frames, masks = of_rows(frames, runs), None if masks is None else of_rows(masks, runs)
    config, stream = each.spec.limits, frames.stream
    if config is not None:
        judged = limits.judge(each.limits, config, frames, masks)
        sensors, units = each.spec.route.sensors, each.spec.units
        moment = Moment(each.keys, now)
        told = alert.judge(
            each.alert, each.spec.alert, judged.scores, moment, lambda row: judged.words(row, sensors, units)
        )
        result.events.extend(told)
        frozen = alert.frozen(each.alert, stream)
        limits.learn(each.limits, config, frames, masks, judged, frozen=frozen)
    each.limits.normal[stream] += (frames.count > 0) & ~alert.open_at_all(each.alert, stream)


def _score_rounds(
    state: LineState,
    index: int,
    rounds: list[Windows],
    now: int,
    models: Mapping[str, Model],
    result: StepResult,
) -> None:
    """Score all rounds in one call of the model, then judge them one after the other."""
    each = state.classes[index]
    without = Status.LEARNING if each.spec.wanted_ms else Status.NO_MODEL
    cut_together, model = joined(Windows, rounds), models.get(each.spec.model_hash)
    about = None
    if model is not None and model.level_rows:
        cut_together, about = level.about(each.level, cast("LevelModel", model), each.keys, cut_together)
    scored = score(cut_together, model, without, about)
    # The window's own score, as training has noted it: what lasts comes on top of it.
    seen = np.column_stack([drift.inputs(cut_together.values[:, -1], about), scored.score])  # (B, C + 1)
    moment = Moment(each.keys, now)
    names = each.names()
    start = 0
    for cut in rounds:
        part = slice(start, start + len(cut.stream))
        start = part.stop
        state.outcomes[Outcome.IN_ROW] += int(cut.count.sum())
        if model is not None and model.lasting is not None:
            seen_at_last, scale = cut_together.values[part, -1], None if about is None else about[1][part]
            _judge_lasting(each, scored, part, model.lasting, seen_at_last, scale)
        _threshold(each, scored, part)
        row, held = of_rows(scored, part), each.of_held(scored.stream[part])
        if not each.spec.wanted_ms:  # else the limits have seen to it, tick by tick
            unscored.pause(each.alert, row.stream[row.status == Status.REGIME])
        unscored.see(each.unscored, row.stream, row.status, now)
        result.stretches.extend(ledger.rows(each.ledger, names, row, cut.ticks, each.spec.align.period_ms, held))
        judged = of_rows(row, ~held) if held.any() else row
        result.events.extend(alert.judge(each.alert, each.spec.alert, judged, moment))
        there = np.flatnonzero(~np.isnan(row.score))
        stream, config = row.stream[there], each.spec.threshold
        frozen = alert.frozen(each.alert, stream) | held[there]
        learned = row.tick[there], row.score[there], row.regime[there]
        threshold.learn(each.threshold, config, stream, *learned, frozen=frozen)
        if each.spec.drift is not None:
            usual, rows = there[~frozen], seen[part]
            at = row.stream[usual], row.tick[usual]
            result.drifts.extend(drift.push(each.drift, each.spec.drift, each.keys, *at, rows[usual]))
    state.rows += np.bincount(scored.status, minlength=len(Status))
    spec, streams = each.spec, [each.keys[number] for number in scored.stream]
    time = scored.tick * spec.align.period_ms
    stored = StoredScores(0, spec.name, spec.model, spec.route.sensors, streams, time, scored, spec.regime.names)
    result.scores.append(stored)


def _judge_lasting(
    each: ClassState, scored: Scores, part: slice, usual: Lasting, latest: Float32, scale: Float32 | None
) -> None:
    """Raise the score of the rows of one round to that of what lasts.

    `latest` (M, C) are the values of the last tick as the model saw them, NaN where it did not: a spike that is
    left out of the window must not come in here. `scale` (M, C) is that of the rows' levels.
    """
    ready = np.flatnonzero(scored.status[part] == Status.SCORED)
    rows = part.start + ready
    stream = scored.stream[rows]
    residual = latest[ready] - scored.expected[rows]
    if scale is not None:
        residual /= scale[ready]
    residual[np.isnan(scored.contribution[rows])] = np.nan
    frozen = alert.frozen(each.alert, stream) | each.of_held(stream)
    contribution, score = lasting.push(each.lasting, usual, stream, scored.tick[rows], residual, frozen=frozen)
    # What lasts is calibrated over all regimes together: a regime's lower floor must not make more of it.
    level_of = threshold.levels(each.spec.threshold, scored.regime[rows]).astype(np.float32)
    scored.contribution[rows] = np.fmax(scored.contribution[rows], contribution * level_of[:, None])
    scored.score[rows] = np.fmax(scored.score[rows], score * level_of)


def _threshold(each: ClassState, scored: Scores, part: slice) -> None:
    """Write down what the rows of one round are judged by; rows that re-learn say so."""
    status = scored.status[part]  # a view
    judged = np.flatnonzero(status == Status.SCORED)
    stream, regime_of = scored.stream[part][judged], scored.regime[part][judged]
    by = threshold.current(each.threshold, each.spec.threshold, stream, regime_of)
    scored.threshold[part][judged] = by
    status[judged[np.isnan(by)]] = Status.RELEARNING
