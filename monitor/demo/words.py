"""What the demo says on the screen. Pure: rich's texts and tables out."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from monitor.incident import compared
from monitor.records import Kind, Transition
from simulator.fault_kinds import FAULTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from monitor.records import AlertEvent
    from simulator.faults import Fault

LONGEST_SYMBOL = 4  # a longer unit is a description


@dataclass(frozen=True, slots=True)
class State:
    """What the status line tells. None = not known yet."""

    values_s: float | None  # a second, acknowledged by the broker
    scored_s: float | None = None  # rows a second that the model scored
    streams: int = 0
    warming_up: tuple[int, ...] | None = None  # ticks in the fullest window, and its length; None = it scores
    open_incidents: int = 0
    lags: Mapping[str, int] = field(default_factory=dict)  # what waits for each sink
    trouble: str = ""  # why nothing is scored, in words


def status(state: State) -> Text:
    """One line."""
    parts = [_rate(state.values_s, "values/s")]
    if state.trouble:
        parts.append(Text(state.trouble, style="yellow"))
    else:
        plural = "" if state.open_incidents == 1 else "s"
        style = "bold red" if state.open_incidents else "green"
        parts += [_rate(state.scored_s, "scored/s"), Text(f"{state.streams} streams")]
        if state.warming_up is not None:
            parts.append(Text("warming up {}/{}".format(*state.warming_up), style="yellow"))
        parts.append(Text(f"{state.open_incidents} open incident{plural}", style=style))
        parts.append(Text("lag " + ", ".join(f"{sink} {lag}" for sink, lag in state.lags.items())))
    return Text(" · ").join(parts)


def _rate(rate: float | None, unit: str) -> Text:
    return Text(f"{'-' if rate is None else format(rate, ',.0f')} {unit}")


def begins(fault: Fault, asset: str, now: int, *, by_hand: bool = False) -> Table:
    """A fault of the simulation begins: what the daemon is not told."""
    kind = FAULTS[fault.kind]
    where = f" of {fault.sensor}" if fault.sensor else ""
    severity = f"{fault.severity} " if isinstance(fault.severity, str) else ""
    text = f"{severity}{kind.name}{where}: {kind.what} ({amount(fault)})"
    return _entry(now, "fault", "magenta", asset, [Text(text + _by_hand(by_hand))])


def ends(fault: Fault, asset: str, now: int, *, by_hand: bool = False) -> Table:
    """It is over."""
    return _entry(now, "mended", "magenta", asset, [Text(fault.kind + _by_hand(by_hand))])


def _by_hand(by_hand: bool) -> str:
    return ", by hand" if by_hand else ""


def amount(fault: Fault) -> str:
    """A fault's severity in its unit, in words.

    >>> from simulator.faults import Fault
    >>> [amount(Fault(0, kind, "severe")) for kind in ("misfire", "low_ignition_voltage", "bearing_wear")]
    ['60 %', '3 V', 'clearance relative to new: 3']
    """
    unit = FAULTS[fault.kind].unit
    if unit.startswith("share of "):
        return f"{fault.amount * 100:.3g} %"
    return f"{fault.amount:g} {unit}" if len(unit) <= LONGEST_SYMBOL else f"{unit}: {fault.amount:g}"


def told(event: AlertEvent, asset: str, now: int, seconds: float | None) -> Table:
    """A transition of an incident; `seconds` have passed since the fault began, None where there is none."""
    if event.transition != Transition.FIRED:
        style = "green" if event.transition == Transition.CLEARED else "cyan"
        return _entry(now, event.transition.value, style, asset, [Text(event.summary)])
    after = "no fault is known" if seconds is None else f"{seconds:.0f} s after its onset"
    if event.kind != Kind.ANOMALY:
        lines = [Text.assemble((event.summary, "bold"), f", {after}")]
        if event.sensor:
            what = "these values" if event.kind == Kind.SENSOR_SPIKES else "it"
            lines.append(Text(f"a fault of the sensor: the model goes on without {what}"))
        return _entry(now, "SENSOR" if event.sensor else "SILENT", "bold yellow", asset, lines)
    score, threshold = event.score or 0.0, event.threshold or 1.0
    head = f", {after}: score {score:.3g}, {score / threshold:.1f} times its threshold"
    lines = [Text.assemble((event.severity, "bold red"), head)]
    lines += [Text(compared(each), style="" if number else "bold") for number, each in enumerate(event.top)]
    return _entry(now, "ALERT", "bold red", asset, lines)


def _entry(now: int, word: str, style: str, asset: str, lines: Iterable[Text]) -> Table:
    """When, what, who, and further lines below each other."""
    clock = datetime.fromtimestamp(now / 1000, UTC).astimezone().strftime("%H:%M:%S")
    table = Table.grid(padding=(0, 2, 0, 0))
    for width in (8, 7, max(9, len(asset))):
        table.add_column(width=width, no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row(Text(clock, style="dim"), Text(word, style=style), Text(asset), Text("\n").join(lines))
    return table
