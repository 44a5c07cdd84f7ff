"""A paho client as the settings want it: session, credentials, TLS, last will, and a socket with buffers."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from monitor.mqtt_packets import Publishes, read_publishes
from monitor.tls import TlsFileError, client_context

if TYPE_CHECKING:
    from config.settings import MqttSettings

CONNECT_LIMIT_S = 10.0  # for TCP and TLS, and again for the broker's answer to CONNECT
LINGER_S = 1.0  # for the broker to take the last bytes before the socket closes
PIECE = 1 << 16  # bytes asked of the kernel at once
UNSENT_LIMIT = 1 << 20  # bytes kept for a broker that does not read


class MqttError(Exception):
    """The broker cannot be used as the settings stand; the sentence names the setting. Retrying is of no use."""


@dataclass(frozen=True, slots=True)
class Will:
    """What the broker publishes for us, retained and with QoS 1, when we vanish without a goodbye."""

    topic: str
    payload: bytes


class BufferedSocket:
    """A non-blocking socket that asks the kernel for large pieces and sends a turn's packets together.

    paho reads the header of a packet byte by byte and sends each packet by itself; on the bare socket each of
    those is a system call. What `send` takes leaves with `flush`. An error in sending is raised by the next
    `recv`, where paho expects it, and stays in `error`.
    """

    def __init__(self, inner: socket.socket) -> None:
        self._inner = inner
        self._in = b""
        self._next = 0  # where the unread part of `_in` begins
        self._out = bytearray()
        self._closed = False
        self.heard = time.monotonic()  # when the peer last sent something
        self.said = self.heard  # when the kernel last took something for it
        self.received = 0  # bytes, of all that the peer sent
        self.error: OSError | None = None
        self.graceful = False  # closing then waits until the peer has read everything

    def recv(self, buffer_size: int) -> bytes:
        """Up to `buffer_size` bytes; empty at the end of the connection."""
        if self._next == len(self._in):
            if buffer_size >= PIECE:
                return self._receive(buffer_size)
            self._in, self._next = self._receive(PIECE), 0
        start = self._next
        self._next = min(start + buffer_size, len(self._in))
        return self._in[start : self._next]

    def take_publishes(self, room: int, *, five: bool) -> Publishes:
        """The messages that come next, whole packets alone; none where `recv` has something else to give or raise.

        `room` and `five` as of `read_publishes`.
        """
        if self._next == len(self._in):
            try:
                self._in, self._next = self._receive(PIECE), 0
            except OSError:
                return Publishes([], [], [], [], 0)
        found, self._next = read_publishes(self._in, self._next, room, five=five)
        return found

    def _receive(self, size: int) -> bytes:
        if self.error is not None:
            raise self.error
        try:
            data = self._inner.recv(size)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except OSError as error:
            self.error = error
            raise
        self.heard = time.monotonic()
        self.received += len(data)
        return data

    def pending(self) -> bool:
        """Whether `recv` has something to give or to raise that the kernel would not tell of."""
        waiting = self._inner.pending() if isinstance(self._inner, ssl.SSLSocket) and not self._closed else 0
        return self._next < len(self._in) or waiting > 0 or self.error is not None

    @property
    def unsent(self) -> bool:
        """Whether bytes wait for the peer to read."""
        return bool(self._out)

    @property
    def full(self) -> bool:
        """Whether so much waits that nothing more is taken, or nothing can be sent any more."""
        return len(self._out) >= UNSENT_LIMIT or self.error is not None

    def send(self, buffer: bytes | bytearray) -> int:
        """Take all of `buffer`, or raise BlockingIOError where too much waits already."""
        if self.error is not None:
            raise self.error
        if len(self._out) >= UNSENT_LIMIT:
            raise BlockingIOError
        self._out += buffer
        return len(buffer)

    def flush(self) -> None:
        """Hand to the kernel as much as it takes."""
        while self._out and self.error is None:
            try:
                del self._out[: self._inner.send(self._out)]
                self.said = time.monotonic()
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return
            except OSError as error:
                self.error = error

    def close(self) -> None:
        """Close; what is unsent is lost unless `graceful` is set."""
        if self._closed:
            return
        if self.graceful:
            self._linger()
        self._closed = True
        self._in, self._next = b"", 0
        self._out.clear()
        self._inner.close()

    def _linger(self) -> None:
        """Closing over unread input resets the connection, and the peer may lose our last packets with it."""
        until = time.monotonic() + LINGER_S
        with contextlib.suppress(OSError):
            self._inner.settimeout(LINGER_S)
            self.flush()
            self._inner.shutdown(socket.SHUT_WR)
            while time.monotonic() < until and self._inner.recv(PIECE):
                pass

    def fileno(self) -> int:
        """The descriptor, to wait on."""
        return self._inner.fileno()

    def setblocking(self, flag: bool) -> None:
        """As a socket's."""
        self._inner.setblocking(flag)


class BufferedClient(Client):
    """A paho client on a buffered socket."""

    def _create_socket(self) -> BufferedSocket:
        return BufferedSocket(cast("socket.socket", super()._create_socket()))

    @property
    def in_packet(self) -> bool:
        """Whether the last packet that was begun has not come to its end."""
        return self._in_packet["command"] != 0

    def ping(self) -> None:
        """Ask the broker for an answer. paho does so only by a clock of its own, in `loop_misc`."""
        self._send_pingreq()


def make_client(
    settings: MqttSettings, client_id: str, *, persistent: bool, manual_ack: bool, will: Will | None
) -> BufferedClient:
    """A client that is not connected yet; raises MqttError where a file or a setting is unusable."""
    five = settings.protocol == "5"
    client = BufferedClient(
        CallbackAPIVersion.VERSION2,
        client_id,
        clean_session=None if five else not persistent,
        protocol=MQTTProtocolVersion.MQTTv5 if five else MQTTProtocolVersion.MQTTv311,
        reconnect_on_failure=False,  # else a refused version makes paho try an older one by itself
        manual_ack=manual_ack,
    )
    client.connect_timeout = CONNECT_LIMIT_S
    client.max_inflight_messages_set(0)  # the rooms bound this; with a limit paho scans its queue at every PUBACK
    password = password_of(settings)
    if settings.username:
        client.username_pw_set(settings.username, password)
    elif password is not None:
        raise MqttError("there is a password but no user: set mqtt.username")
    if settings.tls.enabled:
        client.tls_set_context(_tls_context(settings))
    if will is not None:
        client.will_set(will.topic, will.payload, qos=1, retain=True)
    properties = None
    if five and persistent:
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho left it untyped
        properties.SessionExpiryInterval = settings.session_expiry_s
    client.connect_async(
        settings.host, settings.port, settings.keepalive_s, clean_start=not persistent, properties=properties
    )
    return client


def password_of(settings: MqttSettings) -> str | None:
    """The password from the settings or its file; None where neither is given. Raises MqttError."""
    if settings.password_file is None:
        return settings.password.get_secret_value() if settings.password else None
    try:
        return settings.password_file.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise MqttError(f"mqtt.password_file cannot be read: {error}") from error


def _tls_context(settings: MqttSettings) -> ssl.SSLContext:
    tls = settings.tls
    try:
        return client_context(tls.ca_file, tls.cert_file, tls.key_file)
    except TlsFileError as error:
        raise MqttError(f"mqtt.tls.{error}") from error
