"""An operator at the command line and a real daemon: maintenance, assets, dead letters, the fleet on a screen."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest

from monitor.commands.asking import question
from monitor.decode import encode_telemetry
from monitor.store import Store
from tests.engine_line import ENGINE, TOPIC, engine
from tests.rig import COMMAND, Daemon, environment, json_lines, plain_settings, run, until
from tests.servers.peers import Peer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers.brokers import Mosquitto
    from tests.servers.influxd import Influxd

P1, P2, P9 = "plant//p1", "plant//p2", "plant//p9"


@pytest.fixture
def daemon(tmp_path: Path, mosquitto: Mosquitto) -> Iterator[Daemon]:
    """A daemon with room for two assets, for which silence of a second is an incident (three periods: three)."""
    extra = "[alert]\nstale_after_s = 1\n[store]\ncheckpoint_s = 1\n[daemon]\nmax_streams = 2"
    text = plain_settings(mosquitto, tmp_path, extra=extra)
    # Where a glob may mean several sites, those of others come too, and are refused.
    running = Daemon(tmp_path, text.replace("plant/*", "plan?/*"))
    running.start()
    yield running
    running.close()


def say(mosquitto: Mosquitto, *assets: str, values: dict[str, float] | None = None, at: int | None = None) -> None:
    """One reading of each of these assets."""
    now = time.time_ns() // 1_000_000 if at is None else at
    with Peer(mosquitto) as peer:
        for asset in assets:
            reading = encode_telemetry(time=now, boot="b", seq=0, values=values or {"load": 1.0, "flow": 12.0})
            peer.publish(TOPIC.format(asset), reading)


def listed(daemon: Daemon, *words: str) -> dict[str, dict[str, Any]]:
    """What `assets list` shows, by asset."""
    rows = json_lines(run("assets", "list", "--json", *words, folder=daemon.folder).stdout)
    return {row["asset"]: row for row in rows}


def known(daemon: Daemon) -> dict[str, dict[str, Any]]:
    """The same, asked at the socket itself, where it is asked again and again."""
    return {row["asset"]: row for row in question(daemon.state, "assets")["answer"]}


def open_of(daemon: Daemon) -> list[tuple[str, str]]:
    """The open incidents: asset and transition."""
    store = Store(daemon.state / "store.db")
    try:
        return sorted((event.stream, event.transition.value) for event in store.open_incidents())
    finally:
        store.close()


def test_maintenance_holds_back_and_survives_a_kill(daemon: Daemon, mosquitto: Mosquitto) -> None:
    """One asset is silent and told, the other is under maintenance and is not, until that is ended."""
    folder = daemon.folder
    say(mosquitto, "p1", "p2")
    until(lambda: len(known(daemon)) == 2)
    done = run("maintenance", P1, "now", "+2h", "--why", "new belt", "--who", "me", folder=folder)
    assert done.stdout.startswith(f"{P1} is under maintenance from ")
    until(lambda: open_of(daemon) == [(P2, "fired")])
    daemon.kill()
    daemon.start()
    [row] = json_lines(run("maintenance", "list", "--json", folder=folder).stdout)
    assert (row["asset"], row["begun"], row["who"], row["why"]) == (P1, True, "me", "new belt")
    assert row["until"] - row["since"] == 2 * 3_600_000
    assert known(daemon)[P1]["status"] == "maintenance"
    assert open_of(daemon) == [(P2, "fired")]
    assert run("maintenance", "end", P1, folder=folder).stdout == f"maintenance of {P1} is over\n"
    until(lambda: (P1, "fired") in open_of(daemon))
    assert run("maintenance", "list", "--json", folder=folder).stdout == ""
    again = run("maintenance", "end", P1, folder=folder, code=1)
    assert again.stderr == f"nothing to end: no maintenance of {P1} is planned\n"
    daemon.stop()


def test_an_asset_is_renamed_and_forgotten(daemon: Daemon, mosquitto: Mosquitto) -> None:
    """Subscribers are told; the place is free at once; without a daemon the list is that of the checkpoint."""
    folder = daemon.folder
    say(mosquitto, "p1", "p2")
    until(lambda: len(open_of(daemon)) == 2)
    say(mosquitto, "p3")
    until(lambda: daemon.books()["outcomes"]["dead_letter"] == 2)  # there is no room for it
    assert run("assets", "rename", P1, P9, folder=folder).stdout == f"{P1} is {P9} from now on\n"
    with Peer(mosquitto, "enginewatch/v1/plant/+/alert") as peer:
        until(lambda: peer.last("enginewatch/v1/plant/p9/alert"))
        assert peer.last("enginewatch/v1/plant/p1/alert") == []
    assert open_of(daemon) == [(P2, "fired"), (P9, "fired")]
    assert run("assets", "forget", P2, folder=folder).stdout == f"{P2} is forgotten; heard again, it begins anew\n"
    assert open_of(daemon) == [(P9, "fired")]
    say(mosquitto, "p3")
    until(lambda: len(known(daemon)) == 2)
    found = listed(daemon)
    assert sorted(found) == ["plant//p3", P9]
    assert found[P9]["status"] == "silent"
    assert (found[P9]["class"], found[P9]["incidents"]) == ("machine", 1)
    assert list(listed(daemon, "--asset", "*/p9")) == [P9]
    refused = run("assets", "forget", "plant//nobody", folder=folder, code=1)
    assert "plant//nobody is not an asset that has been heard" in refused.stderr
    daemon.stop()
    gone = run("assets", "list", "--json", folder=folder)
    assert sorted(row["asset"] for row in json_lines(gone.stdout)) == ["plant//p3", P9]
    assert "this is as of its checkpoint of" in gone.stderr


def test_what_was_refused_goes_through_after_the_settings_are_mended(daemon: Daemon, mosquitto: Mosquitto) -> None:
    """Each value has one outcome for each time that it came, and what would be refused again stays."""
    folder = daemon.folder
    start = time.time_ns() // 1_000_000 - 20_000
    with Peer(mosquitto) as peer:
        for number in range(5):  # of a site that no class takes, and one sensor of another under a wrong name
            reading = {"load": 1.0, "flow": 2.0}
            made = encode_telemetry(time=start + 1000 * number, boot="b", seq=0, values=reading)
            peer.publish("enginewatch/v1/hall/p1/telemetry", made)
        made = encode_telemetry(time=start, boot="b", seq=0, values={"load": 1.0, "Flow": 2.0})
        peer.publish(TOPIC.format("p2"), made)
        peer.publish(TOPIC.format("p2"), b"{not JSON")
        peer.publish(TOPIC.format("p2"), b"[" + b" " * 2000)
    until(lambda: daemon.books()["outcomes"]["dead_letter"] == 8)
    rows = json_lines(run("dead-letters", "list", "--json", folder=folder).stdout)
    assert [(row["reason"].split(":")[0], row["letters"]) for row in rows] == [
        ("no class takes this asset", 5), ("unknown sensor Flow", 1), ("not JSON", 1), ("not JSON", 1),
    ]  # fmt: skip
    first = run("dead-letters", "retry", folder=folder).stdout.splitlines()
    assert first == [
        "0 letters went through again: 0 messages, 0 values",
        "7 would be refused again, the first: no class takes this asset",
        "1 stay: of them not the whole message was kept",
    ]
    daemon.stop()
    text = (folder / "enginewatch.toml").read_text()
    (folder / "enginewatch.toml").write_text(text.replace("plan?/*", "*"))
    daemon.start()
    told = json.loads(run("dead-letters", "retry", "--json", folder=folder).stdout)
    assert (told["letters"], told["messages"], told["values"], told["refused"]) == (5, 5, 10, 2)
    until(lambda: daemon.books()["outcomes"]["in_row"] == 11)  # with the one of p2 that was good
    assert daemon.accounted() == 9 + 10  # what came, and what came again
    left = json_lines(run("dead-letters", "list", "--each", "--json", folder=folder).stdout)
    assert [row["payload"][:9] for row in left] == [made.decode()[:9], "{not JSON", "[        "]
    table = run("dead-letters", "list", folder=folder).stdout.splitlines()
    assert table[0].split() == ["letters", "values", "first", "last", "reason", "topic"]
    rows = json_lines(run("scores", "--json", "--asset", "hall//p1", folder=folder).stdout)
    assert [row["time"] // 1000 - start // 1000 for row in rows] == [0, 1, 2, 3, 4]
    # When it was really heard last is not when it was sent through again.
    assert known(daemon)["hall//p1"]["heard"] < start + 25_000
    daemon.stop()


def test_the_fleet_on_a_screen(tmp_path: Path, mosquitto: Mosquitto, database: Influxd) -> None:
    """One screen for scripts, one object for machines, and a live one that q ends."""
    daemon = Daemon(tmp_path, ENGINE.format(broker=mosquitto, influx=database))
    try:
        daemon.start()
        with engine(mosquitto):
            until(lambda: daemon.books().get("rows", {}).get("scored"))
            until(lambda: json.loads(run("top", "--json", folder=tmp_path).stdout)["lags"].get("influx") == 0)
            view = json.loads(run("top", "--json", folder=tmp_path).stdout)
            [row] = view["assets"]
            assert (row["asset"], row["class"], row["status"]) == (P1, "engine", "watched")
            assert row["score"] > 0
            assert row["threshold"] == 1.0  # the floor, until there are min_rows
            assert set(view["lags"]) == {"mqtt", "influx"}

            def screen() -> list[str]:
                return run("top", "--once", folder=tmp_path).stdout.splitlines()

            # Rows go on coming: the sinks are through with them again and again, not at every moment.
            until(lambda: screen()[0].endswith(" · lag mqtt 0 · lag influx 0"))
            lines = screen()
            assert lines[0].startswith("1 asset · ")
            assert "the one asset is watched" in lines[1]
            assert lines[2].split()[:3] == ["asset", "status", "score"]
            assert lines[3].split()[:2] == [P1, "watched"]
            assert re.search(r"  \d s ago  engine$", lines[3])
            assert _alive(tmp_path, P1)
        daemon.stop()
        gone = run("top", "--once", folder=tmp_path)
        assert "this is as of its checkpoint" in gone.stderr
    finally:
        daemon.close()


def _alive(folder: Path, wanted: str) -> bool:
    """Run `top` in a terminal of its own until it shows something; press q; whether it ended well."""
    ours, theirs = pty.openpty()
    words = environment() | {"TERM": "xterm", "COLUMNS": "120", "LINES": "30"}
    with subprocess.Popen([*COMMAND, "top"], cwd=folder, env=words, stdin=theirs, stdout=theirs) as process:
        os.close(theirs)
        shown = b""

        def there() -> bool:
            nonlocal shown
            if select.select([ours], [], [], 0.1)[0]:
                shown += os.read(ours, 1 << 16)
            return wanted.encode() in shown

        until(there)
        os.write(ours, b"q")
        while process.poll() is None:  # its last words must have a reader
            if select.select([ours], [], [], 0.1)[0]:
                try:
                    os.read(ours, 1 << 16)
                except OSError:
                    break
        code = process.wait(20)
    os.close(ours)
    return code == 0
