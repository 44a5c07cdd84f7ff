"""The link to the broker: every way it can fail is told apart, and the thread never dies in silence."""

from __future__ import annotations

import doctest
import socket
import ssl
import subprocess
import warnings
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

import monitor.mqtt
import monitor.mqtt_alive
from config.settings import MqttSettings, TlsSettings
from monitor import mqtt_words
from monitor.mqtt import Backoff, Link, MqttError
from monitor.mqtt_alive import Alive
from monitor.mqtt_client import BufferedSocket
from tests.servers import free_port, missing
from tests.servers.brokers import Mosquitto, Nats, make_certificates
from tests.servers.peers import ScriptedBroker, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers.brokers import Broker, Certificates


class _Watched(Link):
    """A link that remembers what it was told."""

    def __init__(self, settings: MqttSettings) -> None:
        super().__init__(settings, "watched")
        self.ups = 0
        self.downs: list[str] = []
        self.ended = False
        self.broken_hook = False

    def failed_thrice(self) -> bool:
        return len(self.downs) > 2

    def on_up(self, *, session_present: bool) -> None:
        assert not session_present
        self.ups += 1

    def on_down(self, reason: str) -> None:
        self.downs.append(reason)

    def on_turn(self) -> None:
        if self.broken_hook:
            raise RuntimeError("a hook's mistake")

    def on_end(self) -> None:
        self.ended = True


def settings(port: int, **other: Any) -> MqttSettings:
    return MqttSettings(**{"port": port, "reconnect_min_s": 0.01, "reconnect_max_s": 0.05, **other})


def first_problem(chosen: MqttSettings) -> str:
    """Why a link with these settings cannot connect."""
    link = _Watched(chosen)
    link.start()
    wait_until(lambda: link.downs or link.ups)
    link.stop()
    assert not link.ups
    assert link.failed is None
    return link.downs[0]


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return make_certificates(tmp_path / "tls")


@pytest.fixture
def tls_broker(tmp_path: Path, certificates: Certificates) -> Iterator[Mosquitto]:
    if not Mosquitto.installed():
        missing("mosquitto")
    with Mosquitto(tmp_path / "tls-broker", tls=certificates) as server:
        yield server


def test_documented_examples() -> None:
    for module in (monitor.mqtt, monitor.mqtt_alive):
        assert doctest.testmod(module).failed == 0


def test_backoff_draws_from_the_whole_range_below_a_cap() -> None:
    draws = iter([0.5, 0.0, 1.0, 0.25, 0.5])
    pauses = Backoff(1.0, 3.0, draw=lambda: next(draws))
    assert [pauses.next() for _ in range(4)] == [0.5, 0.0, 3.0, 0.75]
    pauses.reset()
    assert pauses.next() == 0.5


def test_refused_port() -> None:
    port = free_port()
    assert first_problem(settings(port)) == (
        f"nobody listens on 127.0.0.1:{port}: start the broker, or check mqtt.host and mqtt.port"
    )


@pytest.mark.parametrize("host", ["no-such-host.invalid", "two..dots"])
def test_unresolvable_host(host: str) -> None:
    assert first_problem(settings(1883, host=host)) == f"the name '{host}' cannot be resolved: check mqtt.host"


def test_wrong_password_and_no_user_are_told_apart(tmp_path: Path) -> None:
    if not Mosquitto.installed():
        missing("mosquitto")
    with Mosquitto(tmp_path / "guarded", users={"ann": "right"}) as server:
        wrong = settings(server.port, username="ann", password=SecretStr("wrong"))
        assert first_problem(wrong).startswith(
            "the broker refuses user 'ann': check mqtt.username and mqtt.password"
        )
        assert first_problem(settings(server.port)).startswith(
            "the broker refuses a connection without a user name"
        )
        secret = tmp_path / "password"
        secret.write_text("right\n")
        link = _Watched(settings(server.port, username="ann", password_file=secret))
        link.start()
        wait_until(lambda: link.ups or link.downs)
        link.stop()
        assert link.downs == []


