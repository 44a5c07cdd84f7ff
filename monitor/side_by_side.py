"""Two models on the same ticks: what each scored, what it raised, and what only one of them did. Pure.

Counted are the ticks that both scored; where a class has no model yet, those at which its limits watched. An
incident counts when it began in the time that was watched of its asset, so that both had the same chances. Two of
one asset are the same when their times overlap, or come within a window's length of each other.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from monitor.records import Kind, Status, Transition

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from monitor.records import AlertEvent, Float32, Int64, StoredScores

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
# What says something of the machine or of a sensor. Silence and blindness are nobody's opinion.
TOLD = frozenset(Kind) - {Kind.STALE, Kind.BLIND}
OVER = frozenset({Transition.CLEARED, Transition.ACCEPTED})
WITHOUT_MODEL = (Status.LEARNING, Status.NO_MODEL)
EDGES = 10 ** np.linspace(-3, 3, 601)  # of the bins of scores: a quantile is known to 2.4 %
QUANTILES = (0.5, 0.95, 0.99, 0.999)
REAL, FALSE = "real", "false"


class Found(msgspec.Struct, frozen=True):
    """An incident of one of the two."""

    asset: str
    kind: str
    started: int  # event time
    ended: int | None  # None = it is open
    summary: str = ""
    verdict: str = ""  # an operator's: "real" or "false"
    incident_id: str = ""


class Span(msgspec.Struct):
    """What was watched of an asset."""

    first: int  # event time
    last: int
    rows: int


class Scored(msgspec.Struct):
    """Scores of one of the two, counted."""

    rows: int = 0
    above: int = 0  # their threshold
    bins: list[int] = msgspec.field(default_factory=lambda: [0] * (len(EDGES) + 1))

    def add(self, score: Float32, threshold: Float32) -> None:
        """Count scores (M,), NaN = none, by what each was judged by (M,)."""
        there = ~np.isnan(score)
        self.rows += int(np.count_nonzero(there))
        self.above += int(np.count_nonzero(score[there] > threshold[there]))
        counts = np.bincount(np.searchsorted(EDGES, score[there]), minlength=len(self.bins))
        self.bins = (np.array(self.bins) + counts).tolist()

    def quantile(self, share: float) -> float | None:
        """The score that this share of the rows does not exceed, by the edge of its bin; None without rows."""
        if not self.rows:
            return None
        place = int(np.searchsorted(np.cumsum(self.bins), share * self.rows))
        return float(EDGES[min(place, len(EDGES) - 1)])


class Tally(msgspec.Struct):
    """What was counted so far. The first of the two is the model in use, where one is."""

    period_ms: int
    spans: dict[str, Span] = {}
    first: Scored = msgspec.field(default_factory=Scored)
    second: Scored = msgspec.field(default_factory=Scored)

    def add(self, first: Sequence[StoredScores], second: Sequence[StoredScores]) -> Pairs:
        """Count the ticks that both tell of, each once; returns them."""
        pairs = paired(first, second)
        self.first.add(pairs.first, pairs.first_threshold)
        self.second.add(pairs.second, pairs.second_threshold)
        rows = np.bincount(pairs.asset, minlength=len(pairs.assets))
        earliest = np.full(len(pairs.assets), np.iinfo(np.int64).max)
        latest = np.zeros(len(pairs.assets), np.int64)
        np.minimum.at(earliest, pairs.asset, pairs.time)
        np.maximum.at(latest, pairs.asset, pairs.time)
        for number in np.flatnonzero(rows).tolist():
            name = pairs.assets[number]
            span = self.spans.setdefault(name, Span(int(earliest[number]), int(latest[number]), 0))
            span.first, span.last = min(span.first, int(earliest[number])), max(span.last, int(latest[number]))
            span.rows += int(rows[number])
        return pairs

    @property
    def asset_ms(self) -> int:
        """The time that was watched, of all assets together."""
        return sum(span.rows for span in self.spans.values()) * self.period_ms


@dataclass(frozen=True, slots=True)
class Pairs:
    """M ticks, with the scores of both."""

    assets: list[str]  # by number
    asset: Int64  # (M,)
    time: Int64  # (M,) event time
    first: Float32  # (M,) NaN where limits watched in place of a model
    first_threshold: Float32  # (M,)
    second: Float32  # (M,)
    second_threshold: Float32  # (M,)


def paired(first: Sequence[StoredScores], second: Sequence[StoredScores]) -> Pairs:
    """The ticks (M,) that the second scored and the first scored too, or had no model for."""
    number: dict[str, int] = {}
    one, other = _columns(first, number), _columns(second, number)
    one = _of(one, np.isin(one.status, (Status.SCORED, *WITHOUT_MODEL)))
    other = _of(other, other.status == Status.SCORED)
    base = min((int(each.time.min()) for each in (one, other) if len(each.time)), default=0)
    span = max((int(each.time.max()) - base + 1 for each in (one, other) if len(each.time)), default=1)
    mine, theirs = (each.asset * span + each.time - base for each in (one, other))  # a tick has one
    _, here, there = np.intersect1d(mine, theirs, return_indices=True)
    return Pairs(
        list(number), one.asset[here], one.time[here], one.score[here], one.threshold[here],
        other.score[there], other.threshold[there],
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Columns:
    asset: Int64  # (N,)
    time: Int64  # (N,)
    status: Int64  # (N,)
    score: Float32  # (N,)
    threshold: Float32  # (N,)


def _columns(batches: Sequence[StoredScores], number: dict[str, int]) -> _Columns:
    """The rows of all batches; names that are new get a number."""
    codes = [number.setdefault(name, len(number)) for each in batches for name in each.streams]
    whole, part = np.zeros(0, np.int64), np.zeros(0, np.float32)
    return _Columns(
        np.array(codes, np.int64),
        np.concatenate([whole, *(each.time for each in batches)]),
        np.concatenate([whole, *(each.rows.status for each in batches)]),
        np.concatenate([part, *(each.rows.score for each in batches)]),
        np.concatenate([part, *(each.rows.threshold for each in batches)]),
    )


def _of(columns: _Columns, rows: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> _Columns:
    return _Columns(*(getattr(columns, name)[rows] for name in _Columns.__slots__))


def incidents(events: Iterable[AlertEvent]) -> list[Found]:
    """What fired, and when it was over, out of transitions in their order."""
    found: dict[str, Found] = {}
    for event in events:
        if event.kind in TOLD and event.transition is Transition.FIRED:
            found[event.incident_id] = Found(
                event.stream, event.kind, event.started, None, event.summary, "", event.incident_id
            )
        elif event.transition in OVER and event.incident_id in found:
            was = found[event.incident_id]
            found[event.incident_id] = msgspec.structs.replace(was, ended=event.time)
    return list(found.values())


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two, in figures."""

    incidents: int
    per_asset_day: float | None  # None where nothing was watched
    above: float | None  # share of rows above their threshold; None where none was scored
    quantiles: dict[str, float | None]  # of the scores


