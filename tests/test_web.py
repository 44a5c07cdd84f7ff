"""The HTTP port by real requests, also those of people who mean no good; the daemon behind it is a fake."""

from __future__ import annotations

import json
import socket
import threading
import time
from contextlib import closing
from http.client import HTTPConnection, HTTPResponse
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from config.settings import HttpSettings
from monitor.health import Vitals
from monitor.web import app, bounded
from monitor.web.rules import HEADERS
from monitor.web.server import HttpPort
from tests.http_rig import Fake, ask, ask_quietly, number, port, raw
from tests.rig import until
from tests.servers import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

TOKEN = "sixteen letters, or more"  # noqa: S105 - a test's own
COMMAND = {"id": "c1", "action": "comment", "incident": "i1", "ts": 1, "why": "seen"}
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def fake() -> Fake:
    return Fake()


@pytest.fixture
def made(fake: Fake) -> Iterator[HttpPort]:
    """A port without a token, as it is by default."""
    with port(fake) as serving:
        yield serving


def test_health_is_told_by_status_and_reasons(made: HttpPort, fake: Fake) -> None:
    assert ask(made, "/livez")[:2] == (200, {"status": "alive", "reasons": []})
    assert ask(made, "/readyz")[:2] == (200, {"status": "ready", "reasons": []})
    fake.vitals = Vitals(broker="nobody listens")
    status, said, _ = ask(made, "/readyz")
    assert (status, said["status"]) == (503, "not ready")
    assert said["reasons"] == ["not connected to the broker: nobody listens"]
    fake.vitals = Vitals(influx="away")
    assert (ask(made, "/readyz")[0], ask(made, "/readyz")[1]["status"]) == (200, "degraded")
    status, page, headers = ask(made, "/metrics")
    assert (status, headers["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert "enginewatch_degraded 1\n" in page
    assert ask(made, "/livez", "HEAD")[0] == 200


def test_a_command_goes_to_the_door_as_it_was_sent(made: HttpPort, fake: Fake) -> None:
    body = json.dumps(COMMAND).encode()
    assert ask(made, "/api/v1/commands", "POST", body, **JSON)[:2] == (200, {"done": True, "reply": "done"})
    assert fake.commands == [body]
    fake.reply = {"done": False, "reply": "there is no incident i1"}
    assert ask(made, "/api/v1/commands", "POST", body, **JSON)[:2] == (422, fake.reply)
    fake.vitals = Vitals(phase="recovering")
    assert ask(made, "/api/v1/commands", "POST", body, **JSON)[0] == 503
    assert len(fake.commands) == 2


@pytest.mark.parametrize(
    ("path", "method", "headers", "status"),
    [
        ("/livez", "GET", {"Host": "evil.example"}, 421),  # DNS rebinding: the name is the page's own
        ("/metrics", "GET", {"Host": "evil.example:8080"}, 421),
        ("/api/v1/commands", "POST", {"Host": "evil.example", "Origin": "http://evil.example"}, 421),
        ("/api/v1/commands", "POST", {"Origin": "http://evil.example"}, 403),
        ("/api/v1/commands", "POST", {"Origin": "null"}, 403),
        ("/api/v1/commands", "POST", {"Sec_Fetch_Site": "cross-site"}, 403),
        ("/api/v1/commands", "POST", {"Content-Type": "text/plain"}, 415),
        ("/api/v1/commands", "OPTIONS", {"Origin": "http://evil.example"}, 403),  # a browser asks before it sends
        ("/api/v1/commands", "GET", {}, 405),
        ("/livez", "POST", {}, 405),
        ("/livez/", "GET", {}, 404),
        ("/../../etc/passwd", "GET", {}, 404),
        ("/api/v1/incidents", "GET", {}, 404),
        ("http://evil.example/livez", "GET", {}, 421),
    ],
)
def test_what_is_refused_says_so_and_does_nothing(
    made: HttpPort, fake: Fake, path: str, method: str, headers: dict[str, str], status: int
) -> None:
    """Every answer has the headers that keep a browser from making more of it, and none that lets others read."""
    body = json.dumps(COMMAND).encode() if method == "POST" else None
    got, said, answered = ask(made, path, method, body, **{**JSON, **headers})
    assert got == status
    assert said["error"]
    assert fake.commands == []
    for name, value in HEADERS:
        assert answered[name.lower()] == value
    assert not [name for name in answered if name.startswith("access-control")]
    assert "server" not in answered
    assert "x-powered-by" not in answered


@pytest.mark.parametrize("body", [b"x" * (64 << 10), b"x" * ((64 << 10) + 1), b"x" * (3 << 20)])
def test_a_body_is_bounded(made: HttpPort, fake: Fake, body: bytes) -> None:
    """64 KiB pass; a byte more does not, whether its length was told before or it came in chunks."""
    expected = 200 if len(body) == 64 << 10 else 413
    try:
        status = ask(made, "/api/v1/commands", "POST", body, **JSON)[0]
    except OSError:  # it was hung up on while it was still sending
        status = 413
    assert status == expected
    assert len(fake.commands) == (expected == 200)
    with closing(raw(made)) as connection:
        connection.sendall(
            b"POST /api/v1/commands HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        )
        connection.sendall(b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(body))
        try:
            connection.sendall(body + b"\r\n0\r\n\r\n")
            answer = connection.recv(100)
        except OSError:
            answer = b""  # it was hung up on while it was still sending
    assert b" %d " % expected in answer or not answer


def test_a_body_that_is_announced_as_too_long_is_not_waited_for(made: HttpPort, fake: Fake) -> None:
    """The answer comes before the first of its bytes."""
    with closing(raw(made)) as connection:
        connection.sendall(
            b"POST /api/v1/commands HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: 99999999999\r\n\r\n"
        )
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")
    assert fake.commands == []


@pytest.mark.parametrize(
    "said",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET /livez HTTP/1.1\r\n\r\n",
        b"POST /api/v1/commands HTTP/1.1\r\nHost: localhost\r\nContent-Length: -4\r\n\r\n",
    ],
    ids=["TLS", "two hosts", "no host", "length"],
)
def test_what_is_no_http_is_answered_with_400_and_the_same_headers(made: HttpPort, said: bytes) -> None:
    """What the library says by itself would have none of them."""
    with closing(HTTPConnection("127.0.0.1", number(made), timeout=20)) as connection:
        connection.connect()
        connection.sock.sendall(said)
        answer = HTTPResponse(connection.sock)
        answer.begin()
        assert answer.status == 400
        assert json.loads(answer.read())["error"]
    for name, value in HEADERS:
        assert answer.headers[name] == value
    assert answer.headers["Server"] is None
    assert ask(made, "/livez")[0] == 200


@pytest.mark.parametrize(
    "pieces",
    [
        (b"text/plain\r\nTransfer-Encoding: chunked\r\n\r\n", b"ZZ\r\n"),
        (b"application/json\r\nTransfer-Encoding: chunked\r\n\r\n", b"ZZ\r\n"),
        (b"application/json\r\nContent-Length: 400\r\n\r\nxx",),
    ],
    ids=["broken after its answer", "broken before it", "broken off"],
)
def test_a_body_that_breaks_is_no_mistake_of_ours(
    made: HttpPort, fake: Fake, pieces: tuple[bytes, ...], caplog: pytest.LogCaptureFixture
) -> None:
    """Anybody can send one, so it fills no log; what was said before stays said."""
    with capture_logs() as told, closing(raw(made)) as connection:
        connection.sendall(b"POST /api/v1/commands HTTP/1.1\r\nHost: localhost\r\nContent-Type: " + pieces[0])
        if b"text" in pieces[0]:
            assert connection.recv(4096).startswith(b"HTTP/1.1 415")
        for piece in pieces[1:]:
            connection.sendall(piece)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(4096):
            pass
        assert ask(made, "/livez")[0] == 200
    assert told == []
    assert caplog.records == []
    assert fake.commands == []


def test_a_head_is_bounded(made: HttpPort) -> None:
    """One over 16 KiB is refused, whether it comes at once, is not whole yet, or waits behind another."""
    head = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n"
    long = head + b"X: " + b"x" * (17 << 10)
    many = head + b"X: y\r\n" * 3_000
    for said in (long, long + b"\r\n\r\n", many + b"\r\n", b"GET /" + b"x" * (17 << 10) + head[10:] + b"\r\n"):
        with closing(raw(made)) as connection:
            connection.sendall(said)
            assert connection.recv(100).startswith((b"HTTP/1.1 400", b"HTTP/1.1 431"))
    with closing(raw(made)) as connection:
        connection.sendall(head + b"\r\n" + long + b"\r\nConnection: close\r\n\r\n")
        answers = b"".join(iter(lambda: connection.recv(4096), b""))
    assert [part[:3] for part in answers.split(b"HTTP/1.1 ")[1:]] in ([b"200", b"431"], [b"200", b"400"])
    assert ask(made, "/livez")[0] == 200


def closes(connection: socket.socket, drop: bytes) -> bool:
    """Whether the other side hangs up on somebody who says a byte now and then."""
    connection.settimeout(0.05)
    end = time.monotonic() + 15
    while time.monotonic() < end:
        try:
            connection.sendall(drop)
            if connection.recv(4096) == b"":
                return True
        except TimeoutError:
            continue
        except OSError:
            return True
    return False


@pytest.mark.parametrize(
    "beginning",
    [
        b"",
        b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX: ",
        (
            b"POST /api/v1/commands HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: 60000\r\n\r\n"
        ),
        b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\nGET /livez HTTP/1.1\r\nX: ",
    ],
    ids=["silence", "head", "body", "second request"],
)
def test_a_request_that_trickles_in_is_hung_up_on(
    made: HttpPort, fake: Fake, beginning: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A byte now and then keeps nobody's place: the whole request has its time, not each byte."""
    monkeypatch.setattr(bounded, "REQUEST_S", 0.4)
    with closing(raw(made)) as connection:
        connection.sendall(beginning)
        assert closes(connection, b"x" if beginning else b"")
    assert ask(made, "/livez")[0] == 200
    assert fake.commands == []


def test_many_who_say_nothing_keep_nobody_out(made: HttpPort, monkeypatch: pytest.MonkeyPatch) -> None:
    """With more silent connections than there may be, the next one is answered, and the oldest had to go."""
    monkeypatch.setattr(bounded, "CONNECTIONS", 8)
    silent = [raw(made) for _ in range(30)]
    try:
        for connection in silent:
            connection.sendall(b"GET /livez HTTP/1.1\r\nHost: local")
        assert ask(made, "/livez")[0] == 200
        assert closes(silent[0], b"")
    finally:
        for connection in silent:
            connection.close()


def test_health_is_told_while_all_commands_wait(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    """The line may be busy for long; whoever looks after the daemon must not take that for death."""
    go_on, waiting = threading.Event(), threading.Semaphore(0)

    def slow(_: bytes) -> dict[str, object]:
        waiting.release()
        go_on.wait(20)
        return {"done": True, "reply": ""}

    monkeypatch.setattr(fake, "command", slow)
    with port(fake) as slow_port:
        body = json.dumps(COMMAND).encode()
        asking = [
            threading.Thread(target=ask, args=(slow_port, "/api/v1/commands", "POST", body), kwargs=JSON)
            for _ in range(app.AT_ONCE + 3)
        ]
        for each in asking:
            each.start()
        for _ in range(app.AT_ONCE):
            assert waiting.acquire(timeout=20)
        assert ask(slow_port, "/livez")[0] == 200
        go_on.set()
        for each in asking:
            each.join(20)


def test_a_mistake_of_ours_is_not_told_to_who_asked(made: HttpPort, fake: Fake) -> None:
    """Only the log has its words."""
    fake.reply = {}
    status, said, _ = ask(made, "/api/v1/commands", "POST", b"{}", **JSON)
    assert (status, said) == (500, {"error": "this failed; the log says why"})


def test_without_the_token_only_the_word_is_told(fake: Fake) -> None:
    """A port that others reach: probes learn whether, and not why; the rest is refused."""
    fake.vitals = Vitals(broker="nobody listens on broker.plant.example")
    with port(fake, host="0.0.0.0", token=TOKEN) as made:  # noqa: S104 - that is what is tried
        assert ask(made, "/readyz")[:2] == (503, {"status": "not ready"})
        assert ask(made, "/livez")[:2] == (200, {"status": "alive"})
        for path, method in (("/metrics", "GET"), ("/nope", "GET"), ("/api/v1/commands", "POST")):
            status, _, headers = ask(made, path, method, b"{}" if method == "POST" else None, **JSON)
            assert (status, headers["www-authenticate"]) == (401, "Bearer")
        bearer: dict[str, Any] = {"Authorization": f"Bearer {TOKEN}"}
        assert ask(made, "/metrics", **bearer)[0] == 200
        assert "broker.plant.example" in str(ask(made, "/readyz", **bearer)[1])
        assert ask(made, "/api/v1/commands", "POST", b"{}", **JSON, **bearer)[0] == 200


def test_a_taken_port_is_told_and_taken_over_when_it_is_free(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monitor.web.server.RETRY_S", 0.05)
    taken = free_port()
    holder = socket.create_server(("127.0.0.1", taken))
    made = HttpPort(HttpSettings(port=taken), None, fake.asked(), fake.told.append)
    thread = threading.Thread(target=made.run)
    thread.start()
    try:
        until(lambda: fake.told)
        assert fake.told == [made.trouble] == [f"127.0.0.1:{taken} cannot be bound: Address already in use"]
        holder.close()
        until(lambda: made.address and not ask_quietly(made, "/livez"))
        assert (fake.told[1:], made.trouble) == ([f"http://127.0.0.1:{taken}"], "")
    finally:
        holder.close()
        made.stop()
        thread.join(20)
    assert not thread.is_alive()


def test_a_port_that_stays_taken_does_not_hold_up_the_end(fake: Fake) -> None:
    taken = free_port()
    with closing(socket.create_server(("127.0.0.1", taken))):
        made = HttpPort(HttpSettings(port=taken), None, fake.asked(), fake.told.append)
        thread = threading.Thread(target=made.run)
        thread.start()
        until(lambda: fake.told)
        made.stop()
        thread.join(20)
        assert not thread.is_alive()


def test_a_server_with_open_connections_stops(fake: Fake) -> None:
    """Somebody who keeps a connection open does not keep the daemon."""
    with port(fake) as made:
        connection = raw(made)
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert connection.recv(15) == b"HTTP/1.1 200 OK"
    connection.close()
