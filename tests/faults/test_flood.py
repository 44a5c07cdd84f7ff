"""More than can be carried: readings at ten times the capacity, and a million assets that nobody knows."""

from __future__ import annotations

import signal
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from monitor.decode import encode_telemetry
from monitor.store import Store
from tests import recordings
from tests.faults.beside import beside
from tests.faults.flood import Flood
from tests.faults.house import House
from tests.faults.report import Finding, tell
from tests.faults.size import FULL, tries
from tests.rig import until
from tests.servers import missing
from tests.servers.brokers import Mosquitto
from tests.servers.influxd import DATABASE

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers.influxd import Influxd

pytestmark = pytest.mark.timeout(3600)
STRANGERS = tries(20_000, 1_000_000)
LETTERS = 1_000  # dead letters that are kept
FLOOD_S = 120.0
PUMPS = 30
TICKS = 100.0  # a second
RUNS_S, STANDS_S = 0.01, 0.39  # of a machine that is a fortieth as fast
FACTOR = 10.0
PENDING_MB, BACKLOG_MB = 8, 32
# What may come to lie in memory beside that: messages as objects, rows of a batch, the pages of the databases.
BESIDE_MB = 96


def test_assets_that_nobody_knows(
    tmp_path: Path, pump_model: Path, mosquitto: Mosquitto, database: Influxd
) -> None:
    """Row 21: as many as there are names; what was known before loses nothing, and nobody else gets a place."""
    extra = "[daemon]\nmax_streams = 3"
    now = int(time.time() * 1000)
    payload = encode_telemetry(time=now, boot="b", seq=1, values=dict.fromkeys(recordings.SENSORS, 50.0))
    letters = len(recordings.SENSORS)  # each value has its outcome
    with House(
        *(tmp_path, pump_model, mosquitto, database),
        ticks=20_000,
        store=f"dead_letters = {LETTERS}",
        extra=extra,
    ) as house:
        house.begin()
        house.settle()
        before, most = house.rss_mb(), 0.0
        with house.plant.load(5.0), Flood(mosquitto) as flood:
            for first in range(0, STRANGERS, 1000):
                names = range(first, min(first + 1000, STRANGERS))
                flood.publish((b"enginewatch/v1/plant/stranger-%d/telemetry" % name, payload) for name in names)
                most = max(most, house.rss_mb())
            flood.wait()
            wanted = STRANGERS * letters
            until(
                lambda: house.daemon.books()["outcomes"]["dead_letter"] >= wanted,
                seconds=600,
                why="an outcome for each",
            )
        most = max(most, house.rss_mb())
        recovery = house.fresh()
        verdict = house.finish()
        books = house.daemon.books()
        store = Store(house.daemon.state / "store.db")
        kept = len(store.dead_letters(10 * LETTERS))
        store.close()
        known = database.query('SHOW TAG VALUES FROM anomaly WITH KEY = "asset"', DATABASE)
    remark = f"{books['streams']} streams, {kept:,} dead letters kept of {books['outcomes']['dead_letter']:,}"
    remark += f", RSS +{most - before:.0f} MB"
    tell(Finding.of(21, "topics of assets that nobody knows", STRANGERS, verdict, recovery, remark))
    assert verdict.clean, verdict
    assert books["outcomes"]["dead_letter"] == wanted
    assert books["streams"] == len(house.plant.pumps)
    assert kept == LETTERS
    assert {each["value"] for each in known} == set(house.plant.pumps)
    assert most - before <= BESIDE_MB


@contextmanager
def slowed(house: House) -> Iterator[None]:
    """The daemon runs only a small part of the time, as on a slower machine."""
    assert house.daemon.process is not None
    process = house.daemon.process

    def work(over: threading.Event) -> None:
        while not over.is_set():
            process.send_signal(signal.SIGSTOP)
            over.wait(STANDS_S)
            process.send_signal(signal.SIGCONT)
            over.wait(RUNS_S)

    try:
        with beside(work):
            yield
    finally:
        process.send_signal(signal.SIGCONT)


@pytest.mark.skipif(not FULL, reason="only in `make faults`: it floods for two minutes")
def test_a_flood(tmp_path: Path, pump_model: Path) -> None:
    """Row 20: ten times what is carried, by a broker that pushes all; the connection lives, memory is bounded.

    The cap is what may wait before the journal and behind it, and what a daemon at work needs beside that.
    """
    if not Mosquitto.installed():
        missing("mosquitto")
    with (
        Mosquitto(tmp_path / "mosquitto", lines=["max_inflight_messages 0"]) as broker,
        House(
            *(tmp_path, pump_model, broker, None),
            ticks=int(FLOOD_S * TICKS) + 1_000,
            pumps=PUMPS,
            mqtt=f"max_pending_bytes = {PENDING_MB << 20}",
            store=f"journal_max_bytes = {BACKLOG_MB << 20}",
        ) as house,
    ):
        house.begin()
        house.settle()
        links, before, most = house.logged("mqtt_connected"), house.rss_mb(), 0.0
        first = house.plant.sent
        rows = house.daemon.books()["outcomes"]["in_row"]
        with slowed(house), house.plant.load(TICKS):
            end = time.monotonic() + FLOOD_S
            while time.monotonic() < end:
                time.sleep(0.5)
                most = max(most, house.rss_mb())
            carried = house.daemon.books()["outcomes"]["in_row"] - rows
        flooded = PUMPS * (house.plant.sent - first)
        factor = flooded * len(recordings.SENSORS) / max(1, carried)
        began = time.monotonic()
        assert house.plant.publisher.wait_delivered(300.0)
        wanted = len(recordings.SENSORS) * PUMPS * (house.plant.sent - 60)
        until(lambda: house.daemon.books()["outcomes"]["in_row"] >= wanted, seconds=900, why="all in rows")
        drained = time.monotonic() - began
        most = max(most, house.rss_mb())
        recovery = house.fresh()
        verdict = house.finish()
        reconnects = house.logged("mqtt_connected") - links
        paused = house.logged("receiving_paused")
    remark = (
        f"{flooded:,} rows in {FLOOD_S:.0f} s, {factor:.0f} times what was carried, drained in {drained:.0f} s; "
    )
    remark += f"RSS +{most - before:.0f} MB, {reconnects} connections lost, reading paused {paused} times"
    tell(Finding.of(20, "flood (mosquitto)", 1, verdict, recovery, remark))
    assert verdict.clean, verdict
    assert reconnects == 0
    assert factor >= FACTOR
    assert most - before <= PENDING_MB + BACKLOG_MB + BESIDE_MB
