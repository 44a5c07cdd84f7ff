"""A daemon goes on from a backup made under load: no alert twice, and with what is sent again all is there."""

from __future__ import annotations

import json
import shutil
import threading
import time
from typing import TYPE_CHECKING

from monitor.decode import encode_telemetry
from tests import recordings
from tests.rig import Daemon, run, settings, until
from tests.servers.peers import Peer

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.brokers import Mosquitto

LENGTH, FIRST = 1000, 650  # rows; so many before the backup, of which the last fifty are in the fault
EVENTS = "enginewatch/v1/plant/+/alert/event"


def test_a_backup_under_load_is_restored(tmp_path: Path, pump_model: Path, mosquitto: Mosquitto) -> None:
    daemon = Daemon(tmp_path, settings(mosquitto, pump_model, extra="[store]\ncheckpoint_s = 0.2"))
    table = recordings.pump(LENGTH, 101, faulty=True)
    began = time.time_ns() // 1_000_000 - LENGTH * 1000

    def publish(peer: Peer, number: int) -> None:
        values = dict(zip(recordings.SENSORS, table[number].tolist(), strict=True))
        payload = encode_telemetry(time=began + number * 1000, boot="b", seq=number, values=values)
        peer.publish("enginewatch/v1/plant/pump/telemetry", payload)

    over = threading.Event()
    sent = FIRST

    def load() -> None:
        nonlocal sent
        with Peer(mosquitto) as peer:
            while not over.is_set() and sent < 750:
                publish(peer, sent)
                sent += 1
                time.sleep(0.01)

    sender = threading.Thread(target=load)
    with Peer(mosquitto, EVENTS) as subscriber, Peer(mosquitto) as peer:
        try:
            daemon.start()
            for number in range(FIRST):
                publish(peer, number)
            until(lambda: subscriber.messages, why="fired")
            sender.start()
            until(lambda: sent > FIRST + 5)
            run("backup", "copy", folder=tmp_path)
            over.set()
            sender.join()
            until(lambda: daemon.accounted() == 4 * sent)
            daemon.kill()
            shutil.rmtree(daemon.state)
            (tmp_path / "copy").rename(daemon.state)
            daemon.start()
            known = daemon.accounted()
            assert 4 * FIRST < known <= 4 * sent
            for number in range(LENGTH):
                publish(peer, number)
            until(lambda: daemon.books()["outcomes"]["in_row"] == 4 * LENGTH, why="all values in rows")
            until(lambda: len(subscriber.messages) >= 2, why="cleared")
            daemon.stop()
        finally:
            over.set()
            daemon.close()
    books = daemon.books()
    again = books["outcomes"]["late"] + books["outcomes"]["duplicate"]
    assert daemon.accounted() == 4 * LENGTH + again
    assert again == known  # what the copy knew, and nothing else
    told = [json.loads(payload)["transition"] for _, payload, _ in subscriber.messages]
    assert told == ["fired", "cleared"]
    assert not any(daemon.logged(event) for event in ("state_lost", "journal_lost", "store_lost"))