@dataclass(frozen=True, slots=True)
class SideBySide:
    """Both, in figures."""

    assets: int
    rows: int
    asset_hours: float
    hours: float  # of an asset, in the mean
    since: int | None  # event time
    until: int | None
    first: Side
    second: Side
    both: int  # incidents of the first that the second has too
    only_first: list[Found]
    only_second: list[Found]
    missed_real: list[Found]  # of `only_first`, judged "real"
    spared_false: int  # of `only_first`, judged "false"
    notes: list[str] = field(default_factory=list)


def side_by_side(
    tally: Tally, first: Sequence[Found], second: Sequence[Found], *, slack_ms: int, notes: Iterable[str] = ()
) -> SideBySide:
    """Both in figures; `slack_ms` is the length of the longer window.

    What the second raised for an incident that the first had open before is nobody's: the first had no chance to
    raise it again.
    """
    spans = tally.spans
    mine = [each for each in first if _within(each, spans)]
    before = [each for each in first if not _within(each, spans)]
    carried = _met(second, before, slack_ms)
    met_by_first = _met(second, mine, slack_ms)
    theirs = [
        (each, met)
        for each, was, met in zip(second, carried, met_by_first, strict=True)
        if _within(each, spans) and (met or not was)
    ]
    met = _met(mine, [each for each, _ in theirs], slack_ms)
    only_first = [each for each, same in zip(mine, met, strict=True) if not same]
    days = tally.asset_ms / DAY_MS
    return SideBySide(
        assets=len(spans),
        rows=sum(span.rows for span in spans.values()),
        asset_hours=tally.asset_ms / HOUR_MS,
        hours=tally.asset_ms / HOUR_MS / max(1, len(spans)),
        since=min((span.first for span in spans.values()), default=None),
        until=max((span.last for span in spans.values()), default=None),
        first=_side(tally.first, len(mine), days),
        second=_side(tally.second, len(theirs), days),
        both=sum(met),
        only_first=only_first,
        only_second=[each for each, same in theirs if not same],
        missed_real=[each for each in only_first if each.verdict == REAL],
        spared_false=sum(each.verdict == FALSE for each in only_first),
        notes=list(notes),
    )


def _side(scored: Scored, count: int, days: float) -> Side:
    return Side(
        incidents=count,
        per_asset_day=count / days if days else None,
        above=scored.above / scored.rows if scored.rows else None,
        quantiles={f"{100 * share:g} %": scored.quantile(share) for share in QUANTILES},
    )


def _within(each: Found, spans: dict[str, Span]) -> bool:
    """Whether an incident began in the time that was watched of its asset."""
    span = spans.get(each.asset)
    return span is not None and span.first <= each.started <= span.last


def _met(these: Sequence[Found], those: Sequence[Found], slack_ms: int) -> list[bool]:
    """Of each of these whether one of those is of its asset and its time."""
    of: dict[str, list[Found]] = {}
    for each in those:
        of.setdefault(each.asset, []).append(each)
    return [any(_overlap(each, other, slack_ms) for other in of.get(each.asset, ())) for each in these]


def _overlap(one: Found, other: Found, slack_ms: int) -> bool:
    return (other.ended is None or one.started <= other.ended + slack_ms) and (
        one.ended is None or other.started <= one.ended + slack_ms
    )


def not_yet(found: SideBySide, *, hours: float, ratio: float) -> list[str]:
    """What keeps the second from being taken into use by the rule; nothing where the rule is met."""
    reasons = []
    if found.hours < hours:
        reasons.append(f"{found.hours:.1f} of {hours:g} hours were watched")
    if found.second.incidents > ratio * found.first.incidents:
        reasons.append(
            f"it raised {found.second.incidents} incidents where the model in use raised {found.first.incidents}"
            + ("" if ratio == 1 else f" and {ratio:g} times as many are let pass")
        )
    if found.missed_real:
        each = found.missed_real[0]
        reasons.append(f"it missed {len(found.missed_real)} real ones, such as {each.incident_id} of {each.asset}")
    return reasons


def rank_correlation(one: Float32, other: Float32) -> float | None:
    """Spearman's, of M pairs without NaN, ties by their mean rank; None where one of them does not vary."""
    ranks = [_ranks(each) for each in (one, other)]
    if min(len(one), *(np.ptp(each) if len(each) else 0 for each in ranks)) == 0:
        return None
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def _ranks(values: Float32) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    mean: np.ndarray[tuple[int], np.dtype[np.float64]] = (np.cumsum(count) - (count - 1) / 2)[place]
    return mean
