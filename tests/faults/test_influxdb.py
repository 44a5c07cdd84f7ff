"""InfluxDB away, dumb, rude or choosy: everything reaches it in the end, once, and alerts do not wait for it."""

from __future__ import annotations

import json
import time
import urllib.request
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from monitor.store import Store
from tests import recordings
from tests.faults.house import FRESH_LIMIT_S, House
from tests.faults.oracle import Verdict
from tests.faults.proxy import Proxy
from tests.faults.report import Finding, tell
from tests.faults.size import FULL, only_full, tries
from tests.rig import until
from tests.servers.influxd import DATABASE
from tests.servers.scripted import Answer, scripted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers.brokers import Mosquitto
    from tests.servers.influxd import Influxd

pytestmark = pytest.mark.timeout(3600)
HOUR = tries(400, 3_600)  # ticks
WARM = HOUR // 3
RSS_LIMIT_MB = 20.0
TIMEOUT_S = 10.0  # the default of influx.timeout_s
ALARM_S = 30.0
NOISE_S = 1.0  # that this machine may add to a pause


@pytest.fixture
def cable(database: Influxd) -> Iterator[Proxy]:
    """What stands between the daemon and InfluxDB."""
    with Proxy("127.0.0.1", port(database.url)) as proxy:
        yield proxy


def test_away_for_an_hour(tmp_path: Path, pump_model: Path, mosquitto: Mosquitto, database: Influxd) -> None:
    """Row 5: what comes meanwhile waits in the store, not in memory, and alerts are told at once."""
    with House(tmp_path, pump_model, mosquitto, database, ticks=HOUR + WARM + 300) as house:
        house.plant.publish(60)
        house.fresh()
        database.stop()
        house.plant.publish(60)
        heard = until(lambda: house.heard, why="the alert while InfluxDB is away")
        late = time.time() - next(iter(heard.values()))["recorded"] / 1000
        database.start()
        house.plant.publish(WARM)  # as fast as the hour will come: what that takes is not the outage's
        house.fresh()
        before = house.rss_mb()
        database.stop()
        house.plant.publish(HOUR)
        until(lambda: in_rows(house) >= house.plant.sent, why="the hour in rows")
        grown = house.rss_mb() - before
        database.start()
        began = time.monotonic()
        recovery = house.fresh()
        verdict = house.finish()
        drained = time.monotonic() - began
    rows = HOUR * len(house.plant.pumps)
    remark = f"{rows:,} rows, RSS {grown:+.1f} MB, alert told after {late:.1f} s, drained in {drained:.1f} s"
    tell(Finding.of(5, "InfluxDB gone for an hour's worth", 1, verdict, recovery, remark))
    assert verdict.clean, verdict
    if FULL:
        assert grown <= RSS_LIMIT_MB
        assert late <= NOISE_S


def test_accepts_and_never_answers(
    tmp_path: Path, pump_model: Path, mosquitto: Mosquitto, database: Influxd, cable: Proxy
) -> None:
    """Row 6: the time-out is told, and once InfluxDB answers everything arrives."""
    times = tries(1, 5)
    limit = TIMEOUT_S if FULL else 1.0
    longest = recovery = 0.0
    with House(
        tmp_path, pump_model, mosquitto, database, influx_url=url(cable), influx=f"timeout_s = {limit}"
    ) as house:
        house.begin()
        for _ in range(times):
            house.fresh()
            cable.hanging = True
            began, seen = time.monotonic(), len(log(house))
            house.plant.publish(5)
            until(lambda seen=seen: degraded(house, seen, "did not answer"), why="the time-out told")  # type: ignore[misc]  # bound at once
            longest = max(longest, time.monotonic() - began)
            cable.mend()
            recovery = max(recovery, house.fresh())
        verdict = house.finish()
    remark = f"told after {longest:.1f} s at influx.timeout_s = {limit:g}"
    tell(Finding.of(6, "InfluxDB accepts and never answers", times, verdict, recovery, remark))
    assert verdict.clean, verdict
    if FULL:
        assert longest <= TIMEOUT_S + NOISE_S


