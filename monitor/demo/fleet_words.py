"""What the demo of a fleet says on its live line and at its end. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True)
class FleetState:
    """What the live line tells. None = not known yet."""

    since_s: float  # since the first report
    published_s: float | None  # readings a second that Kafka took
    rows: int  # that are in InfluxDB
    scored: int
    covered_s: float | None  # readings a second that rows cover
    behind: int  # readings that Kafka took, and no row covers
    delay_s: tuple[float, float] | None
    open_incidents: int
    faults: int  # that have begun
    found: int
    trouble: str = ""


def status(state: FleetState) -> Text:
    """One line."""
    parts = [_rate(state.published_s, "readings/s published")]
    if state.trouble:
        parts.append(Text(state.trouble, style="yellow"))
    elif not state.rows:
        parts.append(Text(f"Spark is starting ({state.since_s:.0f} s)", style="yellow"))
    elif not state.scored:
        parts.append(Text(f"windows are filling: {state.rows:,} rows, none scored yet", style="yellow"))
    else:
        parts.append(_rate(state.covered_s, "readings/s in rows"))
    if state.rows:
        parts.append(Text(f"{state.behind:,} behind"))
    if state.delay_s is not None:
        median, most = state.delay_s
        parts.append(Text(f"delay {median:.1f} s, 95 % within {most:.1f} s"))
    if state.scored:
        style = "bold red" if state.open_incidents else "green"
        plural = "" if state.open_incidents == 1 else "s"
        parts.append(Text(f"{state.open_incidents} open incident{plural}", style=style))
        parts.append(Text(f"{state.found} of {state.faults} faults found"))
    return Text(" · ").join(parts)


def _rate(rate: float | None, unit: str) -> Text:
    return Text(f"{'-' if rate is None else format(rate, ',.0f')} {unit}")


def missing(sent: Mapping[str, int], rows: Mapping[str, int], ticks: int) -> int:
    """Rows that the readings of each vehicle should have made, one for so many, and that are not there.

    >>> missing({"a": 16, "b": 16}, {"a": 2, "b": 1}, 8)
    1
    """
    return sum(max(0, readings // ticks - rows.get(asset, 0)) for asset, readings in sent.items())


def sentence(result: Mapping[str, Any]) -> str:
    """What came of it."""
    faults: Sequence[Mapping[str, Any]] = result["faults"]
    times = sorted(fault["seconds_to_alert"] for fault in faults if fault["seconds_to_alert"] is not None)
    within = f", half of them within {times[len(times) // 2]:.0f} s" if times else ""
    delay = result["delay_s"]
    late = "" if delay is None else f", half of them {delay[0]:.1f} s after their readings or sooner"
    plural = "" if result["false_alarms"] == 1 else "s"
    slow = (
        "; this machine was too slow for what Kafka keeps here: take fewer --vehicles" if result["let_go"] else ""
    )
    return (
        f"{result['readings']:,} readings of {result['vehicles']:,} vehicles published in "
        f"{result['reports']:,} messages; "
        f"{result['rows']:,} rows in InfluxDB{late}, {result['missing_rows']:,} missing{slow}; "
        f"{len(times)} of {len(faults)} faults found{within}, {result['false_alarms']} false alarm{plural}"
    )
