"""The table of figures, as it is printed and as it stands in docs/performance.md."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.speed.results import amount

if TYPE_CHECKING:
    from benchmarks.speed.results import Measured, Results

BEGIN, END = "<!-- written by `make bench` -->", "<!-- until here -->"
HEAD = ("figure", "ours", "reference", "result, and its spread", "bar", "aim", "")


def markdown(results: Results) -> str:
    """The table and what it was measured on."""
    lines = [f"| {' | '.join(HEAD)} |", "|" + "---|" * len(HEAD)]
    for each in results.figures:
        ours = f"{each.ours}: {amount(each.ours_median)} {each.unit}"
        reference = f"{each.reference}: {amount(each.reference_median)} {each.unit}"
        result = f"**{result_of(each)}** ({amount(each.lowest)} to {amount(each.highest)})"
        cells = (each.name, ours, reference, result, *wanted(each), verdict(each))
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    repeats = sorted({each.repeats for each in results.figures})
    times = " or ".join(map(str, repeats))
    facts = "; ".join(f"{name} {value}" for name, value in results.machine.items())
    measured = sorted({f"{each.date} at {each.commit}" for each in results.figures})
    return "\n".join([*lines, "", f"Median of {times}. Measured {', '.join(measured)}; {facts}."])


def into(page: str, table: str) -> str:
    """The page with another table between its two marks. Raises ValueError where it has none."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page has no {BEGIN} with {END} behind it")
    return f"{before}{begin}\n{table}\n{end}{after}"


def row(each: Measured) -> str:
    """One figure as a line of text, as soon as it is known."""
    bar, aim = wanted(each)
    asked = "reported only" if each.bar is each.aim is None else f"bar {bar}, aim {aim}"
    of = f"{amount(each.ours_median)} to {amount(each.reference_median)} {each.unit}"
    spread = f"{amount(each.lowest)} to {amount(each.highest)}"
    return f"{each.name:<34} {result_of(each):>10}  ({spread}; {of})  {asked}  {verdict(each)}".rstrip()


def result_of(each: Measured) -> str:
    """The median with the unit, where it is no ratio."""
    return amount(each.median) + ("" if each.compares == "ratio" else f" {each.unit}")


def wanted(each: Measured) -> tuple[str, str]:
    """Bar and aim in words."""
    sign = "≥" if each.more_is_better else "≤"
    bar, aim = (f"{sign} {wish:g}" if wish is not None else "none" for wish in (each.bar, each.aim))
    return bar, aim


def verdict(each: Measured) -> str:
    """What it reaches; empty where nothing is asked."""
    if each.bar is None and each.aim is None:
        return ""
    if not each.reaches(each.bar):
        return "bar not met"
    return "aim met" if each.aim is not None and each.reaches(each.aim) else "bar met"