def test_replies_lost_after_the_commit(
    tmp_path: Path, pump_model: Path, mosquitto: Mosquitto, database: Influxd, cable: Proxy
) -> None:
    """Row 7: what was stored and not confirmed is sent again, and makes the same points."""
    times = tries(5, 200)
    cut: list[int] = []

    def lose(piece: bytes) -> bytes | None:
        cut.append(len(piece))
        return None

    with House(tmp_path, pump_model, mosquitto, database, ticks=400 + 2 * times, influx_url=url(cable)) as house:
        house.begin()
        cable.to_client = lose
        while len(cut) < times:
            house.plant.publish(1)
            seen = len(cut)
            until(lambda seen=seen: len(cut) > seen, why="a reply cut off")  # type: ignore[misc]  # bound at once
        cable.mend()
        recovery = house.fresh()
        verdict = house.finish()
        rows = database.count("anomaly")
        extra = rows - house.plant.sent * len(house.plant.pumps)
    tell(
        Finding.of(
            7, "reply lost after the commit", len(cut), verdict, recovery, f"{extra} extra points of {rows:,}"
        )
    )
    assert verdict.clean, verdict
    assert extra == 0


@pytest.mark.parametrize("status", [429, 503] if FULL else [503])
def test_a_huge_retry_after(
    tmp_path: Path, pump_model: Path, mosquitto: Mosquitto, database: Influxd, cable: Proxy, status: int
) -> None:
    """Row 8: the pause that a server asks for is capped by influx.retry_max_s."""
    only_full()  # tests/test_influx_answers.py has the same without a plant
    times = tries(4, 100)
    asked: list[float] = []

    def refuse(_path: str, _body: bytes) -> Answer:
        asked.append(time.monotonic())
        return status, {"Retry-After": "999999"}, b"busy"

    with (
        House(tmp_path, pump_model, mosquitto, database, influx_url=url(cable)) as house,
        scripted(refuse) as busy,
    ):
        house.begin()
        real, cable.server = cable.server, ("127.0.0.1", port(busy))
        cable.cut()
        house.plant.publish(10)
        until(lambda: len(asked) >= times, why="it goes on trying")
        cable.server = real
        cable.cut()
        recovery = house.fresh()
        verdict = house.finish()
    longest = max(later - earlier for earlier, later in pairwise(asked))
    remark = f"longest pause {longest:.2f} s at influx.retry_max_s = 0.5"
    tell(Finding.of(8, f"{status} with Retry-After: 999999", len(asked), verdict, recovery, remark))
    assert verdict.clean, verdict
    if FULL:
        assert longest <= 0.5 + NOISE_S


