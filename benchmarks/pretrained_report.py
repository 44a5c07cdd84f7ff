"""The judgement of the pretrained model as chapters of its card."""

from __future__ import annotations

from collections import Counter
from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.pretrained_judge import FAULTY_MINUTES, NORMAL_MINUTES, STARTING_MINUTES, severity
from models.metrics import poisson_interval
from simulator.fault_kinds import LEVELS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.pretrained_judge import Early, Found, Quiet

WIDTH = 115  # of the card's lines
FINDS, LIMITS = "## What it finds\n", "## Limits\n"  # the chapters stand from the one to the other


def judged_card(card: str, chapters: str) -> str:
    r"""A card with these chapters, in place of those of an earlier judgement, before its last one.

    >>> judged_card("# M\n\n## Limits\nmany\n", "## What it finds\nall\n")
    '# M\n\n## What it finds\nall\n\n## Limits\nmany\n'
    """
    before, limits, after = card.partition(LIMITS)
    return f"{before.partition(FINDS)[0]}{chapters}\n{limits}{after}"


def chapters(found: Sequence[Found], early: Early, quiet: Sequence[Quiet]) -> str:
    """What it finds, and false alarms."""
    return "\n".join([*_finds(found, early), "", *_false_alarms(quiet)]) + "\n"


def _finds(found: Sequence[Found], early: Early) -> list[str]:
    engines = sum(each.faults for each in found)
    rate = early.incidents / early.days
    low, high = (end / early.days for end in poisson_interval(early.incidents))
    return [
        FINDS,
        fill(
            f"Judged by `monitor.pipeline.step` with the default settings, on {engines} simulated engines of "
            f"mixed duty that it has not seen: {NORMAL_MINUTES} warm minutes without a fault, then one that comes "
            f"at once and stays for {FAULTY_MINUTES} minutes. A fault is found when an incident of its engine "
            "fires in that time. Severities are in the units that `enginewatch simulate --list-faults` tells; the "
            "first sensor is the one that the incident names before all others. "
            "A clogged air filter can show in throttle and load alone, and only near full flow, as in life; "
            "coolant that is missing only where there is more heat than what is left of it carries away.",
            WIDTH,
        ),
        "",
        fill(_shares(found), WIDTH),
        "",
        fill(
            f"Before any fault began there were {early.incidents} incidents in {early.days:.1f} engine-days, "
            f"{rate:.2f} per engine-day ({low:.2f} to {high:.2f}). Engines that had one are left out here.",
            WIDTH,
        ),
        "",
        "| fault | severity | found | median s to the alert | kind of incident | first sensor |",
        "|---|---|---|---|---|---|",
        *(
            f"| {each.kind} | {severity(each)} | {len(each.seconds)} of {each.faults} | {_median(each.seconds)} | "
            f"{_counted(each.incidents)} | {_counted(each.sensors)} |"
            for each in found
        ),
    ]


def _shares(found: Sequence[Found]) -> str:
    """How many were found of each severity, and of how many."""
    words = []
    for level in LEVELS:
        those = [each for each in found if each.severity == level]
        count, total = sum(len(each.seconds) for each in those), sum(each.faults for each in those)
        words.append(f"{count} of {total} {level} ones ({100 * count / max(total, 1):.0f} %)")
    return f"Found were {', '.join(words)}."


def _false_alarms(quiet: Sequence[Quiet]) -> list[str]:
    causes = sum((each.causes for each in quiet), Counter[str]())
    days, starting, running = (
        sum(getattr(each, name) for each in quiet) for name in ("days", "starting", "running")
    )
    return [
        "## False alarms",
        "",
        fill(
            "Engines without a fault that it has not seen either, which start cold and are switched off and on "
            f"again now and then. An incident is put down to a start for {STARTING_MINUTES} minutes after it. The "
            "interval is that of Poisson counts (Garwood), 95 %.",
            WIDTH,
        ),
        "",
        "| duty | engine-days in operation | incidents | of them after a start | per engine-day | interval |",
        "|---|---|---|---|---|---|",
        *(_row(each.duty, each.days, each.starting, each.running) for each in quiet),
        _row("all", days, starting, running),
        "",
        fill(f"By kind and first sensor: {_counted(causes) or 'none'}.", WIDTH),
    ]


def _row(duty: str, days: float, starting: int, running: int) -> str:
    count = starting + running
    low, high = (end / days for end in poisson_interval(count))
    return f"| {duty} | {days:.2f} | {count} | {starting} | {count / days:.2f} | {low:.2f} to {high:.2f} |"


def _median(seconds: Sequence[float]) -> str:
    return f"{np.median(seconds):.0f}" if seconds else ""


def _counted(counter: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counter.most_common())
