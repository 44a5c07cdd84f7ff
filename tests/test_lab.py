"""The lab: files matched with a model's sensors, scored as the line scores them, and what floors would bring."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from config.shipped import model_folder
from models.runtime import load_model
from monitor.commands import evaluated
from monitor.commands.judged_line import Rows, through
from monitor.decode import ClassRoute
from monitor.lab import judged, matched, uploaded, worker
from monitor.lab.matched import LabError, match
from monitor.lab.process import BusyError, Process, Wanted
from monitor.page import lab_api
from monitor.page.numbers import full
from monitor.page.reader import Reader
from monitor.records import Status
from monitor.store import Store
from simulator.fleet import Fleet
from simulator.recording import Recording
from simulator.records import SENSORS
from tests.http_rig import Fake, ask, port, raw
from tests.rig import until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from starlette.routing import Route

SHIPPED = "pretrained:engine"
JSON = {"Content-Type": "application/json"}
START = 1_700_000_000_000
PUMP = [("oil_pressure", "kPa"), ("coolant_temperature", "°C")]


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a daemon that has not scored anything."""
    folder = tmp_path_factory.mktemp("state")
    Store(folder / "store.db").close()
    return folder


def answered(state: Path, content: bytes = b"", **asked: Any) -> dict[str, Any]:
    return worker.answer({"state": str(state), "model": SHIPPED, "what": "file", **asked}, content)


def recorded(rows: int) -> Recording:
    """A simulated engine."""
    block = Fleet(1, seed=7).block(rows)
    return Recording("run", tuple(SENSORS), START + block.time, np.array(block.shortest(), np.float32)[:, 0])


def as_csv(recording: Recording, names: Sequence[str] = (), separator: str = ",") -> bytes:
    lines = [separator.join(["time", *(names or recording.sensors)])]
    for time, row in zip(recording.time.tolist(), recording.values.tolist(), strict=True):
        lines.append(separator.join([str(time), *(f"{value:.9g}" for value in row)]))
    return "\n".join(lines).encode()


def test_an_uploaded_file_has_the_scores_of_the_line_that_evaluates_it(state: Path) -> None:
    """With a byte order mark, semicolons, and names in other letters; every row is a point of the chart."""
    recording = recorded(150)
    header, spec = evaluated._line(Namespace(model=Path(SHIPPED), overrides=(), asset_file=None))
    (expected,) = through([recording], spec, {header.hash: load_model(model_folder(Path(SHIPPED)))})
    content = b"\xef\xbb\xbf" + as_csv(recording, [name.upper().replace("_", " ") for name in SENSORS], ";")
    found = answered(state, content, name="../run.csv")
    got = dict(zip(found["chart"]["time"], found["chart"]["mean"], strict=True))
    times = recording.time // 500 * 500
    assert [got[time] for time in times.tolist()] == full(expected.rows.score)
    assert found["status"] == {"warming_up": 59, "scored": 91}
    assert "ENGINE SPEED as engine_speed" in found["notes"][0]
    assert found["training"]["quantiles"][0][0] == 0.5
    assert sum(found["distribution"]["here"]) == 91
    assert found["false_alarms"] is None  # nothing is stored, and nobody says that these rows are normal


def test_a_faulty_sample_shows_and_a_normal_one_predicts(state: Path) -> None:
    faulty = answered(state, what="sample", kind="lean_mixture", severity="severe", duration_s=120)
    assert faulty["fault"]["start"] == faulty["chart"]["time"][0] + 60_000
    assert [each["kind"] for each in faulty["incidents"]] == ["anomaly"]
    assert faulty["incidents"][0]["fired"] > faulty["fault"]["start"]
    assert faulty["here"][faulty["floors"].index(1.0)] == 1
    normal = answered(state, what="sample", duration_s=60)
    assert (normal["fault"], normal["false_alarms"]["source"]) == (None, "sample")
    json.dumps(normal, allow_nan=False)


SAMPLES = [
    ({"kind": "misfre"}, "did you mean misfire?"),
    ({"kind": "stuck"}, "say which one"),
    ({"duration_s": 10**9}, "from 60 to 1800"),
    ({"model": "nobody's"}, "there is no model"),
]


@pytest.mark.parametrize(("wish", "words"), SAMPLES)
def test_a_wish_that_cannot_be_is_told(state: Path, wish: dict[str, Any], words: str) -> None:
    with pytest.raises(LabError, match=words):
        answered(state, **{"what": "sample", **wish})