def test_tls_with_the_right_authority_connects(tls_broker: Mosquitto, certificates: Certificates) -> None:
    tls = TlsSettings(enabled=True, ca_file=certificates.ca_file)
    link = _Watched(settings(tls_broker.port, host="localhost", tls=tls))
    link.start()
    wait_until(lambda: link.ups or link.downs)
    link.stop()
    assert link.downs == []


def test_tls_mistakes_are_told_apart(
    tls_broker: Mosquitto, mosquitto: Mosquitto, certificates: Certificates, tmp_path: Path
) -> None:
    right = TlsSettings(enabled=True, ca_file=certificates.ca_file)
    other = TlsSettings(enabled=True, ca_file=make_certificates(tmp_path / "other").ca_file)
    wrong_authority = first_problem(settings(tls_broker.port, host="localhost", tls=other))
    assert "not signed by" in wrong_authority
    assert "set mqtt.tls.ca_file" in wrong_authority
    wrong_name = first_problem(settings(tls_broker.port, tls=right))
    assert wrong_name == "the broker's certificate is for another name than '127.0.0.1': check mqtt.host"
    plain_port = first_problem(settings(mosquitto.port, host="localhost", tls=right))
    assert plain_port.endswith("does not speak TLS: check mqtt.port or mqtt.tls.enabled")
    plain_to_tls = first_problem(settings(tls_broker.port))
    assert plain_to_tls.endswith(
        "hangs up without an answer: check that mqtt.port speaks MQTT, or set mqtt.tls.enabled = true"
    )


def test_expired_certificate(tmp_path: Path) -> None:
    if not Mosquitto.installed():
        missing("mosquitto")
    expired = make_certificates(tmp_path / "expired", days=-1)
    with Mosquitto(tmp_path / "broker", tls=expired) as server:
        tls = TlsSettings(enabled=True, ca_file=expired.ca_file)
        problem = first_problem(settings(server.port, host="localhost", tls=tls))
    assert problem == "the broker's certificate has expired: renew it on the broker"


def test_a_broker_that_speaks_only_an_old_tls(certificates: Certificates) -> None:
    """TLS 1.1 is refused, and the broker's side is named."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.cert_file, certificates.key_file)
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1

    class Old(ScriptedBroker):
        def serve(self, connection: socket.socket) -> None:
            context.wrap_socket(connection, server_side=True)

    with Old() as server:
        tls = TlsSettings(enabled=True, ca_file=certificates.ca_file)
        problem = first_problem(settings(server.port, host="localhost", tls=tls))
    assert problem == "the broker speaks only a TLS older than 1.2: let it speak TLS 1.2 or later"


def test_a_broker_that_asks_for_a_certificate(certificates: Certificates, tmp_path: Path) -> None:
    """Ours opens the door; without one, or with a stranger's, the keys are named."""
    if not Mosquitto.installed():
        missing("mosquitto")
    client, stranger = make_certificates(tmp_path / "client"), make_certificates(tmp_path / "stranger")
    asking = [f"cafile {client.ca_file}", "require_certificate true"]
    with Mosquitto(tmp_path / "asking", tls=certificates, lines=asking) as server:
        for cert, key in ((None, None), (stranger.cert_file, stranger.key_file)):
            tls = TlsSettings(enabled=True, ca_file=certificates.ca_file, cert_file=cert, key_file=key)
            problem = first_problem(settings(server.port, host="localhost", tls=tls))
            # Its reason is lost where the broker closes over what we have said meanwhile.
            assert problem.startswith(
                ("the broker refuses our side of TLS (", f"localhost:{server.port} speaks TLS")
            )
            assert problem.endswith("mqtt.tls.cert_file and mqtt.tls.key_file")
        right = TlsSettings(
            enabled=True, ca_file=certificates.ca_file, cert_file=client.cert_file, key_file=client.key_file
        )
        link = _Watched(settings(server.port, host="localhost", tls=right))
        link.start()
        wait_until(lambda: link.ups or link.downs)
        link.stop()
        assert link.downs == []


