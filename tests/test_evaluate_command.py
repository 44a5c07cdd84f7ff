"""`enginewatch evaluate`: what it writes, and what it says of data that does not fit."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from monitor.cli import main
from tests.model_samples import SENSORS, signal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from monitor.records import Float32

ROWS, WINDOW = 200, 8
FAULT = slice(120, 160)  # rows of every second run
RUNS = 4
START = 1_700_000_000_000


def rows_of(run: int) -> tuple[Float32, np.ndarray[Any, Any]]:
    """A run (N, C) and its label: the pressure of every second one falls away."""
    values, label = signal(ROWS, 100 + run), np.zeros(ROWS, int)
    if run % 2:
        values[FAULT, 2] -= 400
        label[FAULT] = 1
    return values, label


def write(path: Path, rows: list[list[object]], header: tuple[str, ...] = ("run", *SENSORS, "fault")) -> Path:
    lines = [",".join(header), *(",".join(map(str, row)) for row in rows)]
    path.write_text("\n".join(lines) + "\n")
    return path


def labelled() -> list[list[object]]:
    return [
        [f"r{run}", *(f"{value:.6g}" for value in row), mark]
        for run in range(RUNS)
        for row, mark in zip(*rows_of(run), strict=True)
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recordings and a small model of them."""
    folder = tmp_path_factory.mktemp("evaluate")
    normal = [[f"n{run}", *(f"{v:.6g}" for v in row), 0] for run in range(10) for row in signal(ROWS, run)]
    # Rows that a label tells are not normal: training leaves them out by the same words as evaluation does.
    write(folder / "normal.csv", [*normal, ["n0", *[1e6] * len(SENSORS), 1]])
    write(folder / "live.csv", labelled())
    given = ["--group", "run", "--period-ms", "1000", "--window", str(WINDOW), "--hidden", "8", "--epochs", "6"]
    assert (
        main(["train", str(folder / "normal.csv"), "--where-not", "fault", *given, "--out", str(folder / "m")])
        == 0
    )
    return folder


@pytest.fixture
def evaluate(folder: Path, tmp_path: Path) -> Callable[..., int]:
    def run(*more: str, data: Path = folder / "live.csv", label: bool = True, group: bool = True) -> int:
        given = ["--model", str(folder / "m"), "--data", str(data), "--out", str(tmp_path / "out")]
        given += ["--label", "fault"] * label + ["--group", "run"] * group
        return main(["evaluate", *given, *more])

    return run


def refusal(capsys: pytest.CaptureFixture[str]) -> str:
    said = capsys.readouterr().err
    assert said.startswith("enginewatch evaluate: ")
    assert said.count("\n") == 1
    return said


@pytest.fixture(scope="module")
def results(folder: Path) -> Path:
    """One evaluation with every baseline."""
    out = folder / "out"
    given = ["--data", str(folder / "live.csv"), "--label", "fault", "--group", "run", "--first-rows", "80"]
    assert main(["evaluate", "--model", str(folder / "m"), *given, "--out", str(out)]) == 0
    return out


def test_results_are_counted_right(results: Path) -> None:
    """The first 80 rows of each run fit the baselines: 4 x 120 rows are judged, 2 x 40 of them anomalous."""
    found = json.loads((results / "results.json").read_text())
    assert found["schema"] == 1
    data = found["data"]
    assert (data["runs"], data["judged_rows"], data["anomalous_rows"], data["normal_rows"]) == (4, 480, 80, 320)
    assert data["scored_rows"] == data["ranked_rows"] == 480, "windows were full before the first judged row"
    detectors = {each["name"]: each for each in found["detectors"]}
    assert set(detectors) == {
        "daemon", "model", "t2", "pca", "conditional", "ewma", "isolation-forest", "one-class-svm", "lof",
        "random", "always-alarm",
    }  # fmt: skip
    assert detectors["daemon"]["events"]["found"] == detectors["daemon"]["events"]["events"] == 2
    assert min(detectors[name]["average_precision"]["value"] for name in ("daemon", "model", "t2")) > 0.8
    always = detectors["always-alarm"]
    assert always["points"]["f1"]["value"] == pytest.approx(2 * 80 / (480 + 80))
    assert always["average_precision"]["value"] == pytest.approx(80 / 480)
    assert always["events"]["found"] == 0
    assert detectors["random"]["roc_auc"]["value"] == pytest.approx(0.5, abs=0.1)


def test_the_text_says_the_same(results: Path) -> None:
    text = (results / "results.txt").read_text()
    assert "2 of 2 events found" in text
    assert "4 runs, 0.1 h judged, 480 rows, 80 anomalous" in text


