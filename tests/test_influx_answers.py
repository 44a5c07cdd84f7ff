"""The InfluxDB sink against answers that a real server gives only on a bad day, and against none at all."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from config.settings import InfluxSettings
from monitor.influx import EVENTS, SCORES, InfluxSink
from tests.influx_samples import START, MemoryOutbox, deliver, event, sending, settings, stored, until
from tests.servers.scripted import ACCEPTED, Answer, scripted

if TYPE_CHECKING:
    from collections.abc import Callable


def test_a_server_that_refuses_everything_costs_no_line() -> None:
    """InfluxDB 2 answers 400 where the organisation is missing: that is no line's fault."""
    bodies: list[bytes] = []

    def script(_: str, body: bytes) -> Answer:
        bodies.append(body)
        return 400, {}, b'{"code":"invalid","message":"Please provide either orgID or org"}'

    outbox = MemoryOutbox([stored(1, 8)])
    with scripted(script) as url, sending(outbox, url) as sink:
        until(lambda: len(bodies) > 12, "it went on trying")
        assert "refuses everything" in sink.last_error
        assert "Please provide either orgID or org" in sink.last_error
        assert "influx.org" in sink.last_error
        assert sink.state == "degraded"
    assert (outbox.letters, outbox.positions, sink.lag) == ([], {}, 8)


def test_influxdb_2_says_rows_beyond_the_retention_in_its_own_words() -> None:
    """A long sentence that quotes the points: the number at its end is what counts."""
    quoted = "oldest point anomaly," + "asset=pump," * 40
    words = (
        "failure writing points to database: partial write: dropped 7 points outside retention policy of duration "
        f"72h0m0s - {quoted} dropped because it violates a Retention Policy Lower Bound, newest point {quoted} "
        "dropped=7 for database: 0a1b for retention policy: autogen"
    )
    body = json.dumps({"code": "unprocessable entity", "message": words}).encode()
    outbox = MemoryOutbox([stored(1, 10)])
    with scripted(lambda *_: (422, {}, body)) as url:
        sink = deliver(outbox, url)
    assert (sink.sent_rows, sink.expired_rows, sink.requests, outbox.letters) == (3, 7, 1, [])


def test_a_server_that_never_answers_keeps_the_data() -> None:
    """The wait ends by `timeout_s`, and stopping does not wait for the server."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        outbox = MemoryOutbox([stored(1, 10)])
        with sending(outbox, f"http://127.0.0.1:{silent.getsockname()[1]}", timeout_s=0.2) as sink:
            until(lambda: sink.state == "degraded", "the silence is told")
            assert "influx.timeout_s" in sink.last_error
            assert outbox.positions == {}
            assert sink.stop(0.0) is False


@pytest.mark.parametrize(("asked", "expected"), [("7", 7.0), ("9999", 60.0), ("Wed, 21 Oct 2026", None)])
@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_honoured_up_to_the_longest_pause(status: int, asked: str, expected: float | None) -> None:
    answers: list[Answer] = [(status, {"Retry-After": asked}, b""), ACCEPTED]
    pauses: list[float] = []
    with scripted(lambda *_: answers.pop(0)) as url:
        deliver(MemoryOutbox([stored(1, 1)]), url, pauses=pauses)
    assert pauses == [pytest.approx(expected)] if expected else pauses[0] <= 0.5


def test_pauses_grow_under_their_cap_and_are_spread() -> None:
    """Full jitter: between 0 and a cap that doubles from retry_min_s to retry_max_s."""
    pauses: list[float] = []
    answers: Callable[..., Answer] = lambda *_: (500, {}, b"no")  # noqa: E731 - a script of one line
    with (
        scripted(answers) as url,
        sending(MemoryOutbox([stored(1, 1)]), url, pauses=pauses, retry_min_s=1.0, retry_max_s=4.0) as sink,
    ):
        until(lambda: len(pauses) >= 30, "it went on trying")
        assert "500" in sink.last_error
    assert all(0.0 <= pause <= cap for pause, cap in zip(pauses, [1.0, 2.0] + [4.0] * len(pauses), strict=False))
    assert max(pauses) > 1.0
    assert len(set(pauses)) == len(pauses)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((403, {}, b'{"message":"insufficient permissions"}'), 'may not write to bucket "engines"'),
        ((301, {"Location": "https://elsewhere/"}, b""), "influx.url"),
        ((405, {}, b"<html>no</html>"), "influx.url"),
        ((500, {}, b'{"error":"timeout"}'), "500: timeout"),
        ((500, {}, b"\xff\xfe"), "does not answer like InfluxDB"),
        (None, "failed (ProtocolError)"),
    ],
)
def test_other_answers_keep_the_data_and_say_why(answer: Answer, words: str) -> None:
    outbox = MemoryOutbox([stored(1, 5)])
    with scripted(lambda *_: answer) as url, sending(outbox, url) as sink:
        until(lambda: sink.last_error, "the trouble is told")
        assert words in sink.last_error
    assert (outbox.positions, outbox.letters) == ({}, [])


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://no-such-host.invalid:8086", "is unknown"),
        ("http://127.0.0.1:1", "nothing answers at http://127.0.0.1:1"),
    ],
)
def test_a_wrong_address_is_told_by_its_setting(url: str, words: str) -> None:
    with sending(MemoryOutbox([stored(1, 1)]), url) as sink:
        until(lambda: sink.last_error, "the trouble is told")
        assert words in sink.last_error
        assert "influx.url" in sink.last_error


def test_alerts_do_not_wait_behind_a_backlog_of_scores() -> None:
    bodies: list[bytes] = []

    def script(_: str, body: bytes) -> Answer:
        bodies.append(body)
        return ACCEPTED

    backlog = [stored(position, 1, start=START + position) for position in range(1, 30)]
    with scripted(script) as url:
        deliver(MemoryOutbox(backlog, [event()]), url, batch_rows=1)
    assert [body.startswith(b"alert_event") for body in bodies[:2]] == [True, False]


def test_stopping_while_the_server_is_down_keeps_the_rest() -> None:
    """A pause is cut short, one more attempt is made, and what is left stays in the outbox."""
    outbox = MemoryOutbox([stored(1, 10)])
    sink = InfluxSink(settings("http://127.0.0.1:1", retry_min_s=3_600.0, retry_max_s=3_600.0), outbox, None)
    sink.start()
    until(lambda: sink.state == "degraded", "the outage is told")
    assert sink.stop(20.0) is False
    assert outbox.positions == {}


def test_without_a_url_nothing_is_sent() -> None:
    outbox = MemoryOutbox([stored(1, 10)], [event()])
    sink = InfluxSink(InfluxSettings(), outbox, None)
    sink.start()
    sink.wake()
    assert sink.state == "off"
    assert sink.stop(1.0) is True
    assert (outbox.position(SCORES), outbox.position(EVENTS)) == (0, 0)


def test_a_token_that_no_header_can_carry_is_refused_and_not_repeated() -> None:
    with pytest.raises(ValueError, match=r"influx\.token") as told:
        InfluxSink(settings("http://127.0.0.1:1"), MemoryOutbox(), "secret\n")
    assert "secret" not in str(told.value)


def test_the_library_is_not_imported_before_there_is_something_to_send() -> None:
    script = "import sys, monitor.influx; sys.exit('influxdb_client' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)
