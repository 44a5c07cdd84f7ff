"""monitor.commands.selection: which rows of a recording count as normal, worked by hand."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

import pytest

from monitor.cli import UserError
from monitor.commands.recordings import recording_arguments
from monitor.commands.selection import read_marked, read_normal, selection_arguments

if TYPE_CHECKING:
    from pathlib import Path

# Two runs of four rows; x counts all rows.
CSV = """run,x,fault,note
a,0,0,0
a,1,0,0
a,2,1,0
a,3,,0
b,4,0,0
b,5,0,0
b,6,0,0
b,7,0,2
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "runs.csv"
    path.write_text(CSV)
    return path


def given(file: Path, *more: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    recording_arguments(parser, files="", period="")
    selection_arguments(parser, use="")
    return parser.parse_args([str(file), "--group", "run", *more])


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        (["--first-rows", "2"], {"a": [0, 1], "b": [4, 5]}),
        (["--where-not", "fault"], {"a": [0, 1, 3], "b": [4, 5, 6, 7]}),
        (["--runs-without", "fault"], {"b": [4, 5, 6, 7]}),
        (["--runs-without", "fault", "--where-not", "note"], {"b": [4, 5, 6]}),
        (["--first-rows", "3", "--where-not", "fault"], {"a": [0, 1], "b": [4, 5, 6]}),
        (["--exclude", "fault,note"], {"a": [0, 1, 2, 3], "b": [4, 5, 6, 7]}),
    ],
)
def test_rows_are_selected_and_keep_their_times(
    file: Path, options: list[str], kept: dict[str, list[int]]
) -> None:
    """An empty cell is no fault; the rows of a run are a second apart from 0 on, whatever is left out."""
    found = read_normal(given(file, *options), period_ms=1000, columns=("x",))
    assert {each.asset: each.values[:, 0].tolist() for each in found} == kept
    for each in found:
        first = {"a": 0, "b": 4}[each.asset]
        assert each.time.tolist() == [1000 * (int(x) - first) for x in each.values[:, 0]]


def test_a_mark_never_becomes_a_sensor(file: Path) -> None:
    """Also where sensors are not named, and where the mark is excluded besides."""
    found = read_marked(given(file, "--exclude", "fault,note"), period_ms=1000, columns=(), marks=["fault", None])
    assert found[0].recording.sensors == ("x",)
    assert found[0].marks["fault"][:3].tolist() == [0, 0, 1]


def test_a_label_that_is_missing_or_text_is_told(file: Path) -> None:
    with pytest.raises(UserError, match="no column labl of numbers"):
        read_marked(given(file), period_ms=1000, columns=(), marks=["labl"])
    file.write_text("run,x,fault\na,1,normal\n")
    with pytest.raises(UserError, match="no column fault of numbers"):
        read_marked(given(file), period_ms=1000, columns=(), marks=["fault"])


def test_a_selection_that_leaves_nothing_says_so(file: Path) -> None:
    file.write_text("run,x,fault\na,1,1\n")
    with pytest.raises(UserError, match="none of 1 rows is left by --where-not"):
        read_normal(given(file, "--where-not", "fault"), period_ms=1000, columns=("x",))
