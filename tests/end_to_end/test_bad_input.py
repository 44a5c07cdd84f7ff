"""Bad input sent for real: a reason for each, counted and kept, and a good asset beside it unharmed."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from monitor.decode import encode_telemetry
from monitor.records import Status
from monitor.store import Store
from tests.rig import Daemon, plain_settings, until
from tests.servers.peers import Peer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers.brokers import Mosquitto

GOOD = "enginewatch/v1/plant/good/telemetry"
BAD = "enginewatch/v1/plant/bad/telemetry"
TICKS = 20


@pytest.fixture
def daemon(tmp_path: Path, mosquitto: Mosquitto) -> Iterator[Daemon]:
    """A daemon that watches two assets at the most, and none of the plant whose name begins with an x."""
    settings = plain_settings(mosquitto, tmp_path, extra="[daemon]\nmax_streams = 2")
    asset = tmp_path / "asset.toml"
    asset.write_text('ignore = ["debug_*"]\n' + asset.read_text())
    running = Daemon(tmp_path, settings.replace('"plant/*"', '"plant//[!x]*"'))
    running.start()
    yield running
    running.close()


def reading(ts: float | str, **values: Any) -> bytes:
    return json.dumps({"v": 1, "ts": ts, "values": values}).encode()


def bad_input(now: int) -> list[tuple[str, bytes, str | None, int]]:
    """Topic, payload, the reason that is expected (None: there is nothing to refuse), and values that are good."""
    return [
        (BAD, b'{"v":1,"ts":', "not JSON", 0),
        (BAD, b"\x00\xff\xfe", "not JSON", 0),
        (BAD, b"", "payload is empty", 0),
        (BAD, b"[[[[", "not JSON", 0),
        (BAD, b"[" * 50_000, "not JSON", 0),
        (BAD, b'"load"', "expected an object, got a string", 0),
        (BAD, b'{"ts":1}', "values is missing", 0),
        (BAD, json.dumps({"ts": now, "values": [1, 2]}).encode(), "values is a list", 0),
        (BAD, reading("now", load=1), "ts is a string", 0),
        (BAD, reading(now + 0.5, load=1), "ts is a fraction", 0),
        (BAD, reading(now // 1000, load=1), "is not in epoch milliseconds", 0),
        (BAD, reading(10**40, load=1), "is not in epoch milliseconds", 0),
        (BAD, json.dumps({"v": 2, "ts": now, "values": {"load": 1}}).encode(), "payload version 2 is unknown", 0),
        (BAD, json.dumps({"values": {"load": 1}}).encode(), "ts is missing", 0),
        # From here on the rest of the message is good: each at a time of its own.
        (BAD, reading(now - 9000, load="50", flow=1.0), "load: expected a number, got a string", 1),
        (BAD, reading(now - 8000, load=True, flow=1.0), "load: expected a number, got a boolean", 1),
        (BAD, reading(now - 7000, load={"a": 1}, flow=1.0), "load: expected a number, got an object", 1),
        (BAD, b'{"ts":%d,"values":{"load":NaN,"flow":1}}' % (now - 6000), "load: nan is not a number", 1),
        (BAD, b'{"ts":%d,"values":{"load":-Infinity,"flow":1}}' % (now - 5000), "load: -inf is not a number", 1),
        (BAD, b'{"ts":%d,"values":{"load":1e400,"flow":1}}' % (now - 4000), "load: inf is not a number", 1),
        (BAD, reading(now - 3000, load=1e39, flow=1.0), "load: 1e+39 does not fit 32-bit floats", 1),
        (BAD, reading(now - 2000, oil=4.0, flow=1.0), "unknown sensor oil", 1),
        (BAD, reading(now - 1000, load=None, flow=1.0), None, 1),  # missing sensors are nothing bad
        (BAD, reading(now - 1500, debug_cpu="high", debug_heap=1.0), None, 0),  # nor what is left out
        (BAD, reading(now, flow=1.0), None, 1),
        ("enginewatch/v1/plant/x-1/telemetry", reading(now, load=1.0), "no class takes this asset", 0),
        ("enginewatch/v1/plant/bad/status", b"gone", "status: ", 0),
        ("enginewatch/v1/plant/third/telemetry", reading(now, load=1.0), "more assets than daemon.max_streams", 0),
        (BAD, b"x" * 10_000_000, "payload of 10000000 bytes is over the limit", 0),
    ]  # fmt: skip


def test_every_bad_input_has_its_reason_and_harms_nothing(daemon: Daemon, mosquitto: Mosquitto) -> None:
    """Between them a good asset goes on: each of its values ends in a row, and the books add up."""
    now = int(time.time() * 1000) // 1000 * 1000
    sent = bad_input(now)
    began = now - TICKS * 1000
    with Peer(mosquitto) as peer:
        peer.publish(BAD, reading(began, load=1.0))  # the second of the two assets
        for number, (topic, payload, _, _) in enumerate(sent):
            if number < TICKS:
                values = {"load": 50.0 + number, "flow": 110.0}
                good = encode_telemetry(time=began + number * 1000, boot="b", seq=number, values=values)
                peer.publish(GOOD, good)
            peer.publish(topic, payload)
    refused = [reason for _, _, reason, _ in sent if reason is not None]
    good_values = 2 * TICKS + 1 + sum(count for *_, count in sent)
    until(lambda: daemon.accounted() == good_values + 1 + len(refused), why=str(refused))
    until(lambda: daemon.books()["waiting"] == 0, why="all ticks closed by time")
    outcomes = daemon.books()["outcomes"]
    none = dict.fromkeys(outcomes, 0)
    assert outcomes == none | {"in_row": good_values, "dead_letter": len(refused), "ignored": 1}
    _letters_are_kept(daemon, refused)
    _the_good_asset_has_every_row(daemon)
    assert daemon.books()["streams"] == 2
    daemon.stop()


def _letters_are_kept(daemon: Daemon, refused: list[str]) -> None:
    """In their order, each with its reason, and of the longest payload only the beginning."""
    store = Store(daemon.state / "store.db")
    letters = store.dead_letters(1000)[::-1]
    store.close()
    assert len(letters) == len(refused)
    # Readings that are refused late, for lack of room or of a type, come behind those refused at once.
    unmatched = [letter.reason for letter in letters]
    for reason in refused:
        found = next((told for told in unmatched if reason in told), None)
        assert found is not None, f"{reason!r} is not among {unmatched}"
        unmatched.remove(found)
    assert max(len(letter.payload) for letter in letters) == 1024


def _the_good_asset_has_every_row(daemon: Daemon) -> None:
    store = Store(daemon.state / "store.db")
    rows = [
        (stored.rows.actual[row].tolist(), int(stored.rows.status[row]))
        for stored in store.scores_after(0, 1_000_000)
        for row, stream in enumerate(stored.streams)
        if stream == "plant//good"
    ]
    store.close()
    assert [actual for actual, _ in rows] == [[50.0 + number, 110.0] for number in range(TICKS)]
    assert {status for _, status in rows} == {Status.LEARNING}
