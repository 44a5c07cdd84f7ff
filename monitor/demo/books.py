"""What came of a demo: values accounted for, faults found, alarms that were false. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from monitor.records import AlertEvent, Kind, Transition

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from monitor.records import StoredScores
    from simulator.faults import Fault

# Times are epoch ms; an alert is a transition as its subscriber received it, beside the time at which it came.
Alert = tuple[int, AlertEvent]


def explains(fault: Fault, asset: str, beginning: int, event: AlertEvent, after_ms: int) -> bool:
    """Whether an incident can be of a fault: the engine's or the sensor's, and in its time.

    A window still holds a fault for its own length after it; `after_ms` allows for that, and for what has to cool
    down. `beginning` is that of the fleet.
    """
    if event.stream.rpartition("/")[2] != asset:
        return False
    if fault.sensor:
        fits = event.kind.startswith("sensor_") and event.sensor == fault.sensor
    else:
        fits = event.kind == Kind.ANOMALY
    return fits and beginning + fault.start_ms <= event.time <= beginning + fault.end_ms + after_ms


def seconds_to_alert(
    fault: Fault, asset: str, beginning: int, alerts: Iterable[Alert], after_ms: int
) -> float | None:
    """From the fault's beginning until its first alert came; None where none has."""
    for came, event in alerts:
        if event.transition == Transition.FIRED and explains(fault, asset, beginning, event, after_ms):
            return round((came - beginning - fault.start_ms) / 1000, 2)
    return None


def false_alarms(
    faults: Sequence[Fault], assets: Sequence[str], beginning: int, alerts: Iterable[Alert], after_ms: int
) -> int:
    """Incidents that no fault explains. That an asset is silent is no alarm of a fault."""
    return sum(
        event.transition == Transition.FIRED
        and event.kind != Kind.STALE
        and not any(explains(fault, assets[fault.engine], beginning, event, after_ms) for fault in faults)
        for _, event in alerts
    )


def stored_values(batches: Iterable[StoredScores]) -> int:
    """Values that stand in score rows, as they were reported."""
    return sum(int((~np.isnan(batch.rows.actual)).sum()) for batch in batches)


def summary(
    *,
    published: int,
    outcomes: Mapping[str, int],
    stored: int,
    faults: Sequence[Fault],
    assets: Sequence[str],
    beginning: int,
    alerts: Sequence[Alert],
    after_ms: int,
) -> dict[str, Any]:
    """All of it, counted in values; `faults` are those that have begun."""
    return {
        "published": published,
        "outcomes": dict(outcomes),
        "stored": stored,
        "faults": [
            {
                "asset": assets[fault.engine],
                "kind": fault.kind,
                "sensor": fault.sensor or None,
                "severity": fault.severity,
                "start": beginning + fault.start_ms,
                "seconds_to_alert": seconds_to_alert(fault, assets[fault.engine], beginning, alerts, after_ms),
            }
            for fault in faults
        ],
        "alerts": [msgspec.to_builtins(event) for _, event in alerts],
        "false_alarms": false_alarms(faults, assets, beginning, alerts, after_ms),
    }


def balanced(result: Mapping[str, Any]) -> bool:
    """Whether every value has its outcome, and every one in a row was read back."""
    outcomes: dict[str, int] = result["outcomes"]
    return bool(result["published"] == sum(outcomes.values()) and result["stored"] == outcomes.get("in_row", 0))


def sentence(result: Mapping[str, Any]) -> str:
    """The result in words."""
    faults = result["faults"]
    found = sum(fault["seconds_to_alert"] is not None for fault in faults)
    outcomes = ", ".join(f"{count:,} {name}" for name, count in result["outcomes"].items() if count)
    return (
        f"{result['published']:,} values published, {outcomes or 'none accounted for'}; "
        f"{result['stored']:,} read back; {found} of {len(faults)} faults found, "
        f"{result['false_alarms']} false alarm{'' if result['false_alarms'] == 1 else 's'}"
    )
