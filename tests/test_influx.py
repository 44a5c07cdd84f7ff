"""The InfluxDB sink against a real InfluxDB."""

from __future__ import annotations

import dataclasses
import math
import re
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import structlog

from monitor.influx import SCORES, InfluxSink
from monitor.lineprotocol import health_lines
from monitor.records import Status, Transition
from tests.influx_samples import DATABASE, START, MemoryOutbox, deliver, event, sending, settings, stored, until
from tests.servers.brokers import make_certificates
from tests.servers.scripted import ACCEPTED, Answer, scripted

if TYPE_CHECKING:
    from tests.servers.influxd import Influxd

RIGHT, WRONG = "right", "wrong"  # tokens


def post(url: str, body: bytes) -> int:
    """Write by the v2 address, without the client."""
    request = urllib.request.Request(url, body, method="POST")  # noqa: S310 - our own server
    with urllib.request.urlopen(request) as answer:  # noqa: S310
        status: int = answer.status
        return status


def test_rows_are_read_back_as_they_were_written(database: Influxd) -> None:
    """Every row, scored or not, is one point with the values of its arrays, and every transition is one."""
    batch = stored(1, 300)
    status = batch.rows.status.copy()
    status[:10] = Status.WARMING_UP
    score, threshold, contribution = (
        values.copy() for values in (batch.rows.score, batch.rows.threshold, batch.rows.contribution)
    )
    score[:10], threshold[:10], contribution[:10] = math.nan, math.nan, math.nan
    rows = dataclasses.replace(
        batch.rows, status=status, score=score, threshold=threshold, contribution=contribution
    )
    other = stored(2, 200, stream="plant//fan 2, west")
    events = [event(), event(transition=Transition.CLEARED, time=START + 9_000)]
    outbox = MemoryOutbox([dataclasses.replace(batch, rows=rows), other], events)
    sink = deliver(outbox, database.url)

    first = database.query("SELECT * FROM anomaly WHERE asset = 'pump-1'", DATABASE)
    assert [row["time"] for row in first] == batch.time.tolist()
    assert [row["status"] for row in first] == ["warming_up"] * 10 + ["scored"] * 290
    assert first[0]["score"] is None
    assert {(row["site"], row["area"], row["model"], row["regime"]) for row in first} == {
        ("plant", "hall", "m1", "all")
    }
    scored = first[10:]
    found_scores = np.array([row["score"] for row in scored], np.float32)
    found_contributions = np.array([row["contribution_oil_pressure"] for row in scored], np.float32)
    assert np.array_equal(found_scores, score[10:])
    assert np.array_equal(found_contributions, contribution[10:, 0])
    assert np.allclose([row["margin"] for row in scored], score[10:] - 1.25, rtol=1e-6)
    assert (
        database.query("SELECT count(score) FROM anomaly WHERE asset = 'fan 2, west'", DATABASE)[0]["count"] == 200
    )
    found = database.query("SELECT * FROM alert_event", DATABASE)
    assert [(row["transition"], row["started"], row["score"]) for row in found] == [
        ("fired", START, 2.5),
        ("cleared", START, 2.5),
    ]
    assert (sink.sent_rows, sink.requests, sink.dead_letters, sink.state, sink.lag) == (502, 2, 0, "ok", 0)


def test_readings_are_written_where_asked_for(database: Influxd) -> None:
    batch = stored(1, 50)
    deliver(MemoryOutbox([batch]), database.url)
    assert database.count("engine") == 0
    deliver(MemoryOutbox([batch]), database.url, write_readings=True)
    found = database.query("SELECT engine_speed FROM engine", DATABASE)
    assert np.array_equal(np.array([row["engine_speed"] for row in found], np.float32), batch.rows.actual[:, 1])


def test_sending_the_same_again_adds_no_point(database: Influxd) -> None:
    outbox = MemoryOutbox([stored(1, 100)], [event()])
    deliver(outbox, database.url)
    outbox.positions.clear()
    assert deliver(outbox, database.url).sent_rows == 101
    assert (database.count("anomaly"), database.count("alert_event")) == (100, 1)


def test_rows_that_come_later_are_sent_when_woken(database: Influxd) -> None:
    outbox = MemoryOutbox()
    with sending(outbox, database.url) as sink:
        for position in (1, 2, 3):
            outbox.scores.append(stored(position, 5, start=START + position * 10_000))
            sink.wake()
            until(outbox.delivered, "the new rows were delivered")
    assert database.count("anomaly") == 15