def test_one_bad_line_among_5000(tmp_path: Path, pump_model: Path, mosquitto: Mosquitto, influxd: Influxd) -> None:
    """Row 9: a field type conflict costs its own line, which is a dead letter with the reason, and no other."""
    influxd.query(f'CREATE DATABASE "{DATABASE}" WITH DURATION INF SHARD DURATION 1h')
    requests = 0

    def count(piece: bytes) -> bytes:
        nonlocal requests
        requests += piece.count(b"POST /api/v2/write")
        return piece

    ticks = 833  # of 3 pumps, and one row more: 2,500 rows, each a line of scores and one of readings
    with (
        Proxy("127.0.0.1", port(influxd.url)) as cable,
        House(tmp_path, pump_model, mosquitto, influxd, ticks=ticks, influx_url=url(cable)) as house,
    ):
        plant = house.plant
        hour = time.time_ns() // 1_000_000 // 3_600_000 * 3_600_000
        plant.began = hour - ticks * 1000  # the row more is alone in a shard, where a field is a text
        write(influxd, f'anomaly contribution_pressure="text" {hour + 1_800_000}')
        cable.refusing = True
        plant.publish(ticks)
        last = dict(zip(recordings.SENSORS, plant.values[0, -1].tolist(), strict=True))
        plant.publisher.send(plant.pumps[0], hour, last)
        until(lambda: in_rows(house, 1) >= 3 * ticks + 1, why="all rows in the store")
        cable.to_server = count
        cable.refusing = False
        began = time.monotonic()
        until(house._is_sent, why="everything delivered")
        recovery = time.monotonic() - began
        store = Store(house.daemon.state / "store.db")
        letters = store.dead_letters(10)
        store.close()
        stored = influxd.query("SELECT count(status) FROM anomaly", DATABASE)[0]["count"] + influxd.count("engine")
    lines = 2 * (3 * ticks + 1)
    verdict = Verdict()
    verdict.count(verdict.missing, "lines", range(lines - stored - len(letters)))
    verdict.count(verdict.doubled, "lines", range(stored + len(letters) - lines))
    remark = f"{stored:,} of {lines:,} stored, {len(letters)} dead letter, {requests} requests"
    found = Finding.of(9, "one bad line among 5,000", 1, verdict, recovery, remark)
    tell(replace(found, incident=None))  # none was looked for
    assert (lines, stored, len(letters)) == (5_000, 4_999, 1)
    assert "field type conflict" in letters[0].reason
    assert requests <= 30


@pytest.mark.parametrize("what", ["401", "404"] if FULL else ["404"])
def test_not_let_in_until_it_is_mended(
    tmp_path: Path, pump_model: Path, mosquitto: Mosquitto, influxd: Influxd, what: str
) -> None:
    """Row 10: a refused token or a missing database is told with the setting to change, and costs nothing."""
    setting = {"401": "influx.token", "404": "influx.bucket"}[what]
    if what == "401":
        influxd.create_database(DATABASE)
        influxd.configure(token="right")  # noqa: S106 - a test's
    with House(tmp_path, pump_model, mosquitto, influxd) as house:
        began = time.monotonic()
        house.plant.publish(30)
        until(lambda: degraded(house, 0, setting), why="the alarm")
        alarm = time.monotonic() - began
        house.begin()
        if what == "401":
            influxd.configure()
        else:
            influxd.create_database(DATABASE)
        recovery = house.fresh()
        verdict = house.finish()
    remark = f"{setting} named after {alarm:.1f} s"
    tell(Finding.of(10, f"{what}, then mended", 1, verdict, recovery, remark))
    assert verdict.clean, verdict
    if FULL:
        assert alarm <= ALARM_S
        assert recovery <= FRESH_LIMIT_S


def port(address: str) -> int:
    """The port of an address."""
    return int(address.rpartition(":")[2])


def url(proxy: Proxy) -> str:
    """A proxy's address for `influx.url`."""
    return f"http://{proxy.host}:{proxy.port}"


def log(house: House) -> list[dict[str, Any]]:
    """What the daemon has logged so far."""
    return [json.loads(line) for line in house.daemon.log.read_text().splitlines()]


def degraded(house: House, seen: int, words: str) -> bool:
    """Whether the daemon has told trouble with InfluxDB in these words since so many log lines."""
    return any(line["event"] == "influx_degraded" and words in line["error"] for line in log(house)[seen:])


def in_rows(house: House, pumps: int = 3) -> int:
    """The ticks of so many pumps whose values are in rows."""
    found: int = house.daemon.books().get("outcomes", {}).get("in_row", 0)
    return found // len(recordings.SENSORS) // pumps


def write(server: Influxd, line: str) -> None:
    """Write a line as another client would."""
    address = f"{server.url}/api/v2/write?bucket={DATABASE}&precision=ms"
    urllib.request.urlopen(urllib.request.Request(address, line.encode(), method="POST")).close()  # noqa: S310
