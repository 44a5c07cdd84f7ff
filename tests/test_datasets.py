"""Each recipe on a few made-up rows in the form of the published files, read back by `train` and by hand."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from config.files import load_asset_file
from monitor.cli import main
from monitor.commands.datasets import RECIPES
from simulator.datasets import carobd, cmapss, enginefaultdb, nab, skab, tennessee_eastman
from simulator.recording import read_recording

SHARED = Path(__file__).parent.parent.parent / "shared" / "data"
Rows = list[dict[str, str]]


def prepare(name: str, out: Path, *files: Path) -> tuple[Rows, Rows]:
    """Rows to train on and to evaluate, as the files have them."""
    assert main(["datasets", "prepare", name, *map(str, files), "--out", str(out)]) == 0
    return rows(out / "train.csv"), rows(out / "evaluate.csv")


def rows(path: Path) -> Rows:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def wave(count: int, columns: int) -> list[list[float]]:
    """Rows of numbers that move."""
    return [[round(np.sin(row / 7 + column) + column, 4) for column in range(columns)] for row in range(count)]


def labels(table: Rows, asset: str) -> list[str]:
    return [row["anomaly"] for row in table if row["asset"] == asset]


def test_skab_trains_on_the_beginning_of_each_experiment(tmp_path: Path) -> None:
    """Files with semicolons, in folders that name what was done; anomaly-free has no labels and is left out."""
    names = [name for name, _ in skab.SENSORS]
    for place, labelled in (("valve1/0", True), ("other/9", True), ("anomaly-free/anomaly-free", False)):
        path = tmp_path / "data" / f"{place}.csv"
        path.parent.mkdir(parents=True)
        lines = [";".join(["datetime", *names, *(["anomaly", "changepoint"] if labelled else [])])]
        for row, values in enumerate(wave(420, 8)):
            time = f"2020-03-09 10:{row // 60:02d}:{row % 60:02d}"
            more = [str(float(410 <= row < 415)), "0.0"] if labelled else []
            lines.append(";".join([time, *map(str, values), *more]))
        path.write_text("\n".join(lines) + "\n")
    train, evaluate = prepare("skab", tmp_path / "out", tmp_path / "data")
    assert {row["asset"] for row in train} == {"valve1-0", "other-9"}
    assert len(train) == 800
    assert labels(evaluate, "other-9") == [""] * 400 + ["0"] * 10 + ["1"] * 5 + ["0"] * 5
    assert {row["kind"] for row in evaluate if row["anomaly"] == "1"} == {"valve1", "other"}
    event = rows(tmp_path / "out" / "events.csv")[1]
    assert event["asset"] == "valve1-0"
    assert int(event["end"]) - int(event["start"]) == 4000
    assert int(event["start"]) - int(evaluate[-1]["time"]) == -9000  # row 410 of 419
    asset = load_asset_file(tmp_path / "out" / "asset.toml")
    assert (asset.period_ms, asset.sensors[3].name, asset.sensors[3].unit) == (1000, "Pressure", "bar")
    read = read_recording([tmp_path / "out" / "train.csv"], asset_column="asset", time_column="time")
    np.testing.assert_allclose(read[0].values, np.array(wave(400, 8)), rtol=1e-6)


def car(path: Path, count: int) -> Path:
    """A drive as the logger writes it: 27 columns with empty units, spaces, and a comma at each end."""
    names = ["ENGINE_RUN_TINE", *(name for name, _ in carobd.SENSORS), "FUEL_TANK"]
    lines = [",".join(f"{name} ()" for name in names)]
    lines += [", ".join(f"{value:.6f}" for value in row) + "," for row in wave(count, len(names))]
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return path


def test_carobd_as_it_is_published_holds_drives_back(tmp_path: Path) -> None:
    """Without any event, each fifth drive counts false alarms; 2 comes before 10."""
    for number in (1, 2, 3, 4, 10):
        car(tmp_path / "obdiidata" / f"drive{number}.csv", 30)
    train, evaluate = prepare("carobd", tmp_path / "out", tmp_path / "obdiidata")
    assert list(dict.fromkeys(row["asset"] for row in train)) == ["drive1", "drive2", "drive3", "drive4"]
    assert labels(evaluate, "drive10") == ["0"] * 30
    assert len(evaluate) == 30
    assert float(train[5]["ENGINE_RPM"]) == pytest.approx(np.sin(5 / 7 + 1) + 1, abs=1e-4)


def test_carobd_with_events_judges_the_drives_that_have_some(tmp_path: Path) -> None:
    one, two = car(tmp_path / "a" / "drive1.csv", 30), car(tmp_path / "a" / "drive2.csv", 30)
    events = tmp_path / "events.csv"
    events.write_text("drive,start,end,kind,sensor\ndrive2,10,12,gain,ENGINE_LOAD\n")
    train, evaluate = prepare("carobd", tmp_path / "out", one, two, events)
    assert {row["asset"] for row in train} == {"drive1"}
    assert [row["kind"] for row in evaluate] == [""] * 10 + ["gain"] * 3 + [""] * 17
    assert labels(evaluate, "drive2") == ["0"] * 10 + ["1"] * 3 + ["0"] * 17
    assert rows(tmp_path / "out" / "events.csv") == [
        {"asset": "drive2", "start": "10", "end": "12", "kind": "gain", "sensor": "ENGINE_LOAD"}
    ]


def test_enginefaultdb_trains_on_healthy_rows_alone(tmp_path: Path) -> None:
    """Of 500 healthy rows in blocks of 50 the fifth and the tenth block are judged, and every faulty row."""
    names = [name for name, _ in enginefaultdb.SENSORS]
    fault = [0] * 300 + [1] * 5 + [0] * 200 + [2] * 4 + [3] * 3
    lines = [",".join(["Fault", *names])]
    lines += [",".join(map(str, [each, *row])) for each, row in zip(fault, wave(len(fault), 14), strict=True)]
    path = tmp_path / "EngineFaultDB_Final.csv"
    path.write_text("\n".join(lines) + "\n")
    train, evaluate = prepare("enginefaultdb", tmp_path / "out", path)
    assert (len(train), len(evaluate)) == (400, 112)
    assert float(train[200]["MAP"]) == pytest.approx(np.sin(250 / 7), abs=1e-4)  # 200 to 249 are the fifth block
    assert [row["kind"] for row in evaluate if row["anomaly"] == "1"] == [
        *["rich mixture"] * 5,
        *["lean mixture"] * 4,
        *["low voltage"] * 3,
    ]
    assert "--tabular" in (tmp_path / "out" / "README.md").read_text()


def test_cmapss_learns_from_the_flights_long_before_the_end(tmp_path: Path) -> None:
    """Five engines of 200 flights: 74 of each are more than 125 before the end; the fifth engine is judged."""
    path = tmp_path / "train_FD001.txt"
    with path.open("w") as file:
        for unit in range(1, 6):
            for flight, row in enumerate(wave(200, 24), 1):
                row[3] = 518.67  # never moves in FD001
                file.write(f"{unit} {flight} " + " ".join(map(str, row)) + "  \n")
    train, evaluate = prepare("cmapss", tmp_path / "out", path)
    assert {row["asset"] for row in train} == {"FD001-1", "FD001-2", "FD001-3", "FD001-4"}
    assert len(train) == 4 * 74
    assert labels(evaluate, "FD001-5") == ["0"] * 74 + [""] * 95 + ["1"] * 31
    assert "T2" not in train[0]
    assert "T24" in train[0]
    assert [sensor.name for sensor in load_asset_file(tmp_path / "out" / "asset.toml").sensors] == list(train[0])[
        1:
    ]
    assert rows(tmp_path / "out" / "events.csv")[0]["start"] == "169"


def nab_files(folder: Path, minutes: int, name: str = "pump") -> tuple[Path, Path]:
    metric = folder / "realKnownCause" / f"{name}.csv"
    metric.parent.mkdir(exist_ok=True)
    times = np.datetime64("2014-04-01T00:00:00") + np.arange(100) * np.timedelta64(minutes, "m")
    lines = [f"{str(time).replace('T', ' ')},{row[0]}" for time, row in zip(times, wave(100, 1), strict=True)]
    metric.write_text("timestamp,value\n" + "\n".join(lines) + "\n")
    spans = [["2014-04-01 00:10:00.000000", "2014-04-01 00:15:00.000000"]]
    spans += [["2014-04-01 05:00:00.000000", "2014-04-01 05:10:00.000000"]]
    windows = folder / "combined_windows.json"
    known = json.loads(windows.read_text()) if windows.exists() else {}
    windows.write_text(json.dumps(known | {f"realKnownCause/{name}.csv": spans}))
    return metric, windows


def test_nab_learns_from_the_first_rows_but_for_labelled_ones(tmp_path: Path) -> None:
    """15 of 100 rows, of which the third and fourth are in a labelled window; at 5 min, 05:00 is row 60."""
    train, evaluate = prepare("nab", tmp_path / "out", *nab_files(tmp_path, 5))
    assert len(train) == 13
    assert labels(evaluate, "realKnownCause-pump") == [""] * 15 + ["0"] * 45 + ["1"] * 3 + ["0"] * 37
    assert load_asset_file(tmp_path / "out" / "asset.toml").period_ms == 300_000


def test_nab_files_of_different_periods_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nab_files(tmp_path, 5)
    nab_files(tmp_path, 1, "fan")
    assert main(["datasets", "prepare", "nab", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert (
        "different periods (realKnownCause-fan 60000 ms, realKnownCause-pump 300000 ms)" in capsys.readouterr().err
    )


def test_tennessee_eastman_as_dat_files(tmp_path: Path) -> None:
    """d00.dat lies on its side; a test run is faulty from row 160 on; faulty training runs are not needed."""
    run = np.array(wave(960, 52))
    np.savetxt(tmp_path / "d00.dat", run[:500].T)
    for name in ("d00_te.dat", "d04_te.dat"):
        np.savetxt(tmp_path / name, run)
    np.savetxt(tmp_path / "d04.dat", run[:480])
    train, evaluate = prepare("tennessee-eastman", tmp_path / "out", tmp_path)
    assert len(train) == 500
    assert float(train[7]["xmeas_3"]) == pytest.approx(np.sin(1 + 2) + 2, abs=1e-4)
    assert labels(evaluate, "d00-te") == ["0"] * 960
    assert labels(evaluate, "d04-te") == ["0"] * 160 + ["1"] * 800
    assert {row["kind"] for row in evaluate} == {"", "fault 4"}
    assert load_asset_file(tmp_path / "out" / "asset.toml").period_ms == 180_000


def test_tennessee_eastman_as_one_table(tmp_path: Path) -> None:
    """Two normal runs to train on, and a faulty test run."""
    names = [name for name, _ in tennessee_eastman.SENSORS]
    for file, fault, runs, count in (("free", 0, 2, 500), ("faulty", 3, 1, 960)):
        lines = [",".join(["faultNumber", "simulationRun", "sample", *names])]
        for run in range(1, runs + 1):
            lines += [
                ",".join(map(str, [fault, run, row + 1, *values])) for row, values in enumerate(wave(count, 52))
            ]
        (tmp_path / f"{file}.csv").write_text("\n".join(lines) + "\n")
    train, evaluate = prepare(
        "tennessee-eastman", tmp_path / "out", tmp_path / "free.csv", tmp_path / "faulty.csv"
    )
    assert list(dict.fromkeys(row["asset"] for row in train)) == ["free-0-1", "free-0-2"]
    assert labels(evaluate, "faulty-3-1") == ["0"] * 160 + ["1"] * 800


@pytest.mark.parametrize(
    ("name", "file", "content", "sentence"),
    [
        ("skab", "0.csv", "datetime;anomaly\n2020-01-01;0\n", "has no column Accelerometer1RMS"),
        ("skab", "0.csv", "datetime\n2020-01-01\n", "no file has a column anomaly"),
        ("carobd", "x.csv", "a,b\n1,2\n", "has no column ENGINE_RPM: is it a drive of carOBD?"),
        ("enginefaultdb", "EngineFaultDB_Final.csv", "Fault,MAP\n7,1\n", "Fault is 7, where it is 0 to 3"),
        ("cmapss", "train_FD001.txt", "1 2 3\n", "has 3 columns, where this data set has 26"),
        ("cmapss", "train_FD001.txt", "a b\n", "is not numbers separated by spaces"),
        ("cmapss", "test_FD001.txt", "1 1\n", "ends before the engines fail: give train_FD00x.txt"),
        ("nab", "x.csv", "timestamp,value\n", "no labels: give labels/combined_windows.json too"),
        ("tennessee-eastman", "d00.RData", "", "R's format is not read"),
        ("tennessee-eastman", "run.dat", "1", "the name must say the run"),
        ("tennessee-eastman", "d00_te.dat", "1 " * 52, "no normal run to train on"),
    ],
)
def test_other_files_are_told_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, file: str, content: str, sentence: str
) -> None:
    (tmp_path / file).write_text(content)
    assert main(["datasets", "prepare", name, str(tmp_path / file), "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert said.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_what_is_there_is_only_replaced_by_force(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = nab_files(tmp_path, 5)
    prepare("nab", tmp_path / "out", *files)
    call = ["datasets", "prepare", "nab", *map(str, files), "--out", str(tmp_path / "out")]
    assert main(call) == 2
    assert "holds a prepared data set already" in capsys.readouterr().err
    assert main([*call, "--force"]) == 0
    assert main(["datasets", "prepare", "nab", str(tmp_path / "gone"), "--out", str(tmp_path / "new")]) == 2


def test_programs_get_the_same_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = nab_files(tmp_path, 5)
    out = tmp_path / "out"
    assert main(["datasets", "prepare", "nab", *map(str, files), "--out", str(out), "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["rows"] == {"train.csv": 13, "evaluate.csv": 100, "events.csv": 2}
    assert made["train"].startswith(f"enginewatch train {out}/train.csv ")
    # Taken as it is, it gets as far as the model, which is not there yet.
    assert main(made["evaluate"].split()[1:]) == 2
    assert f"{out}/model" in capsys.readouterr().err
    assert main(["datasets", "list", "--json"]) == 0
    assert [json.loads(line)["name"] for line in capsys.readouterr().out.splitlines()] == list(RECIPES)
    assert main(["datasets", "show", "skab", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["sensors"][2] == {"name": "Current", "unit": "A"}


def test_every_recipe_is_listed_and_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """With source, licence and what could not be made sure of."""
    assert main(["datasets", "list"]) == 0
    listed = capsys.readouterr().out
    for name, recipe in RECIPES.items():
        assert name in listed
        assert main(["datasets", "show", name]) == 0
        shown = " ".join(capsys.readouterr().out.split())
        for text in (recipe.source, recipe.licence, recipe.uncertain, recipe.sensors[-1][0]):
            assert text in shown
    counts = [len(room.SENSORS) for room in (skab, carobd, enginefaultdb, cmapss, nab, tennessee_eastman)]
    assert counts == [8, 17, 14, 24, 1, 52]


@pytest.mark.skipif(not SHARED.exists(), reason="the recorded data are not there")
@pytest.mark.parametrize(
    ("name", "files", "train", "events"),
    [
        ("skab", ["skab.csv"], 23 * 400, 23),
        ("carobd", ["carobd.parquet", "carobd_events.csv"], 153_739, 52),
    ],
)
def test_the_recorded_data_are_accepted(name: str, files: list[str], train: int, events: int) -> None:
    """Rows as they were counted by hand: all but the 22 drives with events, 400 of each experiment."""
    recipe = RECIPES[name]
    prepared = recipe.read([SHARED / file for file in files])
    assert sum(int(each.train.sum()) for each in prepared.parts) == train
    assert len(prepared.events) == events
    assert not any((each.label[each.train] == 1).any() for each in prepared.parts)