def test_a_key_behind_a_passphrase_is_refused_and_not_asked_for(
    certificates: Certificates, tmp_path: Path
) -> None:
    """Nobody sits at the daemon's terminal."""
    locked = tmp_path / "locked.key"
    words = ["openssl", "ec", "-aes256", "-passout", "pass:secret"]
    subprocess.run([*words, "-in", certificates.key_file, "-out", locked], check=True, capture_output=True)
    tls = TlsSettings(enabled=True, cert_file=certificates.cert_file, key_file=locked)
    with pytest.raises(MqttError, match=r"mqtt\.tls\.cert_file .* or key_file .*locked.key cannot be used"):
        _Watched(settings(1, tls=tls))


def test_refused_version_is_told_and_not_lowered(nats: Nats) -> None:
    """nats-server speaks 3.1.1 only."""
    assert first_problem(settings(nats.port, protocol="5")) == (
        "the broker does not speak MQTT 5: change mqtt.protocol"
    )


def test_version_5_connects(mosquitto: Mosquitto) -> None:
    link = _Watched(settings(mosquitto.port, protocol="5"))
    link.start()
    wait_until(lambda: link.ups or link.downs)
    link.stop()
    assert link.downs == []


def test_rejected_client_id() -> None:
    with ScriptedBroker(answer=b"\x20\x02\x00\x02") as server:
        assert first_problem(settings(server.port)).startswith("the broker rejects the client id 'watched'")