GOOD = ",".join(["time", *SENSORS])
ZEROS = ",".join(["0"] * len(SENSORS))
FILES = {
    "wrong names": (b"a,b\n1,2", "run.csv has no column of a sensor: the model takes engine_speed"),
    "one is misspelt": (
        GOOD.replace("oil_pressure", "oil_presure").encode() + f"\n0,{ZEROS}".encode(),
        "did you mean oil_presure for oil_pressure?",
    ),
    "no time": (GOOD.removeprefix("time,").encode() + f"\n{ZEROS}".encode(), "no column of times"),
    "text": (f"{GOOD}\n0,{ZEROS}\n500,x{ZEROS[1:]}".encode(), "run.csv, line 3, column engine_speed: 'x' is not"),
    "empty": (b"", "the first line must name the columns"),
    "without rows": (GOOD.encode(), "run.csv is empty"),
    "not text": (b"\xff\xfe\x00", "is not CSV in UTF-8"),
    "too few rows": (f"{GOOD}\n0,{ZEROS}".encode(), "none of 1 rows could be scored"),
    "another unit": (
        GOOD.replace("oil_pressure", "oil_pressure [rpm]").encode() + f"\n0,{ZEROS}".encode(),
        "column oil_pressure [rpm]",
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_cannot_be_scored_is_told_in_one_line(state: Path, name: str) -> None:
    content, words = FILES[name]
    with pytest.raises(LabError) as raised:
        answered(state, content, name="run.csv")
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


def test_too_many_rows_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    header, _ = evaluated._line(Namespace(model=Path(SHIPPED), overrides=(), asset_file=None))
    path = tmp_path / "long.csv"
    path.write_bytes(as_csv(recorded(20)))
    monkeypatch.setattr(uploaded, "MOST_ROWS", 10)
    with pytest.raises(LabError, match="20 rows of long, and at most 10 are taken"):
        uploaded.read(path, header)


def no_unit(given: str, wanted: str) -> tuple[float, float]:
    raise AssertionError(given, wanted)


def test_missing_sensors_are_left_out_on_wish_alone() -> None:
    columns = ["Time", "asset", "Oil-Pressure", "note"]
    with pytest.raises(LabError, match="no column coolant_temperature"):
        match("f", columns, PUMP, no_unit)
    found = match("f", columns, PUMP, no_unit, allow_missing=True)
    assert (found.columns, found.time, found.asset) == ({"oil_pressure": "Oil-Pressure"}, "Time", "asset")


def test_a_unit_behind_the_name_is_converted() -> None:
    columns = ["t", "oil_pressure (bar)", "coolant_temperature [°C]"]
    known = {("bar", "kPa"): (100.0, 0.0)}
    found = match("f", columns, PUMP, lambda given, wanted: known[given, wanted], time="t")
    assert found.conversions == {"oil_pressure": (100.0, 0.0)}
    assert "oil_pressure is converted from bar to kPa" in found.notes


def test_names_that_are_the_same_but_for_letters_are_not_guessed() -> None:
    with pytest.raises(LabError, match="no column oil_pressure"):
        match("f", ["time", "Oil Pressure", "OIL_PRESSURE", "coolant_temperature"], PUMP, no_unit)
    assert matched._plain("Öl-Druck 1") == "öl_druck_1"


def test_what_a_stored_threshold_was_beyond_the_floor_stays_whatever_the_floor() -> None:
    """The second row stood at the floor of its regime, the third above it; the fourth comes after a rest."""
    _, line = evaluated._line(Namespace(model=Path(SHIPPED), overrides=(), asset_file=None))
    (spec,) = line.classes
    level = float(np.float32(spec.threshold.regime_levels[0]))
    status = np.array([Status.WARMING_UP, Status.SCORED, Status.SCORED, Status.REGIME, Status.SCORED], np.uint8)
    threshold = np.array([np.nan, level, 2.0, np.nan, 1.0], np.float32)
    regime = np.array([0, 0, 0, 0, 1], np.uint8)
    nothing = np.zeros((5, 0), np.float32)
    columns = np.arange(5), status, np.full(5, 0.5, np.float32), threshold, regime, nothing, nothing, nothing
    found = judged.as_normal(spec, Rows(*columns))
    assert found.tick.tolist() == [1, 2, 4]
    assert found.least.tolist() == [0, 2, 0]
    assert found.level.tolist() == pytest.approx([level, level, 1.0])
    assert found.rested.tolist() == [False, False, True]


def test_a_class_is_tried_by_its_own_settings_and_plain_names() -> None:
    """However its plant publishes."""
    _, line = evaluated._line(Namespace(model=Path(SHIPPED), overrides=("threshold.floor=2.5",), asset_file=None))
    (spec,) = judged.plain_line(line.classes[0]).classes
    assert spec.threshold.floor == 2.5
    assert spec.route == ClassRoute(tuple(SENSORS), spec.route.topics)
    assert 2.5 in judged.floors_of(spec).tolist()


class Page(Fake):
    """A daemon with the lab alone."""

    def __init__(self, state: Path) -> None:
        super().__init__()
        self._state, self.store = state, Store(state / "store.db")

    def further(self) -> Sequence[Route]:
        return lab_api.routes(self._state, Reader(self.store))


@pytest.fixture
def page(state: Path) -> Iterator[Any]:
    fake = Page(state)
    with port(fake) as serving:
        yield serving
    fake.store.close()


def test_the_page_scores_a_sample_in_a_process_of_its_own(page: Any) -> None:
    status, told, _ = ask(page, "/api/v1/lab/models")
    assert (status, [each["id"] for each in told["models"]]) == (200, [SHIPPED])
    assert {"misfire", "stuck"} <= {each["kind"] for each in told["faults"]}
    wish = json.dumps({"model": SHIPPED, "duration_s": 60}).encode()
    status, found, _ = ask(page, "/api/v1/lab/sample", "POST", wish, **JSON)
    assert (status, found["rows"]) == (200, 120)


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"model": SHIPPED, "csv": "a,b\n1,2"}, 422, "has no column of a sensor"),
        ({"model": SHIPPED}, 400, "csv"),
        ({"model": SHIPPED, "csv": "", "more": 1}, 400, "more"),
        ({"model": SHIPPED, "csv": "x" * (lab_api.MOST_CSV + 1)}, 413, "over 8 MB"),
    ],
)
def test_what_the_page_cannot_score_it_says(page: Any, body: dict[str, Any], status: int, words: str) -> None:
    found, told, _ = ask(page, "/api/v1/lab/score", "POST", json.dumps(body).encode(), **JSON)
    assert (found, words in told["error"]) == (status, True)