def test_a_bad_line_is_bisected_out(database: Influxd) -> None:
    """A field that InfluxDB knows as text costs its own line, in at most 30 requests, and no other."""
    conflict = f'anomaly contribution_odd="text" {START}'.encode()
    post(f"{database.url}/api/v2/write?bucket={DATABASE}&precision=ms", conflict)
    last = START + 4_000_000
    batches = [
        stored(1, 2_499),
        stored(2, 1, sensors=("odd",), start=last),
        stored(3, 2_500, start=last + 1_000),
    ]
    outbox = MemoryOutbox(batches)
    with structlog.testing.capture_logs() as logged:
        sink = deliver(outbox, database.url)
    assert database.count("anomaly") == 4_999
    assert (sink.sent_rows, sink.dead_letters) == (4_999, 1)
    assert sink.requests <= 30
    (letter,) = outbox.letters
    assert letter.topic == "influx"
    assert b"contribution_odd=0.1" in letter.payload
    assert "field type conflict" in letter.reason
    assert letter.values == 0
    assert [entry["event"] for entry in logged] == ["influx_lines_refused"]


def test_a_bad_line_alone_in_its_request_is_a_dead_letter_too(database: Influxd) -> None:
    """With nothing else to send, a probe tells a bad line from a server that takes nothing."""
    deliver(MemoryOutbox([stored(1, 1)]), database.url)
    batch = stored(2, 1)
    outbox = MemoryOutbox([dataclasses.replace(batch, model="m" * 70_000)])
    sink = deliver(outbox, database.url)
    assert "max key length exceeded" in outbox.letters[0].reason
    assert len(outbox.letters[0].payload) == 1_024
    assert (sink.requests, sink.sent_rows) == (2, 0)


def test_rows_beyond_the_retention_are_dropped_in_one_request(database: Influxd) -> None:
    """After a long outage old rows are not worth a request each: they would be deleted by now."""
    database.query(f'CREATE RETENTION POLICY short ON "{DATABASE}" DURATION 1h REPLICATION 1 DEFAULT')
    now = time.time_ns() // 1_000_000
    outbox = MemoryOutbox([stored(1, 40), stored(2, 10, start=now - 60_000)])
    with structlog.testing.capture_logs() as logged:
        sink = deliver(outbox, database.url)
    assert database.count("anomaly") == 10
    assert (sink.sent_rows, sink.expired_rows, sink.dead_letters, sink.requests) == (10, 40, 0, 1)
    assert [entry["event"] for entry in logged] == ["influx_rows_expired"]


def test_a_bad_line_among_rows_beyond_the_retention_is_found(database: Influxd) -> None:
    """InfluxDB speaks of the retention only where nothing worse is in the request."""
    database.query(f'CREATE RETENTION POLICY short ON "{DATABASE}" DURATION 1h REPLICATION 1 DEFAULT')
    now = time.time_ns() // 1_000_000
    conflict = f'anomaly contribution_odd="text" {now}'.encode()
    post(f"{database.url}/api/v2/write?bucket={DATABASE}&precision=ms", conflict)
    outbox = MemoryOutbox(
        [stored(1, 40), stored(2, 1, sensors=("odd",), start=now - 2_000), stored(3, 10, start=now - 60_000)]
    )
    sink = deliver(outbox, database.url)
    assert database.query("SELECT count(score) FROM anomaly", DATABASE)[0]["count"] == 10
    assert (sink.sent_rows, sink.expired_rows, sink.dead_letters) == (10, 40, 1)


def test_a_refused_token_keeps_the_data_until_it_is_mended(database: Influxd) -> None:
    """One line in the log says that it broke and one that it works again."""
    database.configure(token=RIGHT)
    outbox = MemoryOutbox([stored(1, 10)], [event()])
    pauses: list[float] = []
    with (
        structlog.testing.capture_logs() as logged,
        sending(outbox, database.url, token=WRONG, pauses=pauses) as sink,
    ):
        until(lambda: len(pauses) >= 3, "it went on trying")
        assert sink.state == "degraded"
        assert "influx.token" in sink.last_error
        assert outbox.positions == {}
        database.configure()
        until(outbox.delivered, "everything was delivered")
        until(lambda: sink.state == "ok", "it is well again")
    assert (database.count("anomaly"), database.count("alert_event")) == (10, 1)
    told = [entry["error"] for entry in logged if entry["event"] == "influx_degraded"]
    assert sum("influx.token" in error for error in told) == 1
    assert logged[-1]["event"] == "influx_ok"


