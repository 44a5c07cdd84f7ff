"""benchmarks.speed: what a figure comes to, when it is worse than before, and how it is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks.speed import __main__ as runner
from benchmarks.speed.figures import CannotRunError, Figure
from benchmarks.speed.results import Measured, Results, not_met, read, worse, write
from benchmarks.speed.table import BEGIN, END, into, markdown, row

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Literal

    Compares = Literal["ratio", "difference", "ours"]

PAIRS = [(20.0, 10.0), (60.0, 20.0), (40.0, 40.0)]  # ratios 2, 3, 1; differences 10, 40, 0
HERE = {"processor": "slide rule"}


def figure(
    name: str = "receive", *, compares: Compares = "ratio", more: bool = True, bar: float | None = None
) -> Figure:
    return Figure(name, "ours", "theirs", "readings/s", lambda _: PAIRS, more, compares, bar, None)


def measured(
    low: float, middle: float, high: float, *, more: bool = True, compares: Compares = "ratio"
) -> Measured:
    pairs = [(value, 1.0) for value in (low, middle, high)]
    return Measured.of(figure(more=more, compares=compares), pairs, date="2026-01-02", commit="abc")


@pytest.mark.parametrize(
    ("compares", "median", "lowest", "highest"),
    [("ratio", 2.0, 1.0, 3.0), ("difference", 10.0, 0.0, 40.0), ("ours", 40.0, 20.0, 60.0)],
)
def test_each_pair_is_compared_and_then_the_median_taken(
    compares: Compares, median: float, lowest: float, highest: float
) -> None:
    found = Measured.of(figure(compares=compares), PAIRS, date="", commit="")
    assert (found.median, found.lowest, found.highest) == (median, lowest, highest)
    assert (found.ours_median, found.reference_median, found.repeats) == (40.0, 20.0, 3)


@pytest.mark.parametrize(
    ("more", "now", "is_worse"),
    [
        (True, (0.5, 0.6, 0.89), True),  # before, between 0.9 and 1.1
        (True, (0.5, 0.6, 0.91), False),
        (True, (2.0, 2.1, 2.2), False),
        (False, (1.2, 1.3, 1.4), True),
        (False, (1.0, 1.3, 1.4), False),
        (False, (0.1, 0.1, 0.1), False),
    ],
)
def test_worse_is_worse_by_more_than_both_spread(
    more: bool, now: tuple[float, float, float], is_worse: bool
) -> None:
    before = Results(HERE, [measured(0.9, 1.0, 1.1, more=more)])
    assert bool(worse([measured(*now, more=more)], before, HERE)) == is_worse


def test_what_became_worse_is_told_in_a_line_with_both_spreads() -> None:
    before = Results(HERE, [measured(0.9, 1.0, 1.1)])
    assert worse([measured(0.5, 0.6, 0.7)], before, HERE) == [
        "receive: 0.600 (0.500 to 0.700), was 1.00 (0.900 to 1.10) at abc"
    ]


def test_amounts_are_compared_only_with_those_of_the_same_processor() -> None:
    """Ratios are of any machine; a figure that was not there before has nothing to be compared with."""
    before = Results(HERE, [measured(0.9, 1.0, 1.1, compares="ours", more=False)])
    now = [measured(5.0, 6.0, 7.0, compares="ours", more=False)]
    assert len(worse(now, before, HERE)) == 1
    assert worse(now, before, {"processor": "abacus"}) == []
    assert worse(now, Results(HERE, []), HERE) == []


def test_a_bar_that_is_not_met_is_told() -> None:
    low = Measured.of(figure(bar=2.5), PAIRS, date="", commit="")
    met = Measured.of(figure(bar=2.0), PAIRS, date="", commit="")
    slow = Measured.of(figure(more=False, bar=1.5), PAIRS, date="", commit="")
    assert not_met([low, met, slow]) == [
        "receive: 2.00 does not reach its bar 2.5",
        "receive: 2.00 does not reach its bar 1.5",
    ]


def test_the_table_stands_between_its_marks_and_nothing_else_changes() -> None:
    results = Results(HERE, [Measured.of(figure(bar=2.5), PAIRS, date="2026-01-02", commit="abc")])
    page = into(f"above\n{BEGIN}\nold\n{END}\nbelow\n", markdown(results))
    assert page.startswith(f"above\n{BEGIN}\n| figure |")
    assert page.endswith(f"\n{END}\nbelow\n")
    assert "old" not in page
    cells = ("receive", "ours: 40.0 readings/s", "theirs: 20.0 readings/s", "**2.00** (1.00 to 3.00)")
    assert f"| {' | '.join((*cells, '≥ 2.5', 'none', 'bar not met'))} |" in page.splitlines()
    assert "Measured 2026-01-02 at abc; processor slide rule." in page
    assert into(page, markdown(results)) == page
    with pytest.raises(ValueError, match="the page has no"):
        into("no marks", "table")


def test_a_figure_is_a_line_of_text_as_soon_as_it_is_known() -> None:
    line = row(Measured.of(figure(bar=2.0), PAIRS, date="", commit=""))
    assert line.split(maxsplit=2) == [
        "receive",
        "2.00",
        "(1.00 to 3.00; 40.0 to 20.0 readings/s)  bar ≥ 2, aim none  bar met",
    ]


def test_what_nothing_is_asked_of_is_reported() -> None:
    unasked = Measured.of(figure(), PAIRS, date="", commit="")
    aimed = Measured.of(Figure("receive", "", "", "", lambda _: PAIRS, aim=1.0), PAIRS, date="", commit="")
    assert row(unasked).endswith(")  reported only")
    assert row(aimed).endswith("bar none, aim ≥ 1  aim met")


def test_results_are_read_as_they_were_written(tmp_path: Path) -> None:
    """And figures measured anew take the place of their predecessors."""
    results = Results(HERE, [measured(1.0, 2.0, 3.0)])
    write(tmp_path / "results.json", results)
    again = read(tmp_path / "results.json")
    assert again == results
    new = measured(4.0, 5.0, 6.0)
    assert again.with_these([new]) == [new]


def test_what_cannot_run_is_left_out_with_the_reason_and_what_breaks_stops_no_other() -> None:
    def missing(_: int) -> Iterator[tuple[float, float]]:
        raise CannotRunError("mosquitto is not installed")

    def broken(_: int) -> Iterator[tuple[float, float]]:
        yield 1.0, 1.0
        raise KeyError("oops")

    chosen = [Figure("a", "", "", "", missing), Figure("b", "", "", "", broken), figure("c")]
    done, left_out, broke = runner.measured(chosen, 3)
    assert [each.name for each in done] == ["c"]
    assert left_out == ["a: left out: mosquitto is not installed", "b: broke: KeyError: 'oops'"]
    assert broke


def test_figures_are_found_by_their_names_or_their_modules() -> None:
    names = [each.name for each in runner.figures(())]
    assert len(names) == len(set(names)), "two figures of one name: results of other days are found by it"
    assert [each.name for each in runner.figures(("simulator",))] == ["simulator"]
    with pytest.raises(ValueError, match="not known: sundial; known are "):
        runner.figures(("sundial",))
