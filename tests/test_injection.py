"""Names from outside stay names: in InfluxDB, in topics, in terminals and in logs; or they are refused."""

from __future__ import annotations

import doctest
import json
import re
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor import printable as printable_module
from monitor.commands.common import show
from monitor.decode import ClassRoute, Decoder, split_key
from monitor.payloads import words
from monitor.payloads.words import is_name
from monitor.printable import json_line, printable
from monitor.records import Message
from tests.rig import Daemon, plain_settings, run, until
from tests.servers.influxd import DATABASE
from tests.servers.peers import Peer

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.brokers import Broker
    from tests.servers.influxd import Influxd

NOW = 1_790_000_000_000
# fmt: off
ODD = [
    "a,b", "a b", "a=b", 'a"b', "a\\b", "a\\", "größe", "压力", "a%0Ab", "a'b", "$SYS", "a:b", "{asset}", "*?[x]",
    "🛢",
]
REFUSED = [
    "a\nb", "a\rb", "a\tb", "a\x1b[2J", "a\x07", "a\x7f", "a\u202eb", "a\u2028b", "a\x9bb", "a\ufeff", "x" * 201,
]
# fmt: on
ROUTE = ClassRoute(("load",), ("t/{site}/{asset}/x",))


def decoded(topic: str) -> tuple[list[str], list[str]]:
    """The streams and the reasons of one message on a topic."""
    payload = json.dumps({"v": 1, "ts": NOW, "values": {"load": 1.0}}).encode()
    found = Decoder([ROUTE], root="root").decode([Message(topic.encode(), payload, NOW, len(payload))])
    return found.readings[0].streams, [letter.reason for letter in found.dead_letters]


@pytest.mark.parametrize("name", ODD)
def test_a_name_that_prints_is_taken_as_it_is(name: str) -> None:
    assert decoded(f"t/s/{name}/x") == ([f"s//{name}"], [])


@pytest.mark.parametrize("name", REFUSED)
def test_a_name_that_does_not_print_is_refused_with_the_reason(name: str) -> None:
    """Or one that is too long to be one; as the asset's level or as the site's."""
    for topic in (f"t/s/{name}/x", f"t/{name}/a/x"):
        streams, reasons = decoded(topic)
        assert streams == []
        assert reasons[0].endswith("cannot be a name")
        assert len(reasons[0]) < 100


@given(st.text(st.characters(exclude_characters="/", exclude_categories=["Cs"]), min_size=1, max_size=300))
def test_every_name_is_one_or_is_refused(name: str) -> None:
    """Nothing in between: what is taken prints, fits a topic, and is one level of the key."""
    streams, reasons = decoded(f"t/s/{name}/x")
    assert len(streams) + len(reasons) == 1
    for stream in streams:
        assert split_key(stream) == ("s", "", name)
        assert is_name(name)
        assert name.isprintable()


@given(st.text())
def test_what_is_shown_steers_no_terminal(text: str) -> None:
    """Whatever stands in it, it is one line that prints; and what prints is left as it is."""
    shown = printable(text)
    assert shown.isprintable()
    assert shown == text or not text.isprintable()


@given(st.text())
def test_json_steers_no_terminal_and_means_the_same(text: str) -> None:
    """Also by what JSON would let through: C1 controls, DEL, marks of direction."""
    said = json_line({"why": text})
    assert said.isprintable()
    assert json.loads(said) == {"why": text}


def test_tables_steer_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """A comment, a topic or a model's name with an escape sequence."""
    show([{"why": "seen\x1b]0;owned\x07\x1b[2J", "asset": "[red]a[/red]"}], ("why", "asset"), as_json=False)
    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert "\x07" not in said
    assert r"seen\x1b]0;owned\x07\x1b[2J" in said
    assert "[red]a[/red]" in said  # nothing is markup either


def test_the_examples_in_the_docstrings() -> None:
    for module in (words, printable_module):
        failed, tried = doctest.testmod(module)
        assert tried
        assert not failed


def test_odd_names_go_all_the_way(broker: Broker, database: Influxd, tmp_path: Path) -> None:
    """From MQTT by line protocol into InfluxDB and alerts: the tags are those names, no point is one too many.

    Those of a payload that cannot be names are dead letters, and the daemon goes on.
    """
    names = [name for name in ODD if name != "a\\"]  # a tag of line protocol cannot end so
    escaped = [re.sub(r"([,= ])", r"\\\1", name) for name in names]
    text = plain_settings(broker, tmp_path).replace(
        'assets = ["plant/*"]',
        'assets = ["plant/*"]\ntopics = ["in/{site}/line"]\npayload = "line"\n'
        '[classes.paths]\nasset = "host"\ntime_format = "ns"',
    )
    text += f'[influx]\nurl = "{database.url}"\nbucket = "{DATABASE}"\nretry_min_s = 0.1\nretry_max_s = 0.5\n'
    text += "[alert]\nstale_after_s = 3.0\n"
    daemon = Daemon(tmp_path, text)
    alerts: dict[str, Any] = {}
    try:
        daemon.start()
        with Peer(broker, "enginewatch/v1/plant/+/alert/event") as peer:
            now = time.time_ns()
            wrong = ("a+b", "a#b", "a/b", "a\x1b[2J", "x" * 300)
            lines = [f"m,host={name} load=1,flow=2 {now}" for name in (*escaped, *wrong)]
            peer.publish("in/plant/line", "\n".join(lines).encode())
            until(lambda: len(daemon.books().get("outcomes", {})) and daemon.accounted() >= 2 * len(names))
            until(lambda: len(peer.messages) >= len(names), why="each is silent, which is an alert")
            alerts = {topic: json.loads(payload) for topic, payload, _ in peer.messages}
        assert {event["stream"] for event in alerts.values()} == {f"plant//{name}" for name in names}
        assert set(alerts) == {f"enginewatch/v1/plant/{name}/alert/event" for name in names}
        until(lambda: database.count("alert_event") >= len(names))
        rows = database.query("SELECT incident_id FROM alert_event GROUP BY asset", DATABASE)
        # What InfluxDB reads in more ways than one is written as in a URL, and a % of its own as well.
        assert sorted(unquote(row["asset"]) for row in rows) == sorted(names)
        listed = run("assets", "list", folder=tmp_path).stdout
        letters = run("dead-letters", "list", "--each", folder=tmp_path).stdout
        assert all(name in listed for name in names)
        assert "cannot be a name" in letters
        assert "\x1b" not in listed + letters
        assert b"\x1b" not in daemon.log.read_bytes()
        daemon.stop()
    finally:
        daemon.close()
