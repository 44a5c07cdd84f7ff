"""How much of the time each asset was scored, out of its stretches. Pure.

From an asset's first stretch to its last every moment has one reason, so that its shares add up to one. Stretches
can leave a hole (the asset was forgotten, or the state was lost) and lie over each other (it was heard in two
classes).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, NamedTuple

from monitor.records import Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SCORED = Status.SCORED.name.lower()
REGIME = Status.REGIME.name.lower()
OFFLINE = "offline"
MAINTENANCE = "maintenance"
UNKNOWN = "unknown"  # no stretch tells of this time
NOT_RUNNING = frozenset({REGIME, OFFLINE, MAINTENANCE})  # not wanted: the asset said so, or a rule, or somebody


class Stretch(NamedTuple):
    """A time in which one status held, event time from `start` up to `end`."""

    asset: str
    start: int
    end: int
    status: str
    regime: str

    @property
    def reason(self) -> str:
        """Why nothing was scored: the status, or the name of the regime that is not scored."""
        return self.regime if self.status == REGIME else self.status


@dataclass(frozen=True, slots=True)
class Coverage:
    """One asset's time, in milliseconds."""

    asset: str
    start: int
    end: int
    scored: int
    not_running: int  # in a regime that is not scored, after a goodbye, or under maintenance
    reasons: dict[str, int]  # all that was not scored, by reason, the longest first
    gaps: list[Stretch]  # in their order

    @property
    def total(self) -> int:
        """What is known of the asset."""
        return self.end - self.start

    @property
    def share(self) -> float:
        """The share of all of it that was scored."""
        return self.scored / self.total

    @property
    def share_running(self) -> float | None:
        """The share of its running time that was scored; None where it did not run."""
        running = self.total - self.not_running
        return self.scored / running if running else None


def coverage(stretches: Iterable[Stretch], since: int) -> list[Coverage]:
    """What the stretches, by asset and time, say of the time from `since` on."""
    by_asset = groupby(stretches, lambda each: each.asset)
    found = ((asset, _joined(_laid_out(asset, own, since))) for asset, own in by_asset)
    return [_of(asset, parts) for asset, parts in found if parts]


def _laid_out(asset: str, stretches: Iterable[Stretch], since: int) -> Iterator[Stretch]:
    """The time from `since` on without holes and overlaps: what was scored counts, else what began last."""
    given = [each for each in stretches if each.end > max(each.start, since)]
    edges = sorted({edge for each in given for edge in (max(each.start, since), each.end)})
    waiting = sorted(given, key=lambda each: each.start, reverse=True)
    there: list[Stretch] = []
    for start, end in pairwise(edges):
        while waiting and waiting[-1].start <= start:
            there.append(waiting.pop())
        there = [each for each in there if each.end > start]
        nothing = Stretch(asset, start, end, UNKNOWN, "")
        best = max(there, key=lambda each: (each.status == SCORED, each.start), default=nothing)
        yield best._replace(start=start, end=end)


def _joined(stretches: Iterable[Stretch]) -> list[Stretch]:
    """Those of the same reason that follow each other are one."""
    joined: list[Stretch] = []
    for each in stretches:
        if joined and joined[-1].reason == each.reason:
            joined[-1] = joined[-1]._replace(end=each.end)
        else:
            joined.append(each)
    return joined


def _of(asset: str, stretches: list[Stretch]) -> Coverage:
    reasons: dict[str, int] = {}
    for each in stretches:
        if each.status != SCORED:
            reasons[each.reason] = reasons.get(each.reason, 0) + each.end - each.start
    return Coverage(
        asset=asset,
        start=stretches[0].start,
        end=stretches[-1].end,
        scored=sum(each.end - each.start for each in stretches if each.status == SCORED),
        not_running=sum(each.end - each.start for each in stretches if each.status in NOT_RUNNING),
        reasons=dict(sorted(reasons.items(), key=lambda item: (-item[1], item[0]))),
        gaps=[each for each in stretches if each.status != SCORED],
    )
