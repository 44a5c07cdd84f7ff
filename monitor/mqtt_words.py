"""What went wrong between us and the broker, as one sentence that names the setting to change. Pure."""

from __future__ import annotations

import errno
import socket
import ssl
from typing import TYPE_CHECKING

from monitor.tls import OLDER

if TYPE_CHECKING:
    from config.settings import MqttSettings

# Reason codes of MQTT 5, section 2.4; paho translates those of 3.1.1 to them.
UNSPECIFIED = 128
UNSUPPORTED_PROTOCOL = 132
CLIENT_ID_REJECTED = 133
BAD_CREDENTIALS = 134
NOT_AUTHORISED = 135
SERVER_UNAVAILABLE = 136
SERVER_BUSY = 137
SHUTTING_DOWN = 139
KEEP_ALIVE_TIMEOUT = 141
SESSION_TAKEN_OVER = 142

CLOSED = "the broker closed the connection"
PAUSED = "reading is paused, because what was received before is not stored yet"

# Verification results of OpenSSL, x509_vfy.h.
NOT_YET_VALID = 9
EXPIRED = 10
OTHER_HOST_NAME = (62, 64)


def connect_problem(error: Exception, settings: MqttSettings) -> str:
    """Why no connection could be opened (name, TCP, TLS)."""
    place = f"{settings.host}:{settings.port}"
    if isinstance(error, socket.gaierror | ValueError) and not isinstance(error, ssl.SSLError):
        return f"the name {settings.host!r} cannot be resolved: check mqtt.host"
    if isinstance(error, ssl.SSLError):
        return tls_problem(error, settings)
    if isinstance(error, ConnectionRefusedError):
        return f"nobody listens on {place}: start the broker, or check mqtt.host and mqtt.port"
    if isinstance(error, TimeoutError):
        return f"no answer from {place} in time: check mqtt.host, mqtt.port and the firewall between"
    if isinstance(error, OSError) and error.errno in {errno.EHOSTUNREACH, errno.ENETUNREACH}:
        return f"there is no route to {place}: check mqtt.host and the network"
    if settings.tls.enabled and isinstance(error, ConnectionResetError):
        return _not_tls(settings)
    return f"cannot connect to {place} ({error}): check mqtt.host and mqtt.port"


def tls_problem(error: ssl.SSLError, settings: MqttSettings) -> str:
    """Why the two sides could not agree on TLS."""
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code == EXPIRED:
            return "the broker's certificate has expired: renew it on the broker"
        if error.verify_code == NOT_YET_VALID:
            return "the broker's certificate is not valid yet: check the clocks of this host and of the broker"
        if error.verify_code in OTHER_HOST_NAME:
            return f"the broker's certificate is for another name than {settings.host!r}: check mqtt.host"
        where = settings.tls.ca_file or "the system's authorities"
        return (
            f"the broker's certificate is not signed by {where} ({error.verify_message}): "
            "set mqtt.tls.ca_file to the authority that signed it"
        )
    reason = error.reason or str(error)
    if any(word in reason for word in OLDER):
        return "the broker speaks only a TLS older than 1.2: let it speak TLS 1.2 or later"
    if "ALERT" in reason:
        return f"the broker refuses our side of TLS ({reason}): check mqtt.tls.cert_file and mqtt.tls.key_file"
    return _not_tls(settings)


def _not_tls(settings: MqttSettings) -> str:
    return f"port {settings.port} of {settings.host} does not speak TLS: check mqtt.port or mqtt.tls.enabled"


def refusal(code: int, name: str, client_id: str, settings: MqttSettings) -> str:
    """Why the broker answered CONNECT with a refusal."""
    if code in {BAD_CREDENTIALS, NOT_AUTHORISED}:
        who = f"user {settings.username!r}" if settings.username else "a connection without a user name"
        return f"the broker refuses {who}: check mqtt.username and mqtt.password (or mqtt.password_file)"
    if code == CLIENT_ID_REJECTED:
        return f"the broker rejects the client id {client_id!r}: change mqtt.client_id or daemon.id"
    if code == UNSUPPORTED_PROTOCOL:
        return f"the broker does not speak MQTT {settings.protocol}: change mqtt.protocol"
    if code in {SERVER_UNAVAILABLE, SERVER_BUSY}:
        return f"the broker answers that it is not available now ({name})"
    return f"the broker refuses the connection: {name}"


def loss(code: int, name: str, client_id: str, error: OSError | None, settings: MqttSettings) -> str:
    """Why an established connection ended."""
    if code == SESSION_TAKEN_OVER:
        return f"another client came with the id {client_id!r}: change daemon.id or mqtt.client_id of one of them"
    if code == KEEP_ALIVE_TIMEOUT:
        return f"the broker heard nothing of us for longer than mqtt.keepalive_s ({settings.keepalive_s} s)"
    if code == SHUTTING_DOWN:
        return "the broker shuts down"
    if error is not None:
        return f"the connection broke: {error}"
    return CLOSED if code == UNSPECIFIED else f"the connection ended: {name}"


def silent(settings: MqttSettings) -> str:
    """Why a connection was given up that nobody had ended."""
    return f"the broker was silent for longer than mqtt.keepalive_s ({settings.keepalive_s} s)"


def no_answer(error: OSError | None, *, closed: bool, settings: MqttSettings) -> str:
    """Why a connection that was opened never became one of MQTT: the peer hung up, or said nothing."""
    if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError):
        return tls_problem(error, settings)
    what = "hangs up without an answer" if closed else "does not answer"
    place = f"{settings.host}:{settings.port}"
    if settings.tls.enabled:  # they agreed on TLS, so it is not to blame; a certificate that lacks is told later
        return (
            f"{place} speaks TLS but {what}: check that mqtt.port speaks MQTT, and where the broker asks for "
            "a certificate of ours, mqtt.tls.cert_file and mqtt.tls.key_file"
        )
    return (
        f"{place} takes the connection but {what}: "
        "check that mqtt.port speaks MQTT, or set mqtt.tls.enabled = true"
    )


def subscription_refused(topic_filter: str) -> str:
    """The broker took the connection but not a subscription."""
    return f"the broker refuses the subscription to {topic_filter}: allow it for mqtt.username in the broker's ACL"