def test_one_at_a_time_and_not_for_ever(state: Path) -> None:
    process = Process(state, limit_s=0.01)
    with pytest.raises(LabError, match=r"took longer than 0\.01 s"):
        process.run({"what": "sample", "model": SHIPPED})
    with process._one, pytest.raises(BusyError, match="try again"):
        process.run({"what": "sample", "model": SHIPPED})


def test_only_so_many_files_are_brought_at_once(page: Any) -> None:
    """Who comes while others still send theirs is told at once; as soon as one has left there is room."""
    head = b"POST /api/v1/lab/score HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    wish = json.dumps({"model": SHIPPED}).encode()

    def status() -> int:
        return ask(page, "/api/v1/lab/score", "POST", wish, **JSON)[0]

    with closing(raw(page)) as one, closing(raw(page)) as other:
        for each in (one, other):
            each.sendall(head + b"Content-Length: 5000000\r\n\r\n{")
        until(lambda: status() == 429)
    until(lambda: status() == 400)


def test_a_run_ends_when_whoever_asked_hangs_up(
    page: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next one need not wait for it. The run is one that would not end by itself."""
    endless = tmp_path / "endless"
    began = tmp_path / "began"
    endless.write_text(f"#!/bin/sh\ntouch {began}\nexec sleep 3600\n")
    endless.chmod(0o700)
    wish = json.dumps({"model": SHIPPED, "duration_s": 60}).encode()

    def status() -> int:
        return ask(page, "/api/v1/lab/sample", "POST", wish, **JSON)[0]

    with monkeypatch.context() as patched, closing(raw(page)) as connection:
        patched.setattr(sys, "executable", str(endless))
        connection.sendall(
            b"POST /api/v1/lab/sample HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (len(wish), wish)
        )
        until(began.exists)
        patched.undo()
        assert status() == 429
    until(lambda: status() == 200, seconds=20)


def test_who_gives_up_ends_his_own_run_alone(state: Path) -> None:
    """Before its process has begun as well."""
    process, gone = Process(state), Wanted()
    gone.give_up()
    with pytest.raises(LabError, match="ended without a result"):
        process.run({"what": "sample", "model": SHIPPED, "duration_s": 60}, wanted=gone)