def test_the_report_is_one_file_that_asks_no_network(results: Path) -> None:
    """Whole, small enough to send, with everything that it shows inside; and its data can be read."""
    page = (results / "report.html").read_text(encoding="utf-8")
    assert len(page) < 8_000_000
    own = page.replace(page[page.index("<script>/**") : page.index("<script>const REPORT")], "")
    assert not re.findall(r"""(?:src|href)\s*=|url\(|https?://""", own)
    start = own.index("const REPORT = ") + len("const REPORT = ")
    data, _ = json.JSONDecoder().raw_decode(own[start:].replace("<\\/", "</"))
    assert [run["name"] for run in data["runs"]] == ["r1", "r3", "r0", "r2"], "those with events first"
    assert {event["run"] for event in data["events"]} == {"r1", "r3"}
    assert data["events"][0]["sensors"][0]["name"] == "pressure"
    assert len(data["figures"]["learning"]["data"][0]["y"]) == 6, "epochs of the training"
    shown = set(re.findall(r'data-figure="(\w+)"', own))
    assert set(data["figures"]) <= shown
    assert max(run["score"][place] or 0 for run in data["runs"] for place in range(len(run["score"]))) > 1


def test_events_by_kind_and_sensor_out_of_a_file(tmp_path: Path, evaluate: Callable[..., int]) -> None:
    """Rows from 0 on, both ends included; without a label the rows of the events are the anomalous ones."""
    events = tmp_path / "events.csv"
    events.write_text("run,start,end,kind,sensor\nr1,120,159,leak,pressure\nr3,120,159,leak,pressure\n")
    assert evaluate("--events", str(events), "--baselines", "none", label=False) == 0
    found = json.loads((tmp_path / "out" / "results.json").read_text())
    assert found["data"]["anomalous_rows"] == 80
    events_found = found["detectors"][0]["events"]
    assert events_found["by_kind"] == {"leak": {"events": 2, "found": 2}}
    assert (events_found["named"], events_found["nameable"]) == (2, 2)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("r9,1,2", "r9 is none of the 4 recorded runs"),
        ("r1,300,310", "r1 has rows 0 to 199, none of them is 300"),
        ("r1,50,20", "ends before it starts"),
        ("r1,x,20", "'x' is not a number"),
    ],
)
def test_events_that_cannot_be(
    tmp_path: Path, evaluate: Callable[..., int], capsys: pytest.CaptureFixture[str], line: str, words: str
) -> None:
    events = tmp_path / "events.csv"
    events.write_text(f"run,start,end\n{line}\n")
    assert evaluate("--events", str(events), "--baselines", "none") == 2
    said = refusal(capsys)
    assert words in said
    assert "events.csv, line 2" in said


def test_normal_files_fit_the_baselines(folder: Path, tmp_path: Path, evaluate: Callable[..., int]) -> None:
    """All rows of the data are judged then."""
    normal = ["--normal", str(folder / "normal.csv"), "--where-not", "fault"]
    assert evaluate(*normal, "--baselines", "t2") == 0
    found = json.loads((tmp_path / "out" / "results.json").read_text())
    assert (found["data"]["judged_rows"], found["data"]["normal_rows"]) == (800, 2000)
    assert [each["name"] for each in found["detectors"]] == ["daemon", "model", "t2"]


