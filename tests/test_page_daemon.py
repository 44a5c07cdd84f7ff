"""What operators say at the page goes through the real door, and the page tells it back."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tests.rig import Daemon, answer, plain_settings, until
from tests.servers.peers import Peer

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.brokers import Broker

ASSET = "plant//p 1 %ü"


def test_an_incident_is_told_and_what_is_said_of_it_stands_in_its_life(broker: Broker, tmp_path: Path) -> None:
    """A silent asset with an odd name: seen, acknowledged, commented, shelved, judged, each by a command."""
    daemon = Daemon(tmp_path, plain_settings(broker, tmp_path, extra="[alert]\nstale_after_s = 1"))
    try:
        daemon.start()

        def ask(path: str, body: object = None) -> tuple[int, Any]:
            return answer(daemon.facts().get("http", ""), path, body)

        def say(number: int, action: str, **more: object) -> None:
            command = {"id": f"c{number}", "action": action, "incident": found["id"], "ts": 1, "who": "Ånn"}
            assert ask("/api/v1/commands", command | more)[1]["done"]

        until(lambda: ask("/readyz")[0] == 200)
        reading = json.dumps({"v": 1, "ts": int(time.time() * 1000), "values": {"load": 1.0, "flow": 2.0}})
        with Peer(broker) as peer:
            peer.publish_all("enginewatch/v1/plant/p 1 %ü/telemetry", [reading.encode()])
        until(lambda: ask("/api/v1/incidents?open=1")[1]["incidents"], why="it is told to be silent")
        (found,) = ask("/api/v1/incidents?open=1")[1]["incidents"]
        assert (found["asset"], found["title"], found["state"]) == (ASSET, "silent", "firing")
        say(1, "acknowledge")
        say(2, "comment", why="<b>looked</b>")
        say(3, "verdict", verdict="real")
        say(4, "shelve", until=int(time.time() * 1000) + 3_600_000)
        _, told = ask(f"/api/v1/incidents/{found['id']}")
        assert (told["state"], told["verdict"], told["who"]) == ("shelved", "real", "Ånn")
        life = [(each["transition"], each["why"]) for each in told["life"]]
        assert life == [
            ("fired", ""), ("acknowledged", ""), ("commented", "<b>looked</b>"), ("verdict", ""), ("shelved", ""),
        ]  # fmt: skip
        status, asset = ask(f"/api/v1/assets/{quote(ASSET, safe='')}")
        assert (status, asset["now"]["status"], asset["open"][0]["id"]) == (200, "silent", found["id"])
        assert asset["open"][0]["to_do"]
        assert ask(f"/api/v1/assets/{quote(ASSET, safe='')}/map")[1]["why"]
        daemon.stop()
    finally:
        daemon.close()