def test_the_right_token_passes(database: Influxd) -> None:
    database.configure(token=RIGHT)
    deliver(MemoryOutbox([stored(1, 10)]), database.url, token=RIGHT)
    assert database.count("anomaly") == 10


def test_a_missing_database_keeps_the_data_until_it_is_created(influxd: Influxd) -> None:
    outbox = MemoryOutbox([stored(1, 10)])
    with sending(outbox, influxd.url) as sink:
        until(lambda: sink.state == "degraded", "the missing bucket is told")
        assert "influx.bucket" in sink.last_error
        assert "influx.org" in sink.last_error
        influxd.create_database(DATABASE)
        until(outbox.delivered, "everything was delivered")
    assert influxd.count("anomaly") == 10
    assert outbox.letters == []


@pytest.mark.parametrize("how", ["stop", "stop_database"])
def test_a_server_that_comes_back_gets_everything(database: Influxd, how: str) -> None:
    """Down: refused connections, and 502 from what stands before it. Nothing is lost and nothing doubled."""
    outbox = MemoryOutbox([stored(1, 10)])
    with sending(outbox, database.url) as sink:
        until(outbox.delivered, "the first were delivered")
        getattr(database, how)()
        outbox.scores += [stored(2, 10, start=START + 20_000), stored(3, 10, start=START + 40_000)]
        sink.wake()
        until(lambda: sink.state == "degraded", "the outage is told")
        assert outbox.position(SCORES) == 1
        assert sink.lag == 20
        database.start()
        until(outbox.delivered, "everything was delivered")
    assert database.count("anomaly") == 30


def test_an_answer_lost_after_the_write_doubles_nothing(database: Influxd) -> None:
    """The first request is stored but its answer never arrives: the resend writes the same points."""
    forwarded: list[int] = []

    def forward(path: str, body: bytes) -> Answer:
        forwarded.append(post(database.url + path, body))
        return None if len(forwarded) == 1 else ACCEPTED

    outbox = MemoryOutbox([stored(1, 100)])
    with scripted(forward) as url:
        sink = deliver(outbox, url)
    assert forwarded == [204, 204]
    assert (database.count("anomaly"), sink.sent_rows, sink.requests) == (100, 100, 2)


def test_requests_too_large_are_halved(database: Influxd) -> None:
    """Nginx's own 413; the size that passed is kept for the batches after it."""
    database.configure(max_body="8k")
    outbox = MemoryOutbox([stored(1, 200), stored(2, 200, start=START + 1_000_000)])
    sink = deliver(outbox, database.url, batch_rows=100)
    assert database.count("anomaly") == 400
    assert sink.dead_letters == 0
    assert sink._chunk_rows == 25  # lines of about 170 bytes: 50 are more than 8 KiB, 25 are less
    # 100 and 50 are refused once each; everything then goes in sixteen requests of 25.
    assert sink.requests == 2 + 16


def test_tls_is_verified(database: Influxd, tmp_path: Path) -> None:
    """Only a certificate of the given authority, for the host of the URL, is trusted; each fault has its words."""
    database.configure(certificates=make_certificates(tmp_path / "server"))
    authority, stranger = tmp_path / "server" / "ca.crt", make_certificates(tmp_path / "other").ca_file
    port = database.url.rpartition(":")[2]
    faults: list[tuple[str, dict[str, Any], str]] = [
        (database.url, {}, "influx.ca_file"),
        (database.url, {"ca_file": stranger}, "influx.ca_file"),
        (database.url, {"ca_file": tmp_path / "missing.crt"}, "influx.ca_file"),
        (f"https://127.0.0.1:{port}", {"ca_file": authority}, "for another name"),
        (f"http://127.0.0.1:{port}", {}, "refuses everything"),
    ]
    for url, changes, words in faults:
        outbox = MemoryOutbox([stored(1, 1)])
        with sending(outbox, url, **changes) as sink:
            until(lambda sink=sink: sink.last_error, f"{words} is told")  # type: ignore[misc]  # bound at once
            assert words in sink.last_error
        assert outbox.positions == {}
    deliver(MemoryOutbox([stored(1, 10)]), database.url, ca_file=authority)
    database.configure()
    with sending(MemoryOutbox([stored(1, 1)]), f"https://127.0.0.1:{port}") as sink:
        until(lambda: sink.last_error, "plain text is told")
        assert "does not speak TLS" in sink.last_error
    assert database.count("anomaly") == 10


