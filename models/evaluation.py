"""What a detector is worth on labelled runs: the same figures for a model and for all that it is compared with.

Pure: what the detectors said comes in as arrays. The figures are structs that become results.json.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import numpy.typing as npt

from models import bootstrap, ranking
from models.events import Event, Incident, Matched, match, summed
from models.metrics import PointCounts, poisson_interval
from models.vus import vus_pr

if TYPE_CHECKING:
    from collections.abc import Sequence

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]

HOUR_MS = 3_600_000
HOURS_A_DAY = 24
# Of ROC-AUC: below this, and below chance with certainty, it looks as if labels were inverted; or below the other,
# where there are too few runs for certainty.
INVERTED, SURELY_INVERTED = 0.45, 0.25


@dataclass(frozen=True, slots=True)
class Truth:
    """One run: its ticks and what was really the case. N ticks, those that were recorded."""

    name: str
    tick: Int64  # (N,)
    anomalous: Bool  # (N,)
    judged: Bool  # (N,) whether the tick counts; those that trained anything, or are without a label, do not
    events: tuple[Event, ...] = ()  # in judged ticks


@dataclass(frozen=True, slots=True)
class Said:
    """What a detector said of that run: of the same N ticks."""

    score: Float32  # (N,) NaN = not scored
    alarm: Bool  # (N,) above the threshold
    incidents: tuple[Incident, ...] = ()


class Figure(msgspec.Struct, frozen=True):
    """A figure with the interval that its runs leave open; None where it cannot be had."""

    value: float | None
    low: float | None = None
    high: float | None = None


class Points(msgspec.Struct, frozen=True):
    """Row by row."""

    f1: Figure
    far: Figure  # false alarm rate: share of normal rows alarmed
    mar: Figure  # missed alarm rate: share of anomalous rows not alarmed


class BestByLabel(msgspec.Struct, frozen=True):
    """At the threshold that the labels chose: an upper bound, never to be had in service."""

    threshold: float
    f1: float
    far: float | None
    mar: float | None


class KindFound(msgspec.Struct, frozen=True):
    """Of one kind of fault."""

    events: int
    found: int


class Events(msgspec.Struct, frozen=True):
    """Incident by incident."""

    events: int
    found: int
    hidden: int  # not told, because a false incident was open
    incidents: int
    false: int
    hours: float
    f1: Figure
    false_per_hour: Figure  # Poisson interval
    false_per_asset_day: Figure  # Poisson interval
    delay_s_median: float | None
    delay_s_90: float | None
    named: int  # of those found whose sensor is known: it came first
    nameable: int
    by_kind: dict[str, KindFound]


class Detector(msgspec.Struct, frozen=True):
    """All figures of one detector."""

    name: str
    label: str  # for people
    role: str  # "daemon", "model" or "baseline"
    roc_auc: Figure
    average_precision: Figure
    vus_pr: Figure
    points: Points  # score above the threshold that needs no label
    points_in_incidents: Points  # while an incident is open
    best: BestByLabel | None
    events: Events
    ahead: Figure | None = None  # average precision less that of the model, drawn on the same runs


@dataclass(frozen=True, slots=True)
class Setting:
    """What is the same for all detectors."""

    truths: tuple[Truth, ...]
    period_ms: int
    reach: int  # ticks behind an event in which an incident is still the event's
    common: tuple[Bool, ...]  # per run (N,): ticks that count for ranking, because every detector scored them
    seed: int = 0

    @property
    def hours(self) -> float:
        """Of all judged ticks."""
        return sum(int(truth.judged.sum()) for truth in self.truths) * self.period_ms / HOUR_MS


@dataclass(frozen=True, slots=True)
class Judgement:
    """A detector's figures, and what they were made of, for further ones and for pictures."""

    figures: Detector
    ranked: ranking.Counts | None  # None: one of the two kinds of rows is missing
    drawn: Float64  # (B,) average precision of each draw
    matched: tuple[Matched, ...]  # per run


