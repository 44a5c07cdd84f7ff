"""The one way to connect to a broker.

A `Link` owns one connection and the one thread that touches it. Rooms derive from it and fill in the hooks.
What it guarantees to them:

- every hook runs on the link's thread, and the paho client is used on no other; so CONNECT is the first packet
  of every connection, whatever other threads ask for meanwhile;
- the link connects for ever, in any order of starting, with capped back-off and full jitter;
- a broker that vanished is given up after mqtt.keepalive_s; while nothing is read, silence is nobody's fault;
- an exception in a hook ends the thread, is logged and stands in `failed`: the thread never dies in silence.
"""

from __future__ import annotations

import select
import socket
import time
from typing import TYPE_CHECKING, Any, cast

import structlog

from monitor import mqtt_words
from monitor.mqtt_alive import Alive, Backoff
from monitor.mqtt_client import CONNECT_LIMIT_S, PIECE, BufferedSocket, MqttError, Will, make_client
from monitor.mqtt_packets import Publishes, pubacks
from monitor.stages import Pulse, Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
    from paho.mqtt.properties import Properties
    from paho.mqtt.reasoncodes import ReasonCode

    from config.settings import MqttSettings

__all__ = ["Backoff", "Link", "MqttError", "Will"]

_log = structlog.get_logger()

GOODBYE_LIMIT_S = 2.0  # for the broker to confirm what was published last
TURN_S = 1.0  # the longest the thread waits before it looks around
TURNS = 10  # in mqtt.keepalive_s, where that is short, at the least
PACKETS_A_TURN = 512  # read before acknowledgements and pings get their turn; more where more came at once
ROOM = 1 << 30  # bytes: without bounds
# Connecting hangs as long as the resolver does, which is patient with servers that do not answer.
CONNECTING_S = 2 * CONNECT_LIMIT_S + 60.0


