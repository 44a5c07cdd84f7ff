"""What was promised of false alarms, and what came of it since: one fact in the store, and what lies beside it."""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from monitor.alarm_budget import parse
from monitor.coverage import coverage
from monitor.false_alarms import DAY_MS, poisson_bounds
from monitor.records import Kind
from monitor.spec import LineSpec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.spec import ClassSpec
    from monitor.store import Store

FACT = "calibration"
REAL = "real"


@dataclass(frozen=True, slots=True)
class Calibration:
    """The floor that a class was given for a budget. Rates are per asset-day."""

    at: int  # epoch ms
    budget: str
    floor: float
    before: float
    way: str  # "counted" or "tail"
    predicted: float | None  # what was to be expected; None: only the bound is known
    low: float | None
    high: float
    days: float  # asset-days of normal data
    assets: int


def noted(store: Store) -> dict[str, Calibration]:
    """By class; nothing where no class was calibrated. Raises StoreError."""
    fact = store.facts().get(FACT)
    return {} if fact is None else msgspec.json.decode(fact, type=dict[str, Calibration])


def note(store: Store, made: dict[str, Calibration]) -> None:
    """Keep what classes were given, beside what is known of others. Raises StoreError."""
    store.note({FACT: msgspec.json.encode({**noted(store), **made}).decode()})


def sharing(classes: Sequence[ClassSpec], name: str) -> list[ClassSpec]:
    """A class and those of its overrides that share its threshold, the class itself last; empty where it is gone.

    An override with a floor of its own has it from somebody, and no calibration of the class changes that.
    """
    family = [each for each in classes if each.family == name]
    return [each for each in family if each.threshold.floor == family[-1].threshold.floor]


def report(store: Store) -> list[dict[str, Any]]:
    """Of every calibrated class: what was predicted, and the incidents since, those judged real left out.

    Rates are in the budget's unit; `floor_now` is what the daemon works by. Raises StoreError.
    """
    known = noted(store)
    if not known:
        return []
    line = store.facts().get("line")
    classes = LineSpec.decode(line.encode()).classes if line else ()
    found = []
    for name, made in sorted(known.items()):
        shared = sharing(classes, name)
        floors = [each.threshold.floor for each in shared if each.name == name]
        family = [each for each in classes if each.family == name]

        def takes(asset: str, family: list[ClassSpec] = family, shared: list[ClassSpec] = shared) -> bool:
            first = next((each for each in family if each.route.takes(asset)), None)
            return first is not None and first in shared

        scored_ms = sum(each.scored for each in coverage(store.stretches(made.at), made.at) if takes(each.asset))
        with closing(store.incidents()) as incidents:
            since = sum(
                incident.started >= made.at
                and incident.kind == Kind.ANOMALY
                and verdict != REAL
                and takes(incident.stream)
                for incident, verdict, _ in incidents
            )
        found.append(
            {"class": name, **asdict(made), "floor_now": floors[0] if floors else None}
            | _in_unit(made, since, scored_ms / DAY_MS)
        )
    return found


def _in_unit(made: Calibration, incidents: int, days: float) -> dict[str, Any]:
    """The rates as the budget has them; None where nothing was scored since."""
    budget = parse(made.budget)

    def rate(a_day: float | None) -> float | None:
        return None if a_day is None else budget.of_rate(a_day, made.assets)

    low, high = poisson_bounds(incidents)
    return {
        "predicted": rate(made.predicted),
        "low": rate(made.low),
        "high": rate(made.high),
        "since": {
            "incidents": incidents,
            "days": days,
            "rate": rate(incidents / days) if days else None,
            "low": rate(low / days) if days else None,
            "high": rate(high / days) if days else None,
        },
    }
