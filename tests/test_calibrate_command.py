"""`enginewatch calibrate` on a store that was made by hand: some minutes of a pump, at the rule that ships.

Three of five rows make an incident pending, five ticks later it fires: six rows above the threshold do, five not.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from config.edit import with_floor
from config.load import load
from monitor.calibration import Calibration, note, report
from monitor.cli import main
from monitor.door import SOCKET
from monitor.records import Transition
from monitor.spec import LineSpec
from monitor.store import Store
from tests.line_samples import ROOT, shipped
from tests.store_samples import PUMP, START, batch, result, transition
from tests.test_coverage_command import stretches

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from monitor.records import AlertEvent, Stretches

SECONDS = 864  # a hundredth of a day
LOUD = (100, 300, 500, 700)  # from where on six rows have a score of 2.0
SETTINGS = """\
# what we watch
[[classes]]
name = "pump"  # the only one
file = "pump.toml"

[classes.alert]
k = 3  # of five

# and the rest
[log]
level = "info"
"""
ASSET = """\
period_ms = 1000
[[sensors]]
name = "load"
unit = "%"
[[sensors]]
name = "flow"
unit = "l/min"
"""


def write(
    folder: Path, *events: AlertEvent, stretch: Stretches | None = None, loud: tuple[int, ...] = LOUD
) -> None:
    """The rows, and what is known of them."""
    rows = batch(*((PUMP, second) for second in range(SECONDS)), score=0.2)
    score = rows.rows.score.copy()
    for second in loud:
        score[second : second + 6] = 2.0
    score[800:805] = 5.0  # one row too few
    made = result([replace(rows, rows=replace(rows.rows, score=score))], events)
    store = Store(folder / "store.db")
    store.write(1, made if stretch is None else replace(made, stretches=[stretch]))
    line = LineSpec(ROOT, 10, (shipped("pump"),))
    store.note({"line": line.encode().decode()})
    store.close()


def calibrated(capsys: pytest.CaptureFixture[str], folder: Path, budget: str, *more: str, code: int = 0) -> Any:
    said = main(["calibrate", "--state", str(folder), "--budget", budget, "--json", *more])
    assert said == code
    return json.loads(capsys.readouterr().out)


def judged(incident: str, second: int, verdict: str) -> list[AlertEvent]:
    """An incident of the six rows from a second on, over after half a minute, with a verdict."""
    began = START + second * 1000
    return [
        transition(Transition.FIRED, second + 7, incident=incident, started=began),
        transition(Transition.CLEARED, second + 40, incident=incident, started=began),
        transition(Transition.VERDICT, second + 41, incident=incident, started=began, summary=verdict),
    ]


def test_six_rows_count_and_five_do_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Four of them: at most 9.15 are expected, and ten are allowed."""
    write(tmp_path)
    found = calibrated(capsys, tmp_path, "1000/asset-day")
    assert (found["incidents"], found["floor"], found["way"]) == (4, 0.5, "counted")
    assert found["asset_days"] == pytest.approx(0.01)
    assert (found["predicted"], found["high"]) == pytest.approx((400, 915), abs=1)


def test_nine_are_allowed_so_the_floor_goes_above_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """0.5 times 1.05 to the power of 29 is the first above 2.0; nothing in so long is at most 3."""
    write(tmp_path)
    found = calibrated(capsys, tmp_path, "900/asset-day")
    assert (found["floor"], found["incidents"], found["incidents_now"]) == (2.06, 0, 4)
    assert found["high"] == pytest.approx(299.6, abs=0.1)


