"""Which faults the demo's fleet has, and when. Pure: a table, and the engines in an order drawn by the seed."""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass
from itertools import cycle
from typing import TYPE_CHECKING

from simulator.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Sequence

RECOVERY_MS = (
    90_000  # from a fault's end until its engine is as before: window, clearing, and what has to cool down
)


@dataclass(frozen=True, slots=True)
class Act:
    """One fault of the programme."""

    kind: str
    severity: str
    lasts_s: int
    sensor: str = ""


# Each engine fault shows within a minute at any duty, soon passes again, and leaves every sensor in its range. The
# first one shows within seconds: nobody should have to wait for the first alert.
PROGRAMME = (
    Act("lean_mixture", "severe", 60),
    Act("dropout", "severe", 40, sensor="oil_pressure"),
    Act("misfire", "severe", 60),
    Act("oil_pump_wear", "severe", 60),
    Act("low_ignition_voltage", "severe", 60),
    Act("stuck", "severe", 60, sensor="map"),
    Act("bearing_wear", "severe", 60),
    Act("rich_mixture", "severe", 60),
    Act("injector_drift", "severe", 60),
)
FIRST_S = (12, 22, 34)  # when the first acts begin, after the live readings do …
EACH_S = 45  # … and the distance of all others


def faults(
    engines: int,
    seed: int,
    *,
    from_ms: int,
    until_ms: int,
    first_s: Sequence[int] = FIRST_S,
    each_s: int = EACH_S,
) -> list[Fault]:
    """The programme, over and over, from one time of the fleet to another; never twice at once on an engine.

    The first acts begin `first_s` after the beginning, and all others `each_s` after the one before. A fault that
    lasts beyond `until_ms` stays until the end.
    """
    order = deque(random.Random(seed).sample(range(engines), engines))  # noqa: S311 - a shuffle, not a secret
    free = dict.fromkeys(order, from_ms)  # engine -> when it is as before again
    planned: list[Fault] = []
    due = from_ms
    for number, act in enumerate(cycle(PROGRAMME)):
        due = from_ms + 1000 * first_s[number] if number < len(first_s) else due + 1000 * each_s
        engine = order[0]
        order.rotate(-1)
        due = max(due, free[engine])
        if due >= until_ms:
            return planned
        lasts = 1000 * act.lasts_s
        planned.append(Fault(engine, act.kind, act.severity, start_ms=due, duration_ms=lasts, sensor=act.sensor))
        free[engine] = due + lasts + RECOVERY_MS
    raise AssertionError  # a cycle has no end
