"""From closed ticks to score rows and events: the stages from the sensor check to the alert, in their order.

Pure. A round holds at most one tick, or one row, of each stream. The rounds of a record come one after the other,
because each goes on behind what those before it have left: what the network carries, what was learned.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, cast

import numpy as np

from models import lasting
from monitor import (
    alert,
    align,
    carry,
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
from monitor.records import Outcome, Scores, Status, StoredScores
from monitor.score import score
from monitor.state import joined, of_rows
from monitor.synthetic import is_synthetic

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from models.lasting import Lasting
    from monitor.records import (
        Bool,
        CarryingModel,
        Float32,
        Frames,
        LevelModel,
        Masks,
        Model,
        StepResult,
        Windows,
    )
    from monitor.state import ClassState, LineState

# As numbers: a member of an enumeration takes several times longer to compare an array with.
SCORED, REGIME = int(Status.SCORED), int(Status.REGIME)


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
    found: list[Scores] = []
    for closed in frames:
        masks = _check_sensors(each, closed, now, result)
        _follow_regimes(each, closed, masks)
        if each.spec.wanted_ms:
            _watch_limits(each, closed, masks, now, result)
        cut = window.push(each.window, each.spec.window, closed, masks)
        if len(cut.stream):
            found.append(_score_round(state, index, cut, now, models, result))
    _tell(state, index, found, result)


def flush(state: LineState, index: int, now: int, models: Mapping[str, Model], result: StepResult) -> None:
    """Give every value that still waits in class `index` its row, because what it waits in ends here."""
    each = state.classes[index]
    closed = align.tick_over(each.align, each.spec.align, int(align.NEVER), int(align.NONE))
    judge(state, index, closed, now, models, result)
    cut = window.flush(each.window, each.spec.window, each.align.last_frame)
    if len(cut.stream):
        _tell(state, index, [_score_round(state, index, cut, now, models, result)], result)


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


def _score_round(
    state: LineState, index: int, cut: Windows, now: int, models: Mapping[str, Model], result: StepResult
) -> Scores:
    """Score one round, at most one row a stream, and judge it; changes `state`, adds to `result`."""
    each = state.classes[index]
    model, about = models.get(each.spec.model_hash), None
    cut = regime.mark(each.regime, each.spec.regime, cut, each.spec.window.length)
    if model is not None and model.level_rows:
        cut, about = level.about(each.level, cast("LevelModel", model), each.keys, cut)
    carries = model is not None and each.spec.carry is not None
    if model is None:
        carry.forget(each.carry, cut.stream)
    without = Status.LEARNING if each.spec.wanted_ms else Status.NO_MODEL
    scored = score(cut, model, without, about, partial(_predict, each) if carries else None)
    latest = cut.values[:, -1]  # (B, C)
    # The window's own score, as training has noted it: what lasts comes on top of it.
    own = scored.score[:, None]
    seen = None if each.spec.drift is None else np.concatenate((drift.inputs(latest, about), own), axis=1)
    state.outcomes[Outcome.IN_ROW] += int(cut.count.sum())
    if model is not None and model.lasting is not None:
        _judge_lasting(each, scored, model.lasting, latest, None if about is None else about[1])
    _threshold(each, scored)

    moment, names, held = Moment(each.keys, now), each.names(), each.of_held(scored.stream)
    if not each.spec.wanted_ms:  # else the limits have seen to it, tick by tick
        unscored.pause(each.alert, scored.stream[scored.status == REGIME])
    unscored.see(each.unscored, scored.stream, scored.status, now)
    period = each.spec.align.period_ms
    result.stretches.extend(ledger.rows(each.ledger, names, scored, cut.ticks, period, held))
    judged = of_rows(scored, ~held) if np.count_nonzero(held) else scored
    result.events.extend(alert.judge(each.alert, each.spec.alert, judged, moment))
    there = (~np.isnan(scored.score)).nonzero()[0]
    if not len(there):
        return scored
    stream, tick = scored.stream[there], scored.tick[there]
    frozen = alert.frozen(each.alert, stream) | held[there]
    learned = tick, scored.score[there], scored.regime[there]
    threshold.learn(each.threshold, each.spec.threshold, stream, *learned, frozen=frozen)
    if seen is not None and each.spec.drift is not None:
        usual = there[~frozen]
        at = scored.stream[usual], scored.tick[usual]
        result.drifts.extend(drift.push(each.drift, each.spec.drift, each.keys, *at, seen.take(usual, axis=0)))
    return scored


def _predict(
    each: ClassState,
    model: CarryingModel,
    windows: Windows,
    ready: Bool,
    about: tuple[Float32, Float32] | None,
) -> Float32:
    """What a model that carries something from tick to tick predicts of the windows that are ready."""
    config = each.spec.carry
    assert config is not None
    whole = partial(window.last, each.window, ticks=config.window)
    return carry.predict(each.carry, config, model, each.keys, windows, ready, whole, about)


def _tell(state: LineState, index: int, found: list[Scores], result: StepResult) -> None:
    """Hand on the rows of all rounds as one batch."""
    if not found:
        return
    each, scored = state.classes[index], joined(Scores, found)
    if not is_synthetic(each.spec.name):  # else the canary would make look as if something were watched
        state.rows += np.bincount(scored.status, minlength=len(Status))
    spec, streams = each.spec, [each.keys[number] for number in scored.stream.tolist()]
    time = scored.tick * spec.align.period_ms
    stored = StoredScores(0, spec.name, spec.model, spec.route.sensors, streams, time, scored, spec.regime.names)
    result.scores.append(stored)


def _judge_lasting(
    each: ClassState, scored: Scores, usual: Lasting, latest: Float32, scale: Float32 | None
) -> None:
    """Raise the score of the rows of one round to that of what lasts.

    `latest` (B, C) are the values of the last tick as the model saw them, NaN where it did not: a spike that is
    left out of the window must not come in here. `scale` (B, C) is that of the rows' levels.
    """
    rows = (scored.status == SCORED).nonzero()[0]
    if not len(rows):
        return
    stream, own = scored.stream[rows], scored.contribution.take(rows, axis=0)
    residual = latest.take(rows, axis=0) - scored.expected.take(rows, axis=0)
    if scale is not None:
        residual /= scale[rows]
    residual[np.isnan(own)] = np.nan
    frozen = alert.frozen(each.alert, stream) | each.of_held(stream)
    contribution, score = lasting.push(each.lasting, usual, stream, scored.tick[rows], residual, frozen=frozen)
    # What lasts is calibrated over all regimes together: a regime's lower floor must not make more of it.
    level_of = threshold.levels(each.spec.threshold, scored.regime[rows]).astype(np.float32)
    scored.contribution[rows] = np.fmax(own, contribution * level_of[:, None])
    scored.score[rows] = np.fmax(scored.score[rows], score * level_of)


def _threshold(each: ClassState, scored: Scores) -> None:
    """Write down what the rows of one round are judged by; rows that re-learn say so."""
    judged = (scored.status == SCORED).nonzero()[0]
    if not len(judged):
        return
    stream, regime_of = scored.stream[judged], scored.regime[judged]
    by = threshold.current(each.threshold, each.spec.threshold, stream, regime_of)
    scored.threshold[judged] = by
    relearns = np.isnan(by)
    if np.count_nonzero(relearns):
        scored.status[judged[relearns]] = Status.RELEARNING
