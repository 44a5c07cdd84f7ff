"""The settings of channels: one address is enough, every mistake is one line, and no line tells an address."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from config.load import load
from config.mistakes import SettingsError
from config.notify import KINDS
from monitor import wording
from monitor.records import Kind

if TYPE_CHECKING:
    from pathlib import Path

CLASS = '[[classes]]\nname = "engine"\nmodel = "pretrained:engine"\n'
HIDDEN = "hunter2"


def settings(folder: Path, text: str) -> Path:
    path = folder / "enginewatch.toml"
    path.write_text(CLASS + text, encoding="utf-8")
    return path


def test_a_name_and_an_address_are_enough(tmp_path: Path) -> None:
    path = settings(tmp_path, '[[notify.channels]]\nname = "mail"\nurl = "mailto://user:pass@mail.example"\n')
    (channel,) = load(path, environment={}).settings.notify.channels
    assert (channel.to, channel.assets, channel.exclude) == ("people", ("*",), ())


def test_the_address_comes_from_the_environment_as_well(tmp_path: Path) -> None:
    path = settings(tmp_path, '[[notify.channels]]\nname = "mail"\n')
    loaded = load(path, environment={"ENGINEWATCH_NOTIFY__CHANNELS__0__URL": "ntfy://ntfy.example/engines"})
    url = loaded.settings.notify.channels[0].url
    assert url is not None
    assert url.get_secret_value() == "ntfy://ntfy.example/engines"


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (['name = "a"'], "name: has no address: set a url_file or url beside it"),
        (['name = "a"', f'url = "{HIDDEN}"'], "url: must be an apprise address such as mailto://"),
        (['name = "a"', f'url = "json://host\\n{HIDDEN}"'], "url: must be an apprise address such as mailto://"),
        (
            ['name = "a"', 'to = "webhook"', f'url = "ftp://{HIDDEN}"'],
            "url: must be http://HOST:PORT/PATH or https://",
        ),
        (
            ['name = "a"', 'to = "webhook"', f'url = "http://me:{HIDDEN}@host"'],
            "url: must not hold a user: give a token or token_file",
        ),
        (['name = "a"', 'to = "pager"', 'url = "http://host"'], 'to: must be "people" or "webhook" or'),
        (['name = "a b"', 'url = "json://host"'], "name: "),
        (['name = "a"', 'url = "json://host"', f'token = "{HIDDEN}"'], "token: means nothing for people"),
        (
            ['name = "a"', 'to = "webhook"', 'url = "http://host"', f'token = "{HIDDEN}\\nX: y"'],
            "token: must be one line of ASCII characters without spaces",
        ),
        (
            ['name = "a"', 'to = "alertmanager"', f'url = "http://host/{HIDDEN}/api/v2/alerts"'],
            "url: must be http://HOST:PORT without /api/…, which is added",
        ),
        (
            ['name = "a"', 'to = "alertmanager"', 'url = "http://host"', 'group_by = "site"'],
            "group_by: means nothing for an Alertmanager: it groups and mutes by its own rules",
        ),
        (
            ['name = "a"', 'to = "alertmanager"', 'url = "http://host"', "critical_passes = false"],
            "critical_passes: means nothing for an Alertmanager",
        ),
        (['name = "a"', 'url = "json://host"', "timeout_s = 1e308"], "timeout_s: "),
        (['name = "a"', 'url = "json://host"', "[notify]", "retry_max_s = 86400"], "notify.retry_max_s: "),
        (['name = "a"', 'url = "json://host"', "[notify]", "resend_s = 600"], "notify.resend_s: "),
        (['name = "a"', 'url = "json://host"', 'kinds = ["fire"]'], 'kinds: "fire" is no kind of incident; there'),
        (['name = "a"', 'url = "json://host"', 'quiet_from = "22:00"'], "quiet_from: needs quiet_to beside it"),
        (['name = "a"', 'url = "json://host"', 'quiet_from = "25:00"'], "quiet_from: "),
        (
            ['name = "a"', 'url = "json://host"', 'quiet_from = "22:00"', 'quiet_to = "22:00"'],
            "quiet_to: is when the quiet hours begin, so they would never end",
        ),
        (['name = "a"', 'url = "json://host"', 'time_zone = "Berlin"'], "time_zone: "),
        (['name = "a"', 'url = "json://host"', 'severtiy = "critical"'], "notify.channels.0.severtiy: "),
        (
            ['name = "a"', 'url = "json://host"', "[[notify.channels]]", 'name = "a"', 'url = "json://host"'],
            'notify.channels.1.name: "a" is the name of channels.0 already',
        ),
    ],
)
def test_a_mistake_is_one_line_with_its_place(tmp_path: Path, lines: list[str], told: str) -> None:
    path = settings(tmp_path, "[[notify.channels]]\n" + "\n".join(lines) + "\n")
    with pytest.raises(SettingsError) as refused:
        load(path, environment={})
    (line,) = refused.value.lines
    place, _, sentence = line.partition(": ")
    assert place.startswith(f"{path}:")
    assert told in sentence
    assert HIDDEN not in line


def test_every_kind_of_incident_can_be_chosen_and_has_words() -> None:
    assert set(KINDS) == set(Kind)
    assert wording.STATES.keys() | wording.FAULTS.keys() == set(Kind)


def test_a_file_with_an_address_must_be_closed_to_others(tmp_path: Path) -> None:
    (tmp_path / "address").write_text("json://host\n", encoding="utf-8")
    (tmp_path / "address").chmod(0o644)
    path = settings(tmp_path, '[[notify.channels]]\nname = "a"\nurl_file = "address"\n')
    with pytest.raises(SettingsError, match=r"notify.channels.0.url_file: .* can be read by others"):
        load(path, environment={})


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("url", f"{HIDDEN}\n", "url_file: what stands in PATH must be http://HOST:PORT/PATH or https://"),
        ("url", f"http://host/one\nhttp://host/{HIDDEN}\n", "url_file: what stands in PATH must be http://"),
        ("token", f"one\n{HIDDEN}\n", "token_file: what stands in PATH must be one line of ASCII characters"),
    ],
)
def test_a_file_holds_what_the_setting_would(tmp_path: Path, name: str, text: str, told: str) -> None:
    for each, content in {"url": "http://host", "token": "t", name: text}.items():
        (tmp_path / each).write_text(content, encoding="utf-8")
        (tmp_path / each).chmod(0o600)
    lines = 'name = "a"\nto = "webhook"\nurl_file = "url"\ntoken_file = "token"\n'
    path = settings(tmp_path, f"[[notify.channels]]\n{lines}")
    with pytest.raises(SettingsError) as refused:
        load(path, environment={})
    (line,) = refused.value.lines
    assert f"notify.channels.0.{told}".replace("PATH ", f"{tmp_path / name} ", 1) in line
    assert HIDDEN not in line