class Link:
    """One connection, kept up for ever, and its thread. The hooks are the methods `on_…` and `room`."""

    good_at_once = True  # False: a connection is good only when the room calls `good`; until then a reason holds

    def __init__(
        self,
        settings: MqttSettings,
        client_id: str,
        *,
        persistent: bool = False,
        manual_ack: bool = False,
        will: Will | None = None,
    ) -> None:
        """Check the settings and read the secret files; raises MqttError. Nothing connects before `start`."""
        self._settings = settings
        self._client_id = client_id
        self._five = settings.protocol == "5"
        self._client = make_client(settings, client_id, persistent=persistent, manual_ack=manual_ack, will=will)
        self._client.on_connect = self._answered
        self._client.on_disconnect = self._lost
        self._client.on_publish = self._confirmed
        self._client.on_message = self._arrived
        # With this callback in place paho only queues, and the packets of a turn leave together.
        self._client.on_socket_register_write = lambda *_: None
        self._backoff = Backoff(settings.reconnect_min_s, settings.reconnect_max_s)
        self.thread = Worker(client_id, self._run)
        self.pulse = Pulse()
        self._ear, self._mouth = socket.socketpair()  # how other threads wake this one
        self._ear.setblocking(False)
        self._mouth.setblocking(False)
        self._woken = False
        self._stopping = False
        self._socket: BufferedSocket | None = None
        self._alive = Alive(settings.keepalive_s)
        self._turn_s = min(TURN_S, settings.keepalive_s / TURNS)
        self._understood = 0.0  # when something of the broker's was last of use
        self._read_until_then = 0  # bytes
        self._fault: Exception | None = None  # raised by a hook that paho called
        self._unconfirmed: set[int] = set()  # packet ids of what was published and has no PUBACK yet
        self._reported = ""
        self._session_present = False
        self.connected = False
        self.connections = 0  # made so far; also the generation of the present one
        self.problem = ""  # why there is no connection, in words; empty while there is one

    # For any thread.

    @property
    def failed(self) -> Exception | None:
        """What has ended the thread; None while it lives, and after `stop`."""
        return self.thread.failed

    def start(self) -> None:
        """Begin to connect; returns at once."""
        self.thread.start()

    def wake(self) -> None:
        """Let the thread take its next turn now."""
        if self._woken:
            return
        self._woken = True
        try:
            self._mouth.send(b"\0")
        except OSError:  # full, so the thread is awake anyway; or closed, because it has ended
            return

    def stop(self, timeout: float = 2 * CONNECT_LIMIT_S) -> None:
        """Say goodbye, disconnect and wait for the thread."""
        self._stopping = True
        self.wake()
        if self.thread.is_alive():
            self.thread.join(timeout)

    @property
    def packet_age(self) -> float | None:
        """Seconds since the broker was last heard; None without a connection."""
        link = self._socket
        return time.monotonic() - link.heard if self.connected and link is not None else None

    # Hooks.

    def on_up(self, *, session_present: bool) -> None:
        """The broker took the connection, and did or did not remember this client."""

    def on_down(self, reason: str) -> None:
        """The connection ended, or an attempt failed."""

    def on_messages(self, arrived: Publishes) -> None:
        """Messages arrived, one or more: as many as were read together."""

    def on_delivered(self, packet_id: int, problem: str) -> None:
        """The broker took over what was published; or refused it, and `problem` says why."""

    def on_turn(self) -> None:
        """While connected, at every turn: after `wake`, after every packet, and each second at the least."""

    def on_goodbye(self) -> None:
        """Stopping while connected: the last chance to publish."""

    def on_end(self) -> None:
        """The thread ends, in order or because of `failed`."""

    def room(self) -> int:
        """Bytes of messages to take now; without room what the broker sends stays on the socket, then with it."""
        return ROOM

    # For the hooks.

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> int:
        """Publish with QoS 1; returns the packet id that `on_delivered` will name."""
        packet_id = self._client.publish(topic, payload, qos=1, retain=retain).mid
        self._unconfirmed.add(packet_id)
        return packet_id

    @property
    def clogged(self) -> bool:
        """Whether the broker does not read, so that acknowledgements have to wait."""
        return self._socket is None or self._socket.full

    def confirm(self, packet_ids: Iterable[int]) -> None:
        """Acknowledge messages of this connection, which is not `clogged`; that leaves at the next turn."""
        assert self._socket is not None
        self._socket.send(pubacks(packet_ids))

    def good(self) -> None:
        """The connection does what it is for: log it, and from now on every loss anew, whatever its reason."""
        self._reported = ""
        _log.info("mqtt_connected", client_id=self._client_id, session_present=self._session_present)

    def forget_published(self) -> None:
        """Have paho not repeat what was published on an earlier connection (for `on_up`)."""
        self._client.drop_out_messages()
        self._unconfirmed.clear()

    # The thread.

    def _run(self) -> None:
        try:
            while not self._stopping:
                if self.room() <= 0:
                    self._wait(TURN_S)
                    continue
                began = time.monotonic()
                self._report(self._one_connection())
                if time.monotonic() - began > self._settings.reconnect_max_s:
                    self._backoff.reset()
                self._rest(self._backoff.next())
        except Exception as error:  # noqa: BLE001 - the thread is supervised: whatever ends it is told
            self.thread.failed = error
            _log.exception("mqtt_thread_failed", client_id=self._client_id)
        finally:
            self.connected = False
            self._close()
            self.on_end()
            self._mouth.close()
            self._ear.close()

    def _one_connection(self) -> str:
        """Connect and stay until the connection ends; returns why it ended."""
        self.problem = ""
        self._socket = None
        self.pulse.turn(CONNECTING_S)
        try:
            self._client.reconnect()
        except (OSError, ValueError) as error:
            return mqtt_words.connect_problem(error, self._settings)
        self._socket = sock = cast("BufferedSocket", self._client.socket())
        self._alive = Alive(self._settings.keepalive_s)
        self._understood, self._read_until_then = sock.heard, 0
        answer_by = time.monotonic() + CONNECT_LIMIT_S
        while self._open() and not self._stopping and (self.connected or time.monotonic() < answer_by):
            if self.connected:
                self.on_turn()
            self._turn(sock)
        if self.connected and self._open():
            self._say_goodbye(sock)
        elif not self.connected and not self.problem:
            closed = self._client.socket() is None
            self.problem = mqtt_words.no_answer(sock.error, closed=closed, settings=self._settings)
        self.connected = False
        self._close()
        return self.problem

    def _open(self) -> bool:
        return self._client.socket() is not None and not self.problem

    def _turn(self, sock: BufferedSocket) -> None:
        """Write what is due, wait until something happens, read what came."""
        if self._client.want_write():
            self._client.loop_write()
        sock.flush()
        if self._wait(self._turn_s, sock):
            self._read(sock)
        if self._open() and self.connected:
            self._keep_alive(sock, time.monotonic())

    def _keep_alive(self, sock: BufferedSocket, now: float) -> None:
        """Ask a silent broker whether it is there, and give it up when it is not."""
        if self.room() <= 0:
            self._understood = now
        if self._alive.gone(now, heard=self._understood):
            self.problem = mqtt_words.silent(self._settings)
        elif self._alive.to_ask(now, heard=self._understood, said=sock.said):
            self._client.ping()

    def _wait(self, timeout: float, sock: BufferedSocket | None = None) -> bool:
        """Wait for a wake-up or the socket; returns whether the socket is to be read."""
        self.pulse.turn()
        reading = sock is not None and (self._stopping or self.room() > 0)
        poll = select.poll()
        poll.register(self._ear, select.POLLIN)
        if sock is not None:
            writing = sock.unsent or self._client.want_write()
            poll.register(sock, (select.POLLIN if reading else 0) | (select.POLLOUT if writing else 0))
            if reading and sock.pending():
                timeout = 0.0
        ready = dict(poll.poll(timeout * 1000))
        if self._ear.fileno() in ready:
            self._ear.recv(64)
            self._woken = False  # only after emptying, so that a later wake-up sends its byte
        if sock is None:
            return False
        events = ready.get(sock.fileno(), 0)
        if not reading and events & (select.POLLHUP | select.POLLERR):
            self.problem = mqtt_words.CLOSED  # seen without reading
        return reading and (sock.pending() or bool(events & ~select.POLLOUT))

    def _read(self, sock: BufferedSocket) -> None:
        packets = 0
        while packets < PACKETS_A_TURN:
            packets += self._take(sock) or self._read_one()
            self._note_progress(sock)
            if not self._open() or not sock.pending() or not (self._stopping or self.room() > 0):
                return

    def _take(self, sock: BufferedSocket) -> int:
        """Take the messages that come next, all at once; how many."""
        if not self.connected or self._client.in_packet:
            return 0
        arrived = sock.take_publishes(ROOM if self._stopping else self.room(), five=self._five)
        if arrived.topics:
            self.on_messages(arrived)
        return len(arrived.topics)

    def _read_one(self) -> int:
        """Let paho have what comes next: a packet, or as much of one as there is."""
        try:
            self._client.loop_read()
        except Exception as error:
            if self._fault is not None:
                raise  # a hook's doing, not the broker's
            self.problem = f"the broker sent what is not MQTT ({error!r})"
        return 1

    def _note_progress(self, sock: BufferedSocket) -> None:
        """Whole packets are of use, and large parts of one.

        A length that was garbled on the way swallows all that comes after it, answers to pings too: bytes alone
        prove nothing.
        """
        if not self._client.in_packet or sock.received - self._read_until_then >= PIECE:
            self._understood = sock.heard
            self._read_until_then = sock.received

    def _say_goodbye(self, sock: BufferedSocket) -> None:
        self.on_goodbye()
        until = time.monotonic() + GOODBYE_LIMIT_S
        while self._unconfirmed and self._open() and time.monotonic() < until:
            self._turn(sock)
        if self._open():
            sock.graceful = True
            self._client.disconnect()
            self._client.loop_write()

    def _rest(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self._stopping and (left := until - time.monotonic()) > 0:
            self._wait(min(left, TURN_S))

    def _report(self, reason: str) -> None:
        if self._stopping:
            return
        if self.room() <= 0:
            reason = mqtt_words.PAUSED
        self.problem = reason
        if reason != self._reported:
            self._reported = reason
            _log.warning("mqtt_disconnected", client_id=self._client_id, reason=reason)
        self.on_down(reason)

    def _close(self) -> None:
        if self._socket is not None:
            self._socket.close()

    # paho's callbacks.

    def _guarded(self, hook: Callable[..., None], *arguments: Any, **named: Any) -> None:
        try:
            hook(*arguments, **named)
        except Exception as error:
            self._fault = error
            raise

    def _answered(
        self, _client: Client, _data: Any, flags: ConnectFlags, code: ReasonCode, _properties: Properties | None
    ) -> None:
        if code.is_failure:
            self.problem = mqtt_words.refusal(code.value, code.getName(), self._client_id, self._settings)
            return
        self.connected = True
        self.connections += 1
        self._session_present = flags.session_present
        if self.good_at_once:
            self.good()
        self._guarded(self.on_up, session_present=flags.session_present)

    def _lost(
        self,
        _client: Client,
        _data: Any,
        _flags: DisconnectFlags,
        code: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if self.connected and not self.problem and not self._stopping:
            error = self._socket.error if self._socket else None
            self.problem = mqtt_words.loss(code.value, code.getName(), self._client_id, error, self._settings)

    def _confirmed(
        self, _client: Client, _data: Any, packet_id: int, code: ReasonCode, _properties: Properties
    ) -> None:
        self._unconfirmed.discard(packet_id)
        self._guarded(self.on_delivered, packet_id, code.getName() if code.is_failure else "")

    def _arrived(self, _client: Client, _data: Any, message: MQTTMessage) -> None:
        try:
            topic = message.topic.encode()
        except UnicodeDecodeError as error:
            topic = error.object
        packet_id = message.mid if message.qos else 0
        arrived = Publishes.one(topic, bytes(message.payload), packet_id, retained=message.retain)
        self._guarded(self.on_messages, arrived)
