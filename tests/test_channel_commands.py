"""Channels as `alerts test`, `check` and `doctor` have them, without any incident; and the example."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from config.load import load
from monitor.cli import main
from monitor.doctor import findings, place
from monitor.doctor.facts import ChannelFacts, State
from tests.rig import json_lines
from tests.servers import find, free_port, missing
from tests.servers.alertmanagers import alertmanager
from tests.servers.hooks import hook, mailbox

ROOT = Path(__file__).parent.parent
CLASS = '[[classes]]\nname = "engine"\nmodel = "pretrained:engine"\n'
PEOPLE = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")


def written(folder: Path, *channels: tuple[str, str, str]) -> Path:
    """Settings with channels: name, to, url."""
    blocks = [f'[[notify.channels]]\nname = "{name}"\nto = "{to}"\nurl = "{url}"\n' for name, to, url in channels]
    (folder / "enginewatch.toml").write_text(CLASS + "".join(blocks), encoding="utf-8")
    return folder / "enginewatch.toml"


@PEOPLE
def test_alerts_test_sends_one_through_every_channel_and_says_what_each_answered(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = f"http://127.0.0.1:{free_port()}/"
    with mailbox() as box, hook() as server, alertmanager(tmp_path) as alerts:
        path = written(
            tmp_path,
            ("mail", "people", f"mailto://127.0.0.1:{box.port}?to=a@b.example&from=ew@b.example"),
            ("hook", "webhook", server.url),
            ("am", "alertmanager", alerts.url),
            ("gone", "webhook", gone),
        )
        assert main(["alerts", "test", "--config", str(path), "--json"]) == 1
        rows = {row["channel"]: row for row in json_lines(capsys.readouterr().out)}
        assert [(name, row["state"]) for name, row in rows.items()] == [
            ("mail", "ok"), ("hook", "ok"), ("am", "ok"), ("gone", "failed"),
        ]  # fmt: skip
        assert "nothing answers there" in rows["gone"]["said"]
        assert str(box.mails[0]["Subject"]).startswith("[test]")
        assert server.requests[0][1]["commonLabels"]["alertname"] == "EnginewatchTest"
        assert [each["labels"]["alertname"] for each in alerts.alerts()] == ["EnginewatchTest"]

        assert main(["alerts", "test", "--config", str(path), "--channel", "hook"]) == 0
        assert len(server.requests) == 2
        assert len(box.mails) == 1


@PEOPLE
def test_check_finds_an_address_that_the_library_does_not_understand_and_does_not_tell_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, ("mail", "people", "mailtoo://hunter2:hunter2@mail.example"))
    assert main(["check", "--config", str(path)]) == 2
    told = capsys.readouterr().err
    assert told.startswith(
        f"{path}:7: notify.channels.0.url: channel mail: apprise does not understand this address"
    )
    assert told.count("\n") == 1
    assert "hunter2" not in told
    assert "2@mail" not in told


def test_the_doctor_reaches_channels_and_sends_nothing(tmp_path: Path) -> None:
    with hook() as server:
        path = written(tmp_path, ("hook", "webhook", server.url))
        (facts,) = place.channels(load(path, environment={}).settings)
        assert (facts.name, facts.problem) == ("hook", "")
        assert server.requests == []


def test_the_doctor_fails_where_a_channel_is_not_reached() -> None:
    good, bad = ChannelFacts("a", "a server answers"), ChannelFacts("b", "", "channel b: nothing answers there")
    assert findings.channels([]).state is State.SKIPPED
    assert findings.channels([good]).state is State.OK
    found = findings.channels([good, bad])
    assert (found.state, found.said) == (State.FAILED, "channel b: nothing answers there")


def test_alertmanager_takes_the_example() -> None:
    amtool = find("amtool")
    if amtool is None:
        missing("prometheus-alertmanager")
    example = ROOT / "deploy" / "alertmanager" / "alertmanager.yml"
    done = subprocess.run([str(amtool), "check-config", str(example)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "2 receivers" in done.stdout
    assert "1 inhibit rules" in done.stdout