def common_ticks(truths: Sequence[Truth], everyone: Sequence[Sequence[Said]]) -> tuple[Bool, ...]:
    """Per run (N,): judged ticks that all detectors scored, so that they rank the same rows."""
    return tuple(
        truth.judged & np.logical_and.reduce([~np.isnan(said[run].score) for said in everyone])
        for run, truth in enumerate(truths)
    )


def judge(name: str, label: str, role: str, said: Sequence[Said], setting: Setting) -> Judgement:
    """All figures of one detector."""
    truths = setting.truths
    weights = bootstrap.resamples(len(truths), setting.seed)  # (B, R)
    roc, precision, vus, ranked, drawn = _ranking(said, setting, weights)
    matched = told(said, setting)
    alarms = [each.alarm for each in said]
    opened = [while_open(each.incidents, truth.tick) for each, truth in zip(said, truths, strict=True)]
    figures = Detector(
        name=name,
        label=label,
        role=role,
        roc_auc=roc,
        average_precision=precision,
        vus_pr=vus,
        points=_points(alarms, truths, weights),
        points_in_incidents=_points(opened, truths, weights),
        best=_best(ranked),
        events=events_of(matched, setting, weights),
    )
    return Judgement(figures, ranked, drawn, matched)


def against(model: Judgement, other: Judgement, runs: int) -> Detector:
    """The other one's figures with how far its average precision is ahead of the model's, on the same draws."""
    mine, theirs = model.figures.average_precision.value, other.figures.average_precision.value
    if mine is None or theirs is None:
        return other.figures
    low, high = bootstrap.interval(other.drawn - model.drawn, runs)
    return msgspec.structs.replace(other.figures, ahead=Figure(theirs - mine, low, high))


def looks_inverted(found: Detector) -> str:
    """A sentence where the score is high on rows that are labelled as normal; else empty."""
    auc = found.roc_auc
    if auc.value is None or auc.value >= (SURELY_INVERTED if auc.high is None else INVERTED):
        return ""
    if auc.high is not None and auc.high >= 1 / 2:
        return ""
    return (
        f"the score is anti-correlated with the label (ROC-AUC {auc.value:.2f}, where chance is 0.5): it is "
        "higher on rows labelled as normal. Are the labels inverted? A label other than 0 means anomalous"
    )


def _ranking(
    said: Sequence[Said], setting: Setting, weights: Float64
) -> tuple[Figure, Figure, Figure, ranking.Counts | None, Float64]:
    rows = list(zip(setting.truths, said, setting.common, strict=True))
    scores = [each.score[common] for _, each, common in rows]
    anomalous = [truth.anomalous[common] for truth, _, common in rows]
    nothing = np.full(len(weights), np.nan)
    truth = np.concatenate(anomalous)
    if truth.all() or not truth.any():
        return Figure(None), Figure(None), Figure(None), None, nothing
    ranked = ranking.counts(np.concatenate(scores), truth)
    parts = ranking.binned(scores, anomalous)
    whole = ranking.Counts(parts.score, weights @ parts.anomalous, weights @ parts.normal)  # (B, K)
    runs = len(rows)
    drawn = ranking.average_precision(whole)  # (B,)
    vus = np.array([vus_pr(score, true, setting.reach) for score, true in zip(scores, anomalous, strict=True)])
    there = ~np.isnan(vus)
    volume = weights[:, there] @ vus[there] / np.maximum(weights[:, there].sum(axis=1), 1)
    return (
        Figure(float(ranking.roc_auc(ranked)), *bootstrap.interval(ranking.roc_auc(whole), runs)),
        Figure(float(ranking.average_precision(ranked)), *bootstrap.interval(drawn, runs)),
        Figure(float(vus[there].mean()), *bootstrap.interval(volume, int(there.sum()))),
        ranked,
        drawn,
    )


def _points(alarms: Sequence[Bool], truths: Sequence[Truth], weights: Float64) -> Points:
    """The figures of these alarms (N,) of each run."""
    table = np.array([_count(alarm, truth) for alarm, truth in zip(alarms, truths, strict=True)])  # (R, 4)
    hits, misses, false, quiet = (weights @ table).T  # (B,) each
    found = PointCounts(*table.sum(axis=0).tolist())
    runs = len(truths)

    def figure(value: float | None, part: Float64, whole: Float64) -> Figure:
        drawn = np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)
        return Figure(value, *bootstrap.interval(drawn, runs))

    return Points(
        f1=figure(found.f1, 2 * hits, 2 * hits + misses + false),
        far=figure(found.false_alarm_rate, false, false + quiet),
        mar=figure(found.missed_alarm_rate, misses, hits + misses),
    )


