"""Maintenance of assets: what is planned and going on, and what that holds back. Pure.

While it lasts an asset's rows are scored and stored as ever, but they raise, clear and teach nothing: no incident
fires or clears, and its threshold does not learn. It begins and ends by the records' time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from monitor.records import Bool, Command


NEVER = 2**62


@dataclass(slots=True)
class Plan:
    """The maintenance of one asset: at most one at a time."""

    since: int  # epoch ms, as `until`
    until: int
    who: str = ""
    why: str = ""
    begun: bool = False  # the line has seen it begin, so it has to see it end

    def lasts(self, now: int) -> bool:
        """Whether it is going on."""
        return (self.begun or self.since <= now) and now < self.until


def planned(plans: Mapping[str, Plan], asked: Command, now: int) -> Plan | None:
    """What a command makes of an asset's plan; of one that has begun only the end changes.

    None where it would begin later and one is going on: held back till the end of the later one nobody meant.
    """
    before = plans.get(asked.asset)
    since = now if asked.since is None else asked.since
    if before is None or not before.begun:
        return Plan(since, asked.until or now, asked.who, asked.why)
    if since > now:
        return None
    return Plan(before.since, asked.until or now, asked.who, asked.why, begun=True)


def held(plans: Mapping[str, Plan], number: Mapping[str, int], streams: int) -> Bool | None:
    """Which of so many streams (S,) are under maintenance; None where none is, which is the rule."""
    found = [number[asset] for asset, plan in plans.items() if plan.begun and asset in number]
    if not found:
        return None
    mask = np.zeros(streams, np.bool_)
    mask[found] = True
    return mask


def next_turn(plans: Mapping[str, Plan]) -> int:
    """When the next one begins or ends (epoch ms); NEVER where none does."""
    return min((plan.until if plan.begun else plan.since for plan in plans.values()), default=NEVER)


def turn(plans: dict[str, Plan], now: int) -> tuple[list[str], list[str]]:
    """The assets whose maintenance begins and ends by now; changes `plans`: what is over is no longer there."""
    begins = [asset for asset, plan in plans.items() if not plan.begun and plan.lasts(now)]
    for asset in begins:
        plans[asset].begun = True
    over = {asset: plan for asset, plan in plans.items() if plan.until <= now}
    for asset in over:
        del plans[asset]
    return begins, [asset for asset, plan in over.items() if plan.begun]
