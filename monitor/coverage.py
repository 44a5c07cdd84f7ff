"""How much of the time each asset was scored, out of its stretches. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from monitor.records import Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SCORED = Status.SCORED.name.lower()
REGIME = Status.REGIME.name.lower()
OFFLINE = "offline"
MAINTENANCE = "maintenance"
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
    return [_of(asset, list(_joined(own, since))) for asset, own in groupby(stretches, lambda each: each.asset)]


def _joined(stretches: Iterable[Stretch], since: int) -> Iterator[Stretch]:
    """The stretches from `since` on; those of the same reason that follow each other are one."""
    last: Stretch | None = None
    for each in stretches:
        now = each._replace(start=max(each.start, since))
        if last is not None and last.reason == now.reason and last.end == now.start:
            last = last._replace(end=now.end)
            continue
        if last is not None:
            yield last
        last = now
    if last is not None:
        yield last


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