def _count(alarm: Bool, truth: Truth) -> tuple[float, float, float, float]:
    """Rows of one run by truth and alarm; a tick without a score raised no alarm."""
    alarm, anomalous = alarm[truth.judged], truth.anomalous[truth.judged]
    hits, false = int((alarm & anomalous).sum()), int((alarm & ~anomalous).sum())
    return hits, int(anomalous.sum()) - hits, false, int((~anomalous).sum()) - false


def _best(ranked: ranking.Counts | None) -> BestByLabel | None:
    if ranked is None:
        return None
    found = ranking.best(ranked)
    above = ranked.score >= found.threshold
    hits, false = float(ranked.anomalous[above].sum()), float(ranked.normal[above].sum())
    rest = float(ranked.anomalous.sum()) - hits, float(ranked.normal.sum()) - false
    table = PointCounts(hits, rest[0], false, rest[1])
    return BestByLabel(found.threshold, found.f1, table.false_alarm_rate, table.missed_alarm_rate)


def told(said: Sequence[Said], setting: Setting) -> tuple[Matched, ...]:
    """What became of each run's events and incidents."""
    return tuple(_matched(each, truth, setting.reach) for each, truth in zip(said, setting.truths, strict=True))


def events_of(matched: Sequence[Matched], setting: Setting, weights: Float64) -> Events:
    """The figures of incidents; `weights` (B, R) draw the runs."""
    total = summed(matched)
    sums = np.array([[len(run.events), _found(run), len(run.false)] for run in matched], np.float64)  # (R, 3)
    events, found, false = (weights @ sums).T  # (B,) each
    with np.errstate(divide="ignore", invalid="ignore"):
        drawn = np.where(events > 0, 2 * found / (events + found + false), np.nan)
    seconds = np.array(total.delays) * setting.period_ms / 1000
    hours = setting.hours
    low, high = poisson_interval(total.false)
    return Events(
        events=total.events,
        found=total.found,
        hidden=total.hidden,
        incidents=sum(run.own for run in matched) + total.false,
        false=total.false,
        hours=hours,
        f1=Figure(total.f1, *bootstrap.interval(drawn, len(matched))),
        false_per_hour=_rate(total.false, low, high, hours),
        false_per_asset_day=_rate(total.false, low, high, hours / HOURS_A_DAY),
        delay_s_median=float(np.median(seconds)) if len(seconds) else None,
        delay_s_90=float(np.quantile(seconds, 0.9)) if len(seconds) else None,
        named=total.named,
        nameable=total.nameable,
        by_kind={
            kind: KindFound(count, total.found_of_kind[kind]) for kind, count in sorted(total.of_kind.items())
        },
    )


def _rate(count: int, low: float, high: float, time: float) -> Figure:
    return Figure(count / time, low / time, high / time) if time else Figure(None)


def _found(run: Matched) -> int:
    return sum(delay is not None for delay in run.delay)


def _matched(said: Said, truth: Truth, reach: int) -> Matched:
    """A run's events and incidents; what fired in ticks that are not judged is not false either."""
    matched = match(truth.events, said.incidents, reach)
    place = np.searchsorted(truth.tick, [each.fired for each in matched.false], side="right") - 1
    counted = [bool(p >= 0 and truth.judged[p]) for p in place]
    return replace(
        matched, false=tuple(each for each, counts in zip(matched.false, counted, strict=True) if counts)
    )


def while_open(incidents: Sequence[Incident], tick: Int64) -> Bool:
    """Whether an incident was open at each of these ticks (N,)."""
    opened = np.zeros(len(tick), np.bool_)
    for each in incidents:
        start = np.searchsorted(tick, each.fired)
        end = len(tick) if each.cleared is None else np.searchsorted(tick, each.cleared)
        opened[start:end] = True
    return opened
