"""What was measured, beside what the figure asks for; whether it became worse; and the file that keeps it."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from benchmarks.speed.figures import Figure


class Measured(msgspec.Struct, frozen=True):
    """A figure and what it came to: the median, the lowest and the highest of what bar and aim are of."""

    name: str
    ours: str
    reference: str
    unit: str
    more_is_better: bool
    compares: Literal["ratio", "difference", "ours"]
    bar: float | None
    aim: float | None
    median: float
    lowest: float
    highest: float
    ours_median: float
    reference_median: float
    repeats: int
    date: str
    commit: str

    @classmethod
    def of(cls, figure: Figure, pairs: Iterable[tuple[float, float]], *, date: str, commit: str) -> Measured:
        """Measure a figure: ours is compared with the reference of the same pair, and then the median taken."""
        found = list(pairs)
        each = [_compared(figure, ours, reference) for ours, reference in found]
        return cls(
            name=figure.name,
            ours=figure.ours,
            reference=figure.reference,
            unit=figure.unit,
            more_is_better=figure.more_is_better,
            compares=figure.compares,
            bar=figure.bar,
            aim=figure.aim,
            median=statistics.median(each),
            lowest=min(each),
            highest=max(each),
            ours_median=statistics.median(ours for ours, _ in found),
            reference_median=statistics.median(reference for _, reference in found),
            repeats=len(found),
            date=date,
            commit=commit,
        )

    def reaches(self, wanted: float | None) -> bool:
        """Whether the median is as good as that; what is not wanted is reached."""
        if wanted is None:
            return True
        return self.median >= wanted if self.more_is_better else self.median <= wanted

    def worse_than(self, before: Measured) -> bool:
        """Whether it is worse by more than both spread: its best repeat is worse than the worst of before."""
        return self.highest < before.lowest if self.more_is_better else self.lowest > before.highest


class Results(msgspec.Struct):
    """The file `benchmarks/results.json`."""

    machine: dict[str, str]
    figures: list[Measured]

    def with_these(self, measured: Sequence[Measured]) -> list[Measured]:
        """The figures, those measured anew in the place of their predecessors, new ones at the end."""
        new = {each.name: each for each in measured}
        kept = [new.pop(each.name, each) for each in self.figures]
        return [*kept, *new.values()]


def read(path: Path) -> Results:
    """Raises OSError and msgspec.DecodeError."""
    return msgspec.json.decode(path.read_bytes(), type=Results)


def write(path: Path, results: Results) -> None:
    """Write the file, one line a value, so that a change can be read."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(results)) + b"\n")


def worse(now: Sequence[Measured], before: Results, machine: dict[str, str]) -> list[str]:
    """One line for each figure that became worse than it was, by more than the spreads of both.

    A figure that is an amount and no ratio is compared only with one of the same processor.
    """
    was = {each.name: each for each in before.figures}
    same = machine.get("processor") == before.machine.get("processor")
    lines = []
    for each in now:
        old = was.get(each.name)
        if old is None or old.compares != each.compares or (each.compares == "ours" and not same):
            continue
        if each.worse_than(old):
            lines.append(f"{each.name}: {_spread(each)}, was {_spread(old)} at {old.commit}")
    return lines


def not_met(now: Sequence[Measured]) -> list[str]:
    """One line for each figure that is not what is asked of it, or not what it aims at."""
    lines = []
    for each in now:
        for wanted, asked in ((each.bar, "bar"), (each.aim, "aim")):
            if not each.reaches(wanted):
                lines.append(f"{each.name}: {amount(each.median)} does not reach its {asked} {wanted:g}")
                break
    return lines


def amount(value: float) -> str:
    """A figure as people read it: three digits that count.

    >>> amount(1.234), amount(0.0456), amount(123456.0)
    ('1.23', '0.0456', '123,000')
    """
    if abs(value) >= 100:  # noqa: PLR2004 - from there on no digit behind the point counts
        digits = len(str(int(abs(value))))
        return f"{round(value, 3 - digits):,.0f}"
    return f"{value:#.3g}".rstrip(".")


def _spread(each: Measured) -> str:
    return f"{amount(each.median)} ({amount(each.lowest)} to {amount(each.highest)})"


def _compared(figure: Figure, ours: float, reference: float) -> float:
    match figure.compares:
        case "ratio":
            return ours / reference
        case "difference":
            return ours - reference
        case "ours":
            return ours