def tls_trouble(url: str, **changes: Any) -> str:
    """What is wrong with the way there, in words; nothing was sent then."""
    outbox = MemoryOutbox([stored(1, 1)])
    with sending(outbox, url, **changes) as sink:
        until(lambda: sink.last_error, "trouble is told")
        assert outbox.positions == {}
        return sink.last_error


def test_mutual_tls(database: Influxd, tmp_path: Path) -> None:
    """A server that asks for a certificate gets ours; without one, or with a stranger's, the keys are named."""
    made, client = make_certificates(tmp_path / "server"), make_certificates(tmp_path / "client")
    stranger = make_certificates(tmp_path / "stranger")
    asking = [f"ssl_client_certificate {client.ca_file};", "ssl_verify_client on;"]
    database.configure(certificates=made, tls=asking)
    for given in ({}, {"cert_file": stranger.cert_file, "key_file": stranger.key_file}):
        words = tls_trouble(database.url, ca_file=made.ca_file, **given)
        assert words == f"{database.url} asks for a certificate of ours: see influx.cert_file, influx.key_file"
    words = tls_trouble(database.url, ca_file=made.ca_file, cert_file=client.cert_file, key_file=stranger.key_file)
    assert words.startswith(f"influx.cert_file {client.cert_file} or key_file {stranger.key_file} cannot be used")
    right = {"ca_file": made.ca_file, "cert_file": client.cert_file, "key_file": client.key_file}
    deliver(MemoryOutbox([stored(1, 10)]), database.url, **right)
    assert database.count("anomaly") == 10


def test_an_expired_certificate_and_an_old_tls_are_refused_in_words(database: Influxd, tmp_path: Path) -> None:
    """Whoever runs the server is told what to change there."""
    expired = make_certificates(tmp_path / "expired", days=-1)
    database.configure(certificates=expired)
    words = tls_trouble(database.url, ca_file=expired.ca_file)
    assert words == f"the certificate of {database.url} has expired: renew it there"
    made = make_certificates(tmp_path / "server")
    database.configure(certificates=made, tls=["ssl_protocols TLSv1.1;", "ssl_ciphers DEFAULT@SECLEVEL=0;"])
    words = tls_trouble(database.url, ca_file=made.ca_file)
    assert words == f"{database.url} speaks only a TLS older than 1.2: let it speak TLS 1.2 or later"


def test_stopping_sends_what_is_left(database: Influxd) -> None:
    outbox = MemoryOutbox([stored(position, 10, start=START + position * 20_000) for position in range(1, 40)])
    sink = InfluxSink(settings(database.url, batch_rows=10), outbox, None)
    sink.start()
    assert sink.stop(20.0) is True
    assert outbox.delivered()
    assert database.count("anomaly") == 390


def test_trouble_with_the_outbox_does_not_end_the_thread(database: Influxd) -> None:
    class Sick(MemoryOutbox):
        ill = True

        def advance(self, sink: str, position: int) -> None:
            if self.ill:
                raise OSError("disk full")
            super().advance(sink, position)

    outbox = Sick([stored(1, 10)])
    with sending(outbox, database.url) as sink:
        until(lambda: "disk full" in sink.last_error, "the trouble is told")
        outbox.ill = False
        until(outbox.delivered, "everything was delivered")
    assert database.count("anomaly") == 10


def test_the_queries_of_the_documentation_find_what_they_say(database: Influxd) -> None:
    """Every query of docs/influxdb.md runs and finds rows, where there are rows of its kind."""
    now = time.time_ns() // 1_000_000
    batch = stored(1, 60, start=now - 60_000)
    status = batch.rows.status.copy()
    status[:5] = Status.GAP
    rows = dataclasses.replace(batch.rows, status=status, threshold=batch.rows.threshold / np.float32(2))
    fired = event(time=now - 30_000)
    outbox = MemoryOutbox([dataclasses.replace(batch, rows=rows)], [fired])
    ready = health_lines("main", "ready", [], [], now)
    with sending(outbox, database.url, health=lambda: ready, write_readings=True):
        until(lambda: outbox.delivered() and database.count("enginewatch"), "everything arrived")
    page = (Path(__file__).parent.parent / "docs" / "influxdb.md").read_text()
    queries = re.findall(r"```sql\n(.*?)```", page, re.DOTALL)
    assert len(queries) >= 6
    for query in queries:
        assert database.query(query, DATABASE), query