def test_a_real_incident_is_no_false_alarm_and_its_time_no_data(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From a window (20 s) before it to its end: 61 rows. The one that was judged false counts on."""
    write(tmp_path, *judged("a", 100, "real"), *judged("b", 300, "false"))
    found = calibrated(capsys, tmp_path, "1000/asset-day")
    assert (found["incidents"], found["left_out"]["real"]) == (3, 61)


def test_maintenance_and_faulty_sensors_are_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sensor = [replace(each, kind="sensor_stuck", sensor="flow") for each in judged("a", 100, "false")[:2]]
    write(tmp_path, *sensor, stretch=stretches(START, [(8, 9, "maintenance", "")], PUMP))
    found = calibrated(capsys, tmp_path, "1000/asset-day")
    assert found["left_out"] == {"real": 0, "sensor": 61, "maintenance": 60}
    assert found["incidents"] == 2


def test_too_little_data_gives_no_floor(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path)
    found = calibrated(capsys, tmp_path, "1/asset-month", code=1)
    assert (found["floor"], found["way"]) == (None, "none")
    assert "0.01 asset-days of normal data cannot promise this" in found["words"][0]


def test_the_floor_is_written_into_the_settings_and_noted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing else in the file changes, and a second time the value is replaced."""
    write(tmp_path)
    (tmp_path / "pump.toml").write_text(ASSET)
    file = tmp_path / "enginewatch.toml"
    file.write_text(SETTINGS)
    assert calibrated(capsys, tmp_path, "900/asset-day", "--apply", "--config", str(file))["applied"]
    added = file.read_text().replace(
        'file = "pump.toml"\n\n[classes.threshold]\nfloor = 2.06\n', 'file = "pump.toml"\n'
    )
    assert added == SETTINGS
    calibrated(capsys, tmp_path, "1000/asset-day", "--apply", "--config", str(file))
    settings = load(file, environment={}).settings
    assert settings.classes[0].threshold is not None
    assert settings.classes[0].threshold.floor == 0.5
    store = Store(tmp_path / "store.db")
    (known,) = report(store)
    store.close()
    assert (known["budget"], known["floor"], known["before"]) == ("1000/asset-day", 0.5, 1.0)
    assert known["since"] == {"incidents": 0, "days": 0, "rate": None, "low": None, "high": None}


def test_the_daemon_that_listens_there_is_sent_sighup(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here it is this process itself. One that then works by other floors is not said to have taken them."""
    write(tmp_path)
    (tmp_path / "pump.toml").write_text(ASSET)
    file = tmp_path / "enginewatch.toml"
    file.write_text(SETTINGS)
    came = threading.Event()
    takes = [False, True]

    def reload(*_: object) -> None:
        if takes.pop():
            spec = shipped("pump")
            taken = replace(spec, threshold=replace(spec.threshold, floor=2.06))
            store = Store(tmp_path / "store.db")
            store.note({"line": LineSpec(ROOT, 10, (taken,)).encode().decode()})
            store.close()
        came.set()

    before = signal.signal(signal.SIGHUP, reload)
    monkeypatch.setattr("monitor.commands.new_floors.TAKEN_S", 0.5)
    try:
        with socket.socket(socket.AF_UNIX) as door, contextlib.chdir(tmp_path):
            door.bind(SOCKET)
            door.listen()
            call = ["calibrate", "--state", str(tmp_path), "--budget", "900/asset-day", "--apply"]
            assert main([*call, "--config", str(file)]) == 0
            assert came.is_set()
            assert "the daemon works by them" in capsys.readouterr().err
            store = Store(tmp_path / "store.db")
            store.note({"line": LineSpec(ROOT, 10, (shipped("pump"),)).encode().decode()})
            store.close()
            assert main([*call, "--config", str(file)]) == 0
    finally:
        signal.signal(signal.SIGHUP, before)
    assert takes == []
    assert "did not take them within 0.5 s: it works by another settings file" in capsys.readouterr().err


def test_a_link_stays_a_link_and_the_file_keeps_its_owner_and_rights(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is nobody else's to read at any moment, and on the disk before it has its name."""
    done: list[str] = []
    for name in ("fchown", "fchmod", "fsync"):
        usual = getattr(os, name)

        def noted(*given: int, name: str = name, usual: Callable[..., None] = usual) -> None:
            rights = os.fstat(given[0]).st_mode & 0o777
            usual(*given)
            done.append(f"{name} {rights:o}")

        monkeypatch.setattr(os, name, noted)
    write(tmp_path)
    here, there = tmp_path / "etc", tmp_path / "real"
    here.mkdir()
    there.mkdir()
    (here / "pump.toml").write_text(ASSET)
    (there / "settings.toml").write_text(SETTINGS)
    (there / "settings.toml").chmod(0o640)
    if os.getuid() == 0:
        os.chown(there / "settings.toml", 1000, 1001)
    before = (there / "settings.toml").stat()
    (here / "enginewatch.toml").symlink_to(there / "settings.toml")
    done.clear()
    calibrated(capsys, tmp_path, "900/asset-day", "--apply", "--config", str(here / "enginewatch.toml"))
    assert (here / "enginewatch.toml").is_symlink()
    after = (there / "settings.toml").stat()
    assert "floor = 2.06" in (there / "settings.toml").read_text()
    assert (after.st_uid, after.st_gid, after.st_mode) == (before.st_uid, before.st_gid, before.st_mode)
    assert done[:3] == ["fchown 600", "fchmod 600", "fsync 640"]
    assert [each.name for each in there.iterdir()] == ["settings.toml"]


def test_a_floor_from_elsewhere_is_not_written_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path)
    (tmp_path / "pump.toml").write_text(ASSET)
    file = tmp_path / "enginewatch.toml"
    file.write_text(SETTINGS)
    monkeypatch.setenv("ENGINEWATCH_CLASSES__0__THRESHOLD__FLOOR", "1.5")
    assert (
        main(
            ["calibrate", "--state", str(tmp_path), "--budget", "900/asset-day", "--apply", "--config", str(file)]
        )
        == 2
    )
    assert "ENGINEWATCH_CLASSES__0__THRESHOLD__FLOOR" in capsys.readouterr().err
    assert file.read_text() == SETTINGS


def test_what_came_since_is_counted_without_what_was_real(tmp_path: Path) -> None:
    """One of two incidents in twelve scored minutes; the third was before the floor was set."""
    events = [*judged("a", 10, "false"), *judged("b", 100, "real"), *judged("c", 300, ""), *judged("d", 50, "")]
    write(tmp_path, *events, stretch=stretches(START, [(0, 14, "scored", "")], PUMP))
    store = Store(tmp_path / "store.db")
    made = Calibration(START + 20_000, "1/asset-day", 1.2, 1.0, "counted", 0.5, 0.1, 1.0, 30.0, 1)
    note(store, {"pump": made})
    (known,) = report(store)
    store.close()
    since = known["since"]
    days = (14 * 60 - 20) / 86_400
    assert (since["incidents"], since["days"]) == (2, pytest.approx(days))
    assert since["rate"] == pytest.approx(2 / days)
    assert known["floor_now"] == 1.0


def test_what_an_override_with_a_floor_of_its_own_finds_is_not_counted(tmp_path: Path) -> None:
    """The class was calibrated without it: what it takes has another threshold. One without a floor counts."""
    other = "plant//other"
    events = [*judged("a", 100, ""), *(replace(each, stream=other) for each in judged("b", 300, ""))]
    spec = shipped("pump")
    route = replace(spec.route, among=(other,))
    made = Calibration(START, "1/asset-day", 1.0, 0.9, "counted", 0.5, 0.1, 1.0, 30.0, 1)
    write(tmp_path, *events, stretch=stretches(START, [(0, 14, "scored", "")], other))
    store = Store(tmp_path / "store.db")
    note(store, {"pump": made})
    found = []
    for floor in (spec.threshold.floor, 3.0):
        own = replace(spec, name="pump/own", route=route, threshold=replace(spec.threshold, floor=floor))
        store.note({"line": LineSpec(ROOT, 10, (own, spec)).encode().decode()})
        (known,) = report(store)
        found.append((known["since"]["incidents"], known["since"]["days"] > 0))
    store.close()
    assert found == [(2, True), (1, False)]


@pytest.mark.parametrize(
    "text",
    ["[[classes]]\nname = 'a'\nthreshold = { cap = 5 }\n", "classes = [{ name = 'a' }]\n"],
)
def test_what_only_a_person_can_change_is_left_alone(text: str) -> None:
    with pytest.raises(ValueError, match="write the floor yourself"):
        with_floor(text, 0, 1.5)


def test_the_class_of_the_number_is_changed_and_no_other() -> None:
    first = "[[classes]]\nname='a'\n[classes.threshold]\nfloor = 2 # a\n"
    text = f"{first}[[classes]]\nname='b'\n[classes.threshold]\ncap=9\n"
    assert with_floor(text, 1, 1.5) == text.replace("cap=9", "floor = 1.5\ncap=9")
    assert with_floor(text, 0, 1.5) == text.replace("floor = 2 #", "floor = 1.5 #")


def test_rows_that_recent_scores_judged_keep_their_thresholds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Thresholds that never stand still and are above 2.0 let nothing fire, whatever the floor."""
    write(tmp_path)
    store = Store(tmp_path / "other.db")
    rows = batch(*((PUMP, second) for second in range(SECONDS)), score=0.2)
    score, by = rows.rows.score.copy(), np.linspace(2.5, 3, SECONDS, dtype=np.float32)
    score[100:106] = 2.0
    store.write(1, result([replace(rows, rows=replace(rows.rows, score=score, threshold=by))]))
    store.note(Store(tmp_path / "store.db").facts())
    store.close()
    (tmp_path / "other.db").replace(tmp_path / "store.db")
    for journal in ("store.db-wal", "store.db-shm"):
        (tmp_path / journal).unlink(missing_ok=True)
    assert calibrated(capsys, tmp_path, "1000/asset-day")["incidents"] == 0
