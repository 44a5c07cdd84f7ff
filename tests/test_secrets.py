"""No secret is written anywhere: daemon and commands run with known ones, well and badly, and all is searched."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import resource
import signal
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from monitor.cli import main
from tests.rig import COMMAND, Daemon, environment, plain_settings, until
from tests.servers import missing
from tests.servers.brokers import Mosquitto
from tests.servers.peers import Peer

if TYPE_CHECKING:
    from tests.servers.influxd import Influxd

PASSWORD, TOKEN, HTTP, KEY, CHANNEL = (
    f"canary-{name}-9f3a71" for name in ("password", "token", "http", "hmac", "channel")
)
CANARY = re.compile(rb"canary-[a-z]+-9f3a71")
TELEMETRY = "enginewatch/v1/plant/p1/telemetry"


def private(file: Path, text: str) -> Path:
    file.touch(mode=0o600)
    file.write_text(text)
    return file


def said(*arguments: str, folder: Path, more: dict[str, str]) -> bytes:
    """All that a command says, however it ends; without the second that a process of its own would take."""
    heard = io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.chdir(folder),
        contextlib.redirect_stdout(heard),
        contextlib.redirect_stderr(heard),
        contextlib.suppress(SystemExit),
    ):
        for name, value in more.items():
            patch.setenv(name, value)
        main(list(arguments))
    return heard.getvalue().encode()


def settings(broker: Mosquitto, folder: Path, influx: str, log: str) -> str:
    text = plain_settings(broker, folder, extra='[daemon]\nid = "main"\n')
    text = text.replace('format = "json"', f'format = "{log}"\nlevel = "debug"')
    return (
        text.replace("[mqtt]", '[mqtt]\nusername = "ann"', 1)
        + f'[influx]\nurl = "{influx}"\nbucket = "engines"\nretry_min_s = 0.1\nretry_max_s = 0.5\n'
        + f'[commands]\nhmac_key_file = "{folder}/private/key"\n[http]\ntoken_file = "{folder}/private/http"\n'
        + f'[[notify.channels]]\nname = "mail"\nurl_file = "{folder}/private/address"\n'
        + '[[notify.channels]]\nname = "hook"\nto = "webhook"\n'
        + f'url = "http://127.0.0.1:1/hook"\ntoken_file = "{folder}/private/http"\n'
    )


def searched(folder: Path) -> list[str]:
    """The files with a secret in them, but for those that are there to hold one."""
    files = [file for file in folder.rglob("*") if file.is_file() and "private" not in file.parts]
    return [str(file) for file in files if CANARY.search(file.read_bytes())]


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # by apprise, on Python 3.11
@pytest.mark.parametrize("log", ["json", "console"])
def test_no_secret_is_written_anywhere(tmp_path: Path, database: Influxd, log: str) -> None:
    """By environment, secrets folder and file; with the right ones and wrong ones; and when the journal breaks."""
    if not Mosquitto.installed():
        missing("mosquitto")
    house = tmp_path / "house"
    hidden = house / "private"
    hidden.mkdir(parents=True)
    private(hidden / "key", KEY)
    private(hidden / "http", HTTP)
    private(hidden / "address", f"mailto://ann:{CHANNEL}@127.0.0.1:1?to={CHANNEL}@b.example")
    private(hidden / "influx__token", TOKEN)
    database.configure(token=TOKEN)
    heard: list[bytes] = []
    with Mosquitto(tmp_path / "broker", users={"ann": PASSWORD}) as broker:
        given = {"ENGINEWATCH_MQTT__PASSWORD": PASSWORD, "ENGINEWATCH_SECRETS_DIR": str(hidden)}
        daemon = Daemon(house, settings(broker, house, database.url, log), **given)
        try:
            daemon.start()
            assert daemon.process is not None
            place = Path(f"/proc/{daemon.process.pid}")
            assert not CANARY.search(place.joinpath("cmdline").read_bytes())
            assert (
                subprocess.run(["pgrep", "-P", str(daemon.process.pid)], check=False).returncode == 1
            )  # no child
            with Someone(broker) as peer:
                now = int(time.time() * 1000)
                peer.publish(TELEMETRY, json.dumps({"v": 1, "ts": now, "values": {"load": 1.0}}).encode())
                peer.publish(
                    "enginewatch/_monitor/main/command", json.dumps({"command": "{}", "hmac": "0"}).encode()
                )
                until(lambda: daemon.accounted() == 1)
                heard += ask_all(daemon)
                if log == "json":
                    heard += commands(house, given) + refused(house, given)
                database.configure(token="another")  # noqa: S106 - so that ours is refused
                peer.publish(TELEMETRY, json.dumps({"v": 1, "ts": now + 9_000, "values": {"load": 1.0}}).encode())
                until(lambda: b"does not know the token" in daemon.log.read_bytes())
            broker.stop()
            (house / "state" / "journal.db").write_bytes(b"no database" * 1000)
            (house / "state" / "journal.db-wal").write_bytes(b"no log" * 1000)
            broker.start()
            assert daemon.process.wait(60) != 0  # it did break, whatever it met first
        finally:
            daemon.close()
    assert not [text for text in heard if CANARY.search(text)]
    assert log != "json" or b"********" in b"".join(heard)  # there was something to hide
    assert searched(house) == []


class Someone(Peer):
    """A peer that signs in."""

    def __init__(self, broker: Mosquitto) -> None:
        super().__init__(broker, "enginewatch/#")
        self._client.username_pw_set("ann", PASSWORD)

    def __exit__(self, *_: object) -> None:
        super().__exit__(*_)
        assert not [payload for _, payload, _ in self.messages if CANARY.search(payload)]


def ask_all(daemon: Daemon) -> list[bytes]:
    """What the HTTP port answers, to who has the token and who has not; head and body."""
    answers = []
    for token in (HTTP, HTTP[:-1], ""):
        for path, body in (("/readyz", None), ("/metrics", None), ("/api/v1/commands", b"{"), ("/no", None)):
            headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
            request = urllib.request.Request(daemon.facts()["http"] + path, body, headers)  # noqa: S310 - our own
            try:
                with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310 - our own
                    answers.append(bytes(answer.headers) + answer.read())
            except urllib.error.HTTPError as error:
                with error:
                    answers.append(bytes(error.headers) + error.read())
    return answers


def commands(house: Path, given: dict[str, str]) -> list[bytes]:
    """What the commands say of a daemon that runs well."""
    calls = (
        ("config",),
        ("config", "--json"),
        ("check",),
        ("check", "--json"),
        ("doctor", "--wait", "1"),
        ("dead-letters", "list", "--each"),
        ("check", "--set", f"mqtt.password={PASSWORD}"),
        ("check", "--set", f"influx.url=http://me:{PASSWORD}@localhost"),
        ("assets", "list"),
        ("alerts", "test"),
    )
    return [said(*words, folder=house, more=given) for words in calls]


def refused(house: Path, given: dict[str, str]) -> list[bytes]:
    """What is said of settings that are wrong, where the wrong thing is beside a secret, or is one."""
    wrong = house / "private" / "wrong.toml"
    heard = []
    for text in (
        f'[mqtt]\npasword = "{PASSWORD}"\n',
        f'[mqtt]\npassword = ["{PASSWORD}"]\n',
        f'[mqtt]\npassword = "{PASSWORD}\n',
        f'[mqtt]\nport = 0\npassword = "{PASSWORD}"\n',
        f'[influx]\nurl = "http://me:{TOKEN}@localhost"\n',
        f'[influx]\ntoken = "{TOKEN}\\n"\nurl = "http://localhost:1"\n',
        f'[influx.token]\nvalue = "{TOKEN}"\n',
        f'[http]\ntoken = ["{HTTP}"]\n',
        f'[http]\ntoken = "{HTTP}"\ntoken_file = "nowhere"\nhost = "0.0.0.0"\n',
        f'[commands]\nhmac_key = "{KEY}"\n',
        f'[[notify.channels]]\nname = "a"\nurl = "mailtoo://{CHANNEL}:{CHANNEL}@b.example/{CHANNEL}"\n',
        f'[[notify.channels]]\nname = "a"\nurl = ["{CHANNEL}"]\n',
        f'[[notify.channels]]\nname = "a"\nto = "webhook"\nurl = "http://me:{CHANNEL}@b.example"\n',
    ):
        wrong.write_text(text + '[[classes]]\nname = "a"\nmodel = "pretrained:engine"\n')
        wrong.chmod(0o600)
        more = {name: value for name, value in given.items() if name != "ENGINEWATCH_SECRETS_DIR"}
        # What only InfluxDB's headers refuse is no mistake to the settings, and the daemon would run.
        tried = ["check", "config", *(["monitor", "doctor"] if "localhost:1" not in text else [])]
        heard += [said(command, "--config", str(wrong), folder=house, more=more) for command in tried]
    for name in ("key", "http", "influx__token"):
        file = house / "private" / name
        file.chmod(0o644)
        heard.append(said("check", folder=house, more=given))
        assert b"can be read by others" in heard[-1]
        file.chmod(0o600)
    return heard


def test_a_crash_leaves_no_dump(tmp_path: Path) -> None:
    """The memory of a daemon that is aborted is not written, although the system would."""
    (tmp_path / "enginewatch.toml").write_text(
        '[mqtt]\nport = 1\n[log]\nformat = "json"\n[[classes]]\nname = "a"\nmodel = "pretrained:engine"\n'
    )
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [*COMMAND, "monitor"],
            cwd=tmp_path,
            env=environment() | {"ENGINEWATCH_MQTT__USERNAME": "a", "ENGINEWATCH_MQTT__PASSWORD": PASSWORD},
            stdout=log,
            stderr=log,
            preexec_fn=_dumps_allowed,  # noqa: PLW1509 - no other thread runs here
        )
    until(lambda: b'"event":"started"' in (tmp_path / "log").read_bytes())
    process.send_signal(signal.SIGABRT)
    _, status = os.waitpid(process.pid, 0)
    process.returncode = status
    assert os.WTERMSIG(status) == signal.SIGABRT
    assert not os.WCOREDUMP(status)
    assert searched(tmp_path) == []


def _dumps_allowed() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (most, most))