def test_silent_peer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Something that takes connections and says nothing is given up."""
    monkeypatch.setattr(monitor.mqtt, "CONNECT_LIMIT_S", 0.1)
    monkeypatch.setattr(monitor.mqtt, "TURN_S", 0.05)
    with ScriptedBroker(answer=b"") as server:
        assert "takes the connection but does not answer" in first_problem(settings(server.port))


def test_what_is_not_mqtt_ends_the_connection_and_not_the_thread() -> None:
    """A CONNACK that paho cannot read, and a packet type that does not exist."""
    for answer in (b"\x20\x01\x00", b"\xf0\x00"):
        with ScriptedBroker(answer=answer) as server:
            link = _Watched(settings(server.port))
            link.start()
            wait_until(link.failed_thrice)
            link.stop()
            assert link.failed is None


def test_who_is_asked_twice_and_says_nothing_is_gone() -> None:
    """Silence counts from what was heard last; whoever hears much and says nothing lets himself be heard, too."""
    alive = Alive(limit=10.0)
    told = []
    for now in range(30):
        heard = min(now, 8)  # the last word came at 8
        told.append((alive.gone(now, heard=heard), alive.to_ask(now, heard=heard, said=0.0)))
    # What we said last was at 0: we are to be heard at 5 and 10, and 5 after that nothing has come back.
    assert [now for now, (_, asked) in enumerate(told) if asked][:2] == [5, 10]
    assert next(now for now, (gone, _) in enumerate(told) if gone) == 15


def test_nobody_is_gone_whom_nobody_listens_to() -> None:
    alive = Alive(limit=10.0)
    for now in range(100):
        assert not alive.gone(now, heard=now)
        assert alive.to_ask(now, heard=now, said=0.0) == (now % 5 == 0 and now > 0)


@given(words=st.lists(st.floats(0.01, 30.0), max_size=20))
def test_it_takes_the_limit_and_two_turns_at_the_most_until_a_silent_peer_is_given_up(words: list[float]) -> None:
    """Whatever was heard before, of one who answers each question within less than half of the limit nobody is."""
    alive, heard, now, turn = Alive(limit=10.0), 0.0, 0.0, 0.5
    for pause in words:
        until = now + pause
        while now < until:
            now += turn
            assert not alive.gone(now, heard=heard)
            if alive.to_ask(now, heard=heard, said=heard):
                heard = now + 4.0
                now = heard
        heard = now
    silent_from = now
    while not alive.gone(now, heard=heard):
        alive.to_ask(now, heard=heard, said=heard)
        now += turn
        assert now - silent_from <= 10.0 + 2 * turn


def test_a_garbled_length_that_swallows_the_answers_is_noticed() -> None:
    """A packet that says it has 100 MB: what comes after it, answers to pings too, is taken for its body."""
    for garbled, connections in ((b"", 1), (b"\x30\x80\xc2\xd7\x2f", 2)):
        with ScriptedBroker(answer=b"\x20\x02\x00\x00" + garbled) as server:
            link = _Watched(settings(server.port).model_copy(update={"keepalive_s": 1}))
            link.start()
            wait_until(lambda: sum(kind == 12 for kind, _ in server.packets) > 2)
            assert min(link.connections, 2) == connections
            assert {"was silent" in reason for reason in link.downs} == ({True} if garbled else set())
            link.stop()
            assert link.failed is None


def test_other_words() -> None:
    """Causes that a test cannot bring about on loopback."""
    chosen = settings(1883)
    assert mqtt_words.connect_problem(TimeoutError(), chosen).startswith("no answer from 127.0.0.1:1883 in time")
    assert "no route" in mqtt_words.connect_problem(OSError(113, "No route to host"), chosen)
    taken = mqtt_words.loss(142, "Session taken over", "me", None, chosen)
    assert taken.startswith("another client came with the id 'me'")
    assert "heard nothing of us" in mqtt_words.loss(141, "Keep alive timeout", "me", None, chosen)


def test_unusable_settings_are_told_before_connecting(tmp_path: Path) -> None:
    none = tmp_path / "none"
    cases: list[tuple[dict[str, Any], str]] = [
        ({"password_file": none, "username": "ann"}, "mqtt.password_file cannot be read"),
        ({"password": SecretStr("x"), "protocol": "5"}, "set mqtt.username"),
        ({"tls": TlsSettings(enabled=True, ca_file=none)}, "mqtt.tls.ca_file"),
        (
            {"tls": TlsSettings(enabled=True, cert_file=tmp_path / "none", key_file=tmp_path / "none")},
            "mqtt.tls.cert_file",
        ),
    ]
    for other, words in cases:
        with pytest.raises(MqttError, match=words):
            _Watched(settings(1883, **other))


def test_a_broken_hook_ends_the_link_loudly(broker: Broker) -> None:
    link = _Watched(settings(broker.port))
    link.start()
    wait_until(lambda: link.ups)
    link.broken_hook = True
    link.wake()
    wait_until(lambda: link.ended)
    assert isinstance(link.failed, RuntimeError)
    assert not link.connected
    link.stop()


def test_buffered_socket_reads_in_pieces_and_sends_together() -> None:
    """Many small reads cost one system call, many small sends one piece; an end is still an end."""
    near, far = socket.socketpair()
    with near, far:
        near.setblocking(False)
        buffered = BufferedSocket(near)
        with pytest.raises(BlockingIOError):
            buffered.recv(1)
        far.sendall(b"abcdef")
        assert buffered.recv(1) == b"a"
        assert buffered.pending()
        assert [buffered.recv(2), buffered.recv(100)] == [b"bc", b"def"]
        assert not buffered.pending()
        for _ in range(3):
            assert buffered.send(b"\x40\x02\x00\x01") == 4
        far.setblocking(False)
        with pytest.raises(BlockingIOError):
            far.recv(100)
        buffered.flush()
        assert far.recv(100) == b"\x40\x02\x00\x01" * 3
        far.close()
        assert buffered.recv(1) == b""


def test_buffered_socket_tells_a_failed_send_when_reading() -> None:
    near, far = socket.socketpair()
    with near:
        near.setblocking(False)
        buffered = BufferedSocket(near)
        far.close()
        buffered.send(b"x")
        buffered.flush()
        assert buffered.pending()
        with pytest.raises(BrokenPipeError):
            buffered.recv(1)
        buffered.close()
        buffered.close()