def test_runs_without_a_label_fit_and_are_not_judged(
    tmp_path: Path, evaluate: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate("--runs-without", "fault", "--baselines", "pca,random", "--json") == 0
    found = json.loads((tmp_path / "out" / "results.json").read_text())
    assert json.loads(capsys.readouterr().out) == found
    assert (found["data"]["runs"], found["data"]["judged_rows"], found["data"]["normal_rows"]) == (2, 400, 400)


def test_inverted_labels_are_told(
    tmp_path: Path, evaluate: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    inverted = write(tmp_path / "inverted.csv", [[*row[:-1], 1 - int(str(row[-1]))] for row in labelled()])
    assert evaluate("--baselines", "none", data=inverted) == 0
    assert "warning: the score is anti-correlated with the label" in capsys.readouterr().err


def test_the_rows_that_were_trained_on_are_told(
    folder: Path, evaluate: Callable[..., int], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    rows = [line.split(",") for line in (folder / "normal.csv").read_text().splitlines()[1:-1]]
    same = write(tmp_path / "same.csv", [list(row) for row in rows])
    assert evaluate("--baselines", "none", data=same) == 0
    said = capsys.readouterr().err
    assert "none of 2000 judged rows is labelled as anomalous: only false alarms are measured" in said
    assert "the model was trained on these very rows" in said


def _all(column: int, value: object) -> Any:
    return lambda rows: [[*row[:column], value, *row[column + 1 :]] for row in rows]


@pytest.mark.parametrize(
    ("change", "more", "words"),
    [
        (_all(6, 1), [], "all of 800 judged rows are labelled as anomalous"),
        (_all(6, "yes"), [], "'yes' is not a number"),
        (_all(2, "high"), [], "'high' is not a number"),
        (lambda rows: rows[:1], [], "none of 1 rows could be scored (1 warming up)"),
        (lambda _rows: [], [], "no rows in"),
        (lambda rows: [[row[0], *[""] * 5, row[6]] for row in rows], [], "no sensor has a value in 800 rows"),
        (lambda rows: rows, ["--columns", "fuel=load"], "the model m has no sensor fuel"),
        (
            lambda rows: rows,
            ["--columns", "load=torque"],
            "the model takes speed, load, pressure, temperature, voltage",
        ),
        (lambda rows: rows, ["--period-ms", "500"], "the model takes a tick each 1000 ms"),
        (lambda rows: rows, ["--baselines", "t3"], "t3 is none of all, none, t2"),
        (lambda rows: rows, ["--baselines", "t2"], "the baselines need normal rows"),
        (lambda rows: rows, ["--where-not", "fault"], "would leave no normal row to judge"),
        (lambda rows: rows, ["--first-rows", "900"], "none of 800 rows is left to judge"),
        (lambda rows: rows, ["--set", "threshold.flor=2"], "threshold.flor"),
        (lambda rows: rows, ["--assets", "x*"], "no asset matches x*"),
    ],
)
def test_what_does_not_fit_is_told_in_one_line(
    tmp_path: Path,
    evaluate: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    change: Callable[[list[list[object]]], list[list[object]]],
    more: list[str],
    words: str,
) -> None:
    data = write(tmp_path / "changed.csv", change(labelled()))
    own = more if "--baselines" in more or "--where-not" in more else [*more, "--baselines", "none"]
    assert evaluate(*own, data=data) == 2
    assert words in refusal(capsys)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_all(5, 13.8), "voltage is 13.8 in all of its 800 values"),
        (_all(5, ""), "voltage without any value in 800 rows: judged without"),
        (
            lambda rows: [[*row[:4], float(str(row[4])) + 273.15, *row[5:]] for row in rows],
            "in the model's training: is it in another unit?",
        ),
    ],
)
def test_what_looks_wrong_is_warned_of(
    tmp_path: Path,
    evaluate: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    change: Callable[[list[list[object]]], list[list[object]]],
    words: str,
) -> None:
    data = write(tmp_path / "changed.csv", change(labelled()))
    assert evaluate("--baselines", "none", data=data) == 0
    warned = capsys.readouterr().err
    assert any(line.startswith("warning: ") and words in line for line in warned.splitlines())
    assert words in json.loads((tmp_path / "out" / "results.json").read_text())["warnings"][0]


@pytest.mark.parametrize(
    ("times", "words"),
    [
        ([START + 1000 * place for place in range(ROWS)][::-1], "199 of 200 rows came before their time"),
        (
            [START + 500 * place for place in range(ROWS)],
            "are 500 ms apart, where the model takes a tick each 1000 ms",
        ),
    ],
)
def test_times_that_look_wrong_are_warned_of(
    tmp_path: Path,
    evaluate: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    times: list[int],
    words: str,
) -> None:
    values, label = rows_of(1)
    rows = [[t, *row.tolist(), mark] for t, row, mark in zip(times, values, label, strict=True)]
    data = write(tmp_path / "timed.csv", rows, ("time", *SENSORS, "fault"))
    assert evaluate("--baselines", "none", "--time-column", "time", data=data, group=False) == 0
    assert words in capsys.readouterr().err


def test_neither_label_nor_events(evaluate: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate(label=False) == 2
    assert "what is anomalous? Give --label COLUMN or --events FILE" in refusal(capsys)


def test_a_model_that_is_not_there(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--data", str(folder / "live.csv"), "--label", "fault", "--out", str(tmp_path / "out")]
    assert main(["evaluate", "--model", str(tmp_path / "none"), *given]) == 2
    assert "header.json cannot be read" in refusal(capsys)


def test_results_and_other_peoples_files_are_kept(
    folder: Path, results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["evaluate", "--model", str(folder / "m"), "--data", str(folder / "live.csv"), "--label", "fault"]
    assert main([*given, "--out", str(results)]) == 2
    assert "holds results already" in refusal(capsys)
    (tmp_path / "thesis.txt").write_text("years of work")
    assert main([*given, "--out", str(tmp_path)]) == 2
    assert "holds something that is no evaluation" in refusal(capsys)
