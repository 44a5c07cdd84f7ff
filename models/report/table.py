"""The tables of the report, as HTML."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from models.summary import MISSING, number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.evaluation import Detector, Figure
    from models.results import Results


def tiles(results: Results) -> str:
    """The figures that matter most, large."""
    daemon = results.named("daemon")
    events = daemon.events
    day, precision = events.false_per_asset_day, daemon.average_precision
    counted = f"{events.false} in {events.hours:.1f} h"
    later = f"90 % within {_seconds(events.delay_s_90)}" if events.found else ""
    shown = [
        ("events found", f"{events.found}<small> of {events.events}</small>", _between(events.f1, "event F1 {}")),
        ("false alerts a day", _value(day, 2), _between(day, f"{{low}} to {{high}}; {counted}", 2)),
        ("delay", _seconds(events.delay_s_median), later),
        ("average precision", _value(precision, 2), _between(precision, "{low} to {high}", 2)),
        ("row F1", _value(daemon.points.f1, 2), f"false alarm rate {_percent(daemon.points.far.value)}"),
    ]  # fmt: skip
    if events.nameable:
        shown.append(("right sensor first", f"{events.named}<small> of {events.nameable}</small>", "found events"))
    return "".join(
        f'<div class="tile"><span>{name}</span><strong>{value}</strong><em>{more}</em></div>'
        for name, value, more in shown
    )


COLUMNS = {
    "AP": "area under precision and recall",
    "ROC-AUC": "chance that an anomalous row scores higher than a normal one",
    "VUS-PR": "as AP, forgiving about where an anomaly begins and ends; mean over runs",
    "F1": "row by row, at the threshold that needs no label",
    "FAR": "false alarm rate: share of normal rows alarmed",
    "MAR": "missed alarm rate: share of anomalous rows not alarmed",
    "best F1*": "at the threshold that these labels would have chosen: nobody knows it in service",
    "found": "events in which an incident fired",
    "false": "incidents elsewhere",
    "false/day": "per asset-day, with the exact Poisson interval",
    "event F1": "of found / (found + false) and found / events",
    "delay": "median, from the beginning of the event",
}


def detectors(results: Results) -> str:
    """Every detector with every figure."""
    heads = "".join(f'<th title="{escape(words)}">{escape(name)}</th>' for name, words in COLUMNS.items())
    ranks = [_cells(each) for each in results.detectors]
    best = _best(results.detectors)
    body = "".join(
        f'<tr class="{each.role}"><th>{escape(each.label)}</th>'
        + "".join(
            f'<td class="{"best" if (row, column) in best else ""}">{cell}</td>'
            for column, cell in enumerate(cells)
        )
        + "</tr>"
        for row, (each, cells) in enumerate(zip(results.detectors, ranks, strict=True))
    )
    return f"<thead><tr><th></th>{heads}</tr></thead><tbody>{body}</tbody>"


def _cells(found: Detector) -> list[str]:
    events = found.events
    return [
        _with_interval(found.average_precision),
        _with_interval(found.roc_auc),
        _with_interval(found.vus_pr),
        _with_interval(found.points.f1),
        _with_interval(found.points.far),
        _with_interval(found.points.mar),
        number(found.best.f1 if found.best else None),
        f"{events.found}/{events.events}",
        str(events.false),
        _with_interval(events.false_per_asset_day, 2),
        _with_interval(events.f1),
        _seconds(events.delay_s_median),
    ]


def _best(found: Sequence[Detector]) -> set[tuple[int, int]]:
    """Row and column of the highest AP, ROC-AUC, VUS-PR, F1 and event F1."""
    of = {
        0: [each.average_precision.value for each in found],
        1: [each.roc_auc.value for each in found],
        2: [each.vus_pr.value for each in found],
        3: [each.points.f1.value for each in found],
        10: [each.events.f1.value for each in found],
    }
    best = set()
    for column, values in of.items():
        there = [value for value in values if value is not None]
        best |= {(row, column) for row, value in enumerate(values) if there and value == max(there) > 0}
    return best


def kinds(results: Results) -> str:
    """What was found of each kind of fault."""
    shown = [each for each in results.detectors if each.role != "baseline"]
    shown += [each for each in results.detectors if each.name in {"t2", "pca", "isolation-forest"}]
    heads = "".join(f"<th>{escape(each.label)}</th>" for each in shown)
    rows = []
    for kind, found in results.named("daemon").events.by_kind.items():
        cells = "".join(_bar(each.events.by_kind[kind].found, found.events) for each in shown)
        rows.append(f"<tr><th>{escape(kind or 'not named')}</th><td>{found.events}</td>{cells}</tr>")
    return f"<thead><tr><th></th><th>events</th>{heads}</tr></thead><tbody>{''.join(rows)}</tbody>"


def _bar(part: int, whole: int) -> str:
    width = 100 * part / whole if whole else 0
    return f'<td><span class="bar"><i style="width:{width:.0f}%"></i></span>{part}</td>'


REGIME_COLUMNS = (
    "rows",
    "share",
    "anomalous",
    "median score",
    "99.9 % of normal",
    "level",
    "median threshold",
    "false alarm rate",
    "false alerts",
    "a day",
)


def regimes(results: Results) -> str:
    """What scores and false alarms are like in each operating regime."""
    heads = "".join(f"<th>{name}</th>" for name in REGIME_COLUMNS)
    body = ""
    for each in results.regimes:
        cells = (
            str(each.rows),
            _percent(each.share),
            str(each.anomalous),
            number(each.score_median, digits=2),
            number(each.score_tail, digits=2),
            number(each.level, digits=2),
            number(each.threshold_median, digits=2),
            _percent(each.false_alarm_rate),
            MISSING if each.false is None else str(each.false),
            number(each.false_per_day, digits=2),
        )
        body += f"<tr><th>{escape(each.name)}</th>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
    return f"<thead><tr><th></th>{heads}</tr></thead><tbody>{body}</tbody>"


def _value(of: Figure, digits: int = 3) -> str:
    return number(of.value, digits=digits)


def _between(of: Figure, text: str, digits: int = 2) -> str:
    if of.low is None and "{low}" in text:
        return ""
    return text.format(
        number(of.value, digits=digits), low=number(of.low, digits=digits), high=number(of.high, digits=digits)
    )


def _with_interval(of: Figure, digits: int = 3) -> str:
    if of.low is None:
        return _value(of, digits)
    low, high = number(of.low, digits=digits), number(of.high, digits=digits)
    return f"{_value(of, digits)}<small>{low} to {high}</small>"


def _percent(value: float | None) -> str:
    return MISSING if value is None else f"{100 * value:.1f} %"


def _seconds(value: float | None) -> str:
    return MISSING if value is None else f"{value:.0f} s"
