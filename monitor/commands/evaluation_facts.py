"""What the report and results.json say beside the detectors' figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from models.evaluation import HOURS_A_DAY, told
from models.events import summed
from models.evidence import Evidence, RunEvidence, Training
from models.results import CurvePoint, ModelFacts, RegimeFacts
from monitor.commands.checked_for_model import usual_scaling
from monitor.commands.compared import by_tick

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from models.artifact import Header
    from models.evaluation import Judgement, Said, Setting, Truth
    from models.events import Matched
    from monitor.commands.judged_line import Outcome
    from monitor.records import UInt8
    from monitor.spec import ClassSpec, LineSpec
    from simulator.recording import Recording

DAY_MS = 86_400_000
TAIL = 0.999


def model_facts(header: Header) -> ModelFacts:
    """Which model it was."""
    return ModelFacts(
        name=header.name,
        hash=header.hash,
        created=header.created,
        period_ms=header.period_ms,
        window=header.window,
        sensors=tuple(sensor.name for sensor in header.sensors),
        units=tuple(sensor.unit for sensor in header.sensors),
        trained_rows=header.data.rows,
        trained_assets=header.data.assets,
    )


def curve(floors: Mapping[float, Sequence[Said]], setting: Setting) -> Iterator[CurvePoint]:
    """What the model's incidents come to at each floor of the threshold."""
    for floor, said in floors.items():
        total = summed(told(said, setting))
        yield CurvePoint(floor, total.found, total.false, HOURS_A_DAY * total.false / setting.hours, total.f1)


def regimes(
    truths: Sequence[Truth], outcomes: Sequence[Outcome], matched: Sequence[Matched], spec: ClassSpec
) -> Iterator[RegimeFacts]:
    """What the scores and the false alarms are like in each operating regime."""
    score, threshold, regime = (
        np.concatenate(
            [
                by_tick(truth, outcome.rows.tick, getattr(outcome.rows, column))[truth.judged]
                for truth, outcome in zip(truths, outcomes, strict=True)
            ]
        )
        for column in ("score", "threshold", "regime")
    )
    anomalous = np.concatenate([truth.anomalous[truth.judged] for truth in truths])
    scored = ~np.isnan(score)
    days = scored * spec.align.period_ms / DAY_MS
    fired = _fired_in(outcomes, matched)
    levels = spec.threshold.regime_levels
    for number, name in enumerate(spec.regime.names):
        there = (regime == number) & scored
        normal = there & ~anomalous
        some = bool(normal.any())
        false = int((fired == number).sum())
        yield RegimeFacts(
            name=name,
            rows=int(there.sum()),
            anomalous=int((there & anomalous).sum()),
            false_alarm_rate=float(np.mean(score[normal] > threshold[normal])) if some else None,
            score_median=float(np.median(score[normal])) if some else None,
            threshold_median=float(np.nanmedian(threshold[normal])) if some else None,
            share=float(there.sum() / scored.sum()) if scored.any() else None,
            score_tail=float(np.quantile(score[normal], TAIL)) if some else None,
            false=false,
            false_per_day=false / float(days[there].sum()) if there.any() else None,
            level=levels[number] if levels else None,
        )


def _fired_in(outcomes: Sequence[Outcome], matched: Sequence[Matched]) -> UInt8:
    """The regimes in which false incidents fired, one by one."""
    found = [np.zeros(0, np.uint8)]
    for outcome, each in zip(outcomes, matched, strict=True):
        rows = outcome.rows
        place = np.searchsorted(rows.tick, [one.fired for one in each.false], side="right") - 1
        found.append(rows.regime[np.maximum(place, 0)] if len(rows.tick) else found[0])
    return np.concatenate(found)


def evidence(
    judged: tuple[Sequence[Recording], Sequence[Truth]],
    outcomes: Sequence[Outcome],
    judgements: Mapping[str, Judgement],
    spec: LineSpec,
    header: Header,
    *,
    timed: bool,
) -> Evidence:
    """What pictures are drawn of."""
    runs = []
    for recording, truth, outcome, matched in zip(*judged, outcomes, judgements["daemon"].matched, strict=True):
        rows = outcome.rows
        runs.append(
            RunEvidence(
                truth=truth,
                began_ms=int(recording.time[0]) // header.period_ms * header.period_ms,
                score=by_tick(truth, rows.tick, rows.score),
                threshold=by_tick(truth, rows.tick, rows.threshold),
                regime=by_tick(truth, rows.tick, rows.regime),
                contribution=by_tick(truth, rows.tick, rows.contribution),
                expected=by_tick(truth, rows.tick, rows.expected),
                actual=by_tick(truth, rows.tick, rows.actual),
                incidents=outcome.incidents,
                matched=matched,
            )
        )
    scaling = usual_scaling(header)
    return Evidence(
        runs=tuple(runs),
        sensors=tuple(sensor.name for sensor in header.sensors),
        units=tuple(sensor.unit for sensor in header.sensors),
        scale=scaling.scale,
        center=scaling.center,
        regimes=spec.classes[0].regime.names,
        period_ms=header.period_ms,
        timed=timed,
        ranked={name: each.ranked for name, each in judgements.items() if each.ranked is not None},
        training=_training(header),
    )


def _training(header: Header) -> Training | None:
    """The learning curve, where the header has one."""
    curve = header.training
    return None if curve is None else Training(curve.fit, curve.stop, curve.best)
