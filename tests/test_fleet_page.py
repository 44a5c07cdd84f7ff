"""The page of a fleet over HTTP: the page as it is, over what InfluxDB has, and the way back by Kafka."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from config.classes import resolve_classes
from config.load import load
from monitor.cli import main
from monitor.fleet_page import orders
from monitor.fleet_page.page import FleetPage
from monitor.records import Status, Transition
from tests.http_rig import ask
from tests.mirror_samples import House, line, rows
from tests.rig import until
from tests.store_samples import transition

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers.influxd import Influxd

KEY = "plant//pump-1"  # of store_samples, too
COMMAND = {"id": "c1", "action": "acknowledge", "ts": 1, "incident": "i1", "who": "Ann"}


@contextmanager
def page(house: House, *given: str) -> Iterator[FleetPage]:
    """A page that runs for a while; `given` are settings, KEY=VALUE."""
    overrides = [f"influx.url={house.influxd.url}", f"influx.bucket={house.name}", "http.port=0", *given]
    loaded = load(house.folder / "enginewatch.toml", overrides=overrides, environment={})
    folder = house.folder / "page"
    folder.mkdir()
    made = FleetPage(loaded.settings, resolve_classes(loaded), folder, since_ms=10**13)
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(made.run()))
    thread.start()
    try:
        until(lambda: made._http.address, why="it listens")
        yield made
    finally:
        made.stop()
        thread.join(20)
    assert codes == [0]


def get(made: FleetPage, path: str) -> Any:
    status, said, _ = ask(made._http, path)
    assert status == 200
    return said


def tell(made: FleetPage, command: dict[str, object]) -> tuple[int, Any]:
    body = json.dumps(command).encode()
    return ask(made._http, "/api/v1/commands", "POST", body, content_type="application/json")[:2]


@pytest.fixture
def house(database: Influxd, tmp_path: Path) -> House:
    """A fleet of one pump with an open incident."""
    made = House(database, tmp_path, tmp_path.name, line(tmp_path))
    made.write(rows("pump", (KEY, 1, Status.SCORED, 0.5), (KEY, 2, Status.SCORED, 2.5)))
    made.events(transition(Transition.FIRED))
    return made


def test_the_page_shows_a_fleet_and_tells_it_what_is_said(house: House) -> None:
    pytest.importorskip("confluent_kafka", reason="the extra fleet is not installed")
    from monitor.fleet.control import decode  # noqa: PLC0415 - beside the extra
    from tests.servers.kafka import MockKafka  # noqa: PLC0415 - as above

    kafka = MockKafka()
    with page(house, f"fleet.brokers={kafka.address}") as made:
        until(lambda: made._mirror.rows == 2, why="the rows are here")
        fleet = get(made, "/api/v1/fleet")
        (row,) = fleet["assets"]
        assert (row["asset"], row["class"], row["score"], row["state"]) == (KEY, "pump", 2.5, "warning")
        assert fleet["summary"]["watched"] == "1 warning; the one asset is watched"
        assert "values_per_s" not in fleet["summary"]
        assert fleet["summary"]["lags"] == {}
        asset = get(made, f"/api/v1/assets/{KEY.replace('/', '%2F')}")
        assert [value for value in asset["score"]["high"] if value is not None] == [0.5, 2.5]
        assert [each["id"] for each in get(made, "/api/v1/incidents")["incidents"]] == ["i1"]
        health = get(made, "/api/v1/health")
        assert [hop["name"] for hop in health["hops"]] == ["fleet", "influx", "mirror", "store", "kafka", "http"]
        assert {hop["state"] for hop in health["hops"]} <= {"good", "idle"}
        assert "\nenginewatch_mirror_rows_total 2\n" in get(made, "/metrics")

        status, said = tell(made, COMMAND)
        assert (status, said["done"], said["later"]) == (200, True, "the fleet has been told")
        (record,) = kafka.read("enginewatch-control")
        told = decode(record.value()).command
        assert told is not None
        # With what the store knows of the incident: the fleet has none.
        assert (told.action, told.who, told.asset, told.kind) == ("acknowledge", "Ann", KEY, "anomaly")
        assert tell(made, COMMAND | {"incident": "no"})[0] == 422


def test_without_kafka_the_answer_says_so_and_the_page_goes_on(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("confluent_kafka", reason="the extra fleet is not installed")
    monkeypatch.setattr(orders, "PATIENCE_S", 0.2)
    with page(house, "fleet.brokers=127.0.0.1:1") as made:
        until(lambda: made._mirror.rows == 2, why="the rows are here")
        status, said = tell(made, COMMAND)
        assert (status, said["done"]) == (422, False)
        assert said["reply"].startswith("the fleet was not told: Kafka at 127.0.0.1:1 does not take commands (")
        assert "fleet.brokers" in said["reply"]
        (kafka,) = (hop for hop in get(made, "/api/v1/health")["hops"] if hop["name"] == "kafka")
        assert kafka["state"] == "degraded"


def test_influxdb_away_makes_the_page_degraded_and_not_unready(house: House) -> None:
    with page(house) as made:
        until(lambda: made._mirror.rows == 2, why="the rows are here")
        house.influxd.stop()
        until(lambda: made._mirroring.trouble, why="that is seen")
        said = get(made, "/readyz")
        assert said["status"] == "degraded"
        assert said["reasons"] == [f"what the fleet finds is not read: {made._mirroring.trouble}"]
        assert get(made, "/api/v1/fleet")["summary"]["trouble"] == made._mirroring.trouble


@pytest.mark.parametrize(
    ("given", "words"),
    [("influx.bucket=x", "influx.url is not set"), ("http.enabled=false", "http.enabled is false")],
)
def test_settings_without_a_page_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], given: str, words: str
) -> None:
    line(tmp_path)
    config = ["--config", str(tmp_path / "enginewatch.toml"), "--set", given]
    more = [] if "influx" in given else ["--set", "influx.url=http://127.0.0.1:1"]
    assert main(["fleet", "page", *config, *more]) == 2
    assert words in capsys.readouterr().err


def test_the_folder_of_a_daemon_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its store would have the rows of both."""
    line(tmp_path)
    (tmp_path / "journal.db").touch()
    config = ["--config", str(tmp_path / "enginewatch.toml"), "--set", "influx.url=http://127.0.0.1:1"]
    assert main(["fleet", "page", *config, "--state", str(tmp_path)]) == 2
    assert "is the state folder of a daemon" in capsys.readouterr().err
