"""results.txt: the figures for people, in plain text [pure]."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from models.evaluation import Detector, Events, Figure
    from models.results import Results

MISSING = "-"
NOTES = """\
In brackets: 95 % by bootstrap over runs; of rates, the exact Poisson interval. AP: area under precision and
recall. F1, FAR (false alarm rate) and MAR (missed alarm rate) are row by row, at the threshold that needs no
label; "best F1" is at the threshold that these labels would have chosen, which nobody knows in service. Found and
false are incidents, as the daemon raises them; event F1 is of precision found / (found + false) and recall
found / events."""


def summary(results: Results) -> str:
    """The whole text."""
    daemon = results.named("daemon")
    data = results.data
    runs = "1 run" if data.runs == 1 else f"{data.runs} runs"
    lines = [
        f"{results.model.name} on {', '.join(data.files)}",
        f"{runs}, {data.hours:.1f} h judged, {data.judged_rows} rows, {data.anomalous_rows} anomalous",
        f"{data.scored_rows} rows scored, {data.ranked_rows} by every detector",
        f"baselines: {data.normal}",
        "",
        verdict(daemon),
        *(f"warning: {sentence}" for sentence in results.warnings),
        "",
        *_tables(results),
    ]
    kinds = daemon.events.by_kind
    if len(kinds) > 1:
        shown = [each for each in results.detectors if each.role != "baseline"]
        heads = ["kind", "events", *(each.label for each in shown)]
        body = [
            [kind, str(found.events), *(str(each.events.by_kind[kind].found) for each in shown)]
            for kind, found in kinds.items()
        ]
        lines += [*table([heads, *body]), ""]
    if len(results.regimes) > 1:
        lines += [*table(_regimes(results)), ""]
    return "\n".join([*lines, NOTES, ""])


def verdict(found: Detector) -> str:
    """The figures of incidents in one sentence."""
    events = found.events
    rate = events.false_per_hour
    often = (
        f", {number(rate.value, digits=2)} an hour, 95 % between {number(rate.low, digits=2)} and "
        f"{number(rate.high, digits=2)}"
    )
    told = f"{events.found} of {events.events} events found" if events.events else "no event to be found"
    delay = f", half of them within {events.delay_s_median:.0f} s" if events.delay_s_median is not None else ""
    alerts = "alert" if events.false == 1 else "alerts"
    return f"{told}{delay}; {events.false} false {alerts} in {events.hours:.1f} h{often}"


def _tables(results: Results) -> Iterator[str]:
    """The figures of all detectors, in three tables that a terminal is wide enough for."""
    found = results.detectors
    yield from table(
        [
            ["how rows rank", "AP", "ROC-AUC", "VUS-PR"],
            *([each.label, *map(figure, (each.average_precision, each.roc_auc, each.vus_pr))] for each in found),
        ]
    )
    yield ""
    yield from table(
        [
            ["row by row", "F1", "FAR", "MAR", "best F1"],
            *(
                [
                    each.label,
                    *map(figure, (each.points.f1, each.points.far, each.points.mar)),
                    number(each.best.f1 if each.best else None),
                ]
                for each in found
            ),
        ]
    )
    yield ""
    yield from table(
        [
            ["incidents", "found", "false", "false an hour", "event F1", "delay, s"],
            *([each.label, *_incidents(each.events)] for each in found),
        ]
    )
    yield ""


def _regimes(results: Results) -> list[list[str]]:
    heads = ["operating regime", "rows", "share", "99.9 % of normal", "level", "threshold", "false", "a day"]
    return [
        heads,
        *(
            [
                each.name,
                str(each.rows),
                number(each.share, digits=2),
                number(each.score_tail, digits=2),
                number(each.level, digits=2),
                number(each.threshold_median, digits=2),
                MISSING if each.false is None else str(each.false),
                number(each.false_per_day, digits=2),
            ]
            for each in results.regimes
        ),
    ]


def _incidents(events: Events) -> list[str]:
    return [
        f"{events.found} of {events.events}",
        str(events.false),
        figure(events.false_per_hour),
        figure(events.f1),
        number(events.delay_s_median, digits=0),
    ]


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of equal length with columns in line."""
    widths = [max(len(cells[place]) for cells in rows) for place in range(len(rows[0]))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip() for cells in rows
    ]


def figure(of: Figure) -> str:
    """A figure with its interval."""
    if of.value is None:
        return MISSING
    between = "" if of.low is None else f" [{number(of.low)}, {number(of.high)}]"
    return number(of.value) + between


def number(value: float | None, *, digits: int = 3) -> str:
    """A number, or that there is none."""
    return MISSING if value is None else f"{value:.{digits}f}"
