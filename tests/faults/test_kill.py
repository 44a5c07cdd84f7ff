"""The daemon killed with -9 at random moments under load: nothing missing, nothing doubled, same incidents."""

from __future__ import annotations

import os
import random
import threading
import time
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from monitor.decode import encode_telemetry
from monitor.incident import incident_id
from monitor.records import Status, Transition
from monitor.store import Store
from tests import recordings
from tests.rig import Daemon, settings, until
from tests.servers.peers import Peer
from tests.trained import WINDOW

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers.brokers import Broker, Mosquitto
    from tests.servers.influxd import Influxd

pytestmark = pytest.mark.timeout(600)
KILLS = int(os.environ.get("ENGINEWATCH_KILLS", "4"))
LONGEST_S = 1.2  # that a daemon lives until it is killed
PUMPS, LENGTH = 3, 1000
ROWS = PUMPS * LENGTH
SHARE = LENGTH // (KILLS + 1)  # the rows of a pump that come for each kill, and after the last


def test_kill_under_load(tmp_path: Path, pump_model: Path, mosquitto: Mosquitto, database: Influxd) -> None:
    """After any number of kills the store, InfluxDB and the incidents are those of a run without any."""
    chance = random.Random(2)  # noqa: S311 - moments, not secrets
    extra = "[store]\ncheckpoint_s = 2"
    daemon = Daemon(tmp_path, settings(mosquitto, pump_model, influx=database.url, extra=extra))
    values = ROWS * len(recordings.SENSORS)
    try:
        daemon.start()
        with _load(mosquitto) as rows:
            for _ in range(KILLS):
                rows.release(SHARE)
                time.sleep(chance.uniform(0.1, LONGEST_S))
                daemon.kill()
                daemon.start()
            rows.release(LENGTH - KILLS * SHARE)
        until(lambda: daemon.books().get("outcomes", {}).get("in_row") == values, why="all values in rows")
        until(lambda: database.count("anomaly") == ROWS, why="all rows in InfluxDB")
        daemon.stop()
    finally:
        daemon.close()
    _rows_are_whole(daemon)
    # Sent again after a kill, because its acknowledgement had not left: known as a repeat, or late where many are.
    # Every value is in a row, so that neither can be the only one of its kind.
    books = daemon.books()
    outcomes = books["outcomes"]
    again = {name: outcomes[name] for name in ("duplicate", "late")}
    assert outcomes == {**dict.fromkeys(outcomes, 0), "in_row": values, **again}
    assert books["rows"]["warming_up"] == 3 * (WINDOW - 1)
    _one_incident(daemon)


@contextmanager
def _load(broker: Broker) -> Iterator[threading.Semaphore]:
    """Publishes a row of every pump for each release, over as long as a daemon may live; ends when all are out.

    It waits for the kills rather than they for it: however slow the machine is, the load is there at each of them.
    """
    pumps = [recordings.pump(LENGTH, 100 + seed, faulty=seed == 1) for seed in range(PUMPS)]
    began = time.time_ns() // 1_000_000 - LENGTH * 1000
    rows = threading.Semaphore(0)
    over = threading.Event()

    def go() -> None:
        with Peer(broker) as peer:
            for number in range(LENGTH):
                rows.acquire()
                for pump, table in enumerate(pumps):
                    values = dict(zip(recordings.SENSORS, table[number].tolist(), strict=True))
                    payload = encode_telemetry(time=began + number * 1000, boot="b", seq=number, values=values)
                    peer.publish(f"enginewatch/v1/plant/pump-{pump}/telemetry", payload)
                if over.wait(LONGEST_S / SHARE):
                    return

    thread = threading.Thread(target=go)
    thread.start()
    try:
        yield rows
    except BaseException:
        over.set()
        rows.release()
        raise
    finally:
        thread.join()


def _rows_are_whole(daemon: Daemon) -> None:
    """Every tick of every pump has one row, and only the first window's worth is not scored."""
    store = Store(daemon.state / "store.db")
    batches = list(store.latest_scores())
    rows = Counter(
        (stream, int(time)) for batch in batches for stream, time in zip(batch.streams, batch.time, strict=True)
    )
    scored = sum(int((batch.rows.status == Status.SCORED).sum()) for batch in batches)
    store.close()
    assert len(rows) == ROWS
    assert set(rows.values()) == {1}
    assert scored == ROWS - 3 * (WINDOW - 1)


def _one_incident(daemon: Daemon) -> None:
    """One fired, one cleared; and its id is what its stream and start make it."""
    store = Store(daemon.state / "store.db")
    events = [event for _, event in store.events_after(0, 100)]
    store.close()
    assert [(event.stream, event.transition) for event in events] == [
        ("plant//pump-1", Transition.FIRED),
        ("plant//pump-1", Transition.CLEARED),
    ]
    expected = incident_id("plant//pump-1", "anomaly", "", events[0].started)
    assert {event.incident_id for event in events} == {expected}
