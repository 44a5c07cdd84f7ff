"""The broker that comes along: nats-server, which speaks MQTT 3.1.1 and keeps sessions on disk.

What it is called with and what it says stand here; whoever runs it owns the process. It comes with the extra
`demo` and is meant for trying things out: nobody signs in, so it listens on the loopback interface alone.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sysconfig
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

HOST = "127.0.0.1"
ANY_PORT = -1  # the server takes a free one by itself, so that nobody can be quicker
# Messages without a PUBACK, of a subscription and of a session alike: what a session cannot take beside its other
# subscriptions nats-server lets fall and sends again after `ack_wait`, behind what is newer. Its own 1024 fill
# while a fleet's history comes; all subscriptions of a session may have 65,535 together.
MAX_ACK_PENDING = 10_000
LISTENS = re.compile(r"Listening for MQTT clients on mqtt://[^\s:]+:(\d+)")


def program() -> str | None:
    """The path of nats-server, or None where it is not installed. The package puts it beside the interpreter."""
    places = [sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)]
    return shutil.which("nats-server", path=os.pathsep.join(places))


def write_settings(
    file: Path,
    *,
    port: int = ANY_PORT,
    own_port: int = ANY_PORT,
    ack_wait: str = "20s",
    authorization: Mapping[str, object] | None = None,
) -> list[str]:
    """Write the server's settings beside where its disk shall be; returns the arguments that name them.

    `port` is MQTT's, `own_port` that of its own protocol, which cannot be switched off. What stays without a
    PUBACK is sent again after `ack_wait`, whether the client came back or not. `authorization` is that block of
    the settings.
    """
    settings: dict[str, Any] = {
        "server_name": "enginewatch",  # MQTT asks for a name
        "host": HOST,
        "port": own_port,
        "jetstream": {"store_dir": str(file.parent / "jetstream")},
        "mqtt": {"host": HOST, "port": port, "ack_wait": ack_wait, "max_ack_pending": MAX_ACK_PENDING},
    }
    if authorization is not None:
        settings["authorization"] = authorization
    file.write_text(json.dumps(settings), encoding="utf-8")  # its own format is a superset of JSON
    return ["-c", str(file)]


def port_in(log: str) -> int | None:
    """The port that the server said it listens on for MQTT; None where it has not said so yet.

    >>> port_in("[7] 2026/01/01 00:00:00.0 [INF] Listening for MQTT clients on mqtt://127.0.0.1:1883")
    1883
    """
    found = LISTENS.search(log)
    return None if found is None else int(found[1])
