"""Loading the settings: what goes before what, and how every mistake is told."""

from __future__ import annotations

import doctest
from importlib import import_module
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from config.lines import line_numbers
from config.load import load
from config.mistakes import SettingsError
from config.overlap import globs_overlap
from config.secret import secret
from config.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

ENGINE = 'period_ms = 100\n[[sensors]]\nname = "speed"\nunit = "rpm"\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The settings file of a test, with an asset file beside it."""
    (tmp_path / "engine.toml").write_text(ENGINE)
    (tmp_path / "engine.toml").chmod(0o600)  # it also stands in for keys
    return tmp_path / "enginewatch.toml"


def mistakes(
    file: Path | None,
    text: str = "",
    *,
    overrides: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> list[str]:
    """The lines by which the settings are refused, without the folder of the test."""
    if file is not None:
        file.write_text(text)
    with pytest.raises(SettingsError) as caught:
        load(file, overrides=overrides, environment=environment or {})
    return [line.replace(f"{file.parent}/", "") if file else line for line in caught.value.lines]


def test_without_any_source_everything_is_at_its_default() -> None:
    loaded = load(None, environment={})
    assert loaded.settings.model_dump() == Settings().model_dump()
    assert set(loaded.sources.values()) == {"default"}


def test_each_source_goes_before_the_next(file: Path, tmp_path: Path) -> None:
    """Command line > environment > secret files > TOML > defaults, and each value says where it came from."""
    file.write_text(
        '[mqtt]\nhost = "toml"\nport = 1\nusername = "toml"\nroot = "toml"\n[influx]\ntoken = "toml"\n'
    )
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    for name in ("mqtt__host", "mqtt__port", "mqtt__username", "influx__token"):
        (secrets / name).write_text("7\n")
        (secrets / name).chmod(0o600)
    environment = {
        "ENGINEWATCH_SECRETS_DIR": str(secrets),
        "ENGINEWATCH_MQTT__HOST": "environment",
        "ENGINEWATCH_MQTT__PORT": "8",
        "HOME": "/nowhere",
    }
    loaded = load(file, overrides=["mqtt.host=line"], environment=environment)
    mqtt = loaded.settings.mqtt
    assert (mqtt.host, mqtt.port, mqtt.username, mqtt.root, mqtt.keepalive_s) == ("line", 8, "7", "toml", 30)
    assert loaded.settings.influx.token == SecretStr("7")
    assert {key: loaded.sources[f"mqtt.{key}"] for key in ("host", "port", "username", "root", "keepalive_s")} == {
        "host": "command line",
        "port": "environment ENGINEWATCH_MQTT__PORT",
        "username": f"secret file {secrets}/mqtt__username",
        "root": f"{file}:5",
        "keepalive_s": "default",
    }


def test_an_unknown_key_is_told_with_its_line_and_the_nearest_key(file: Path) -> None:
    text = (
        '[mqtt]\nhosst = "a"\n\n[mqqt]\nport = 1\n\n[tls]\nenabled = true\n\n[alert]\nhorizon_s = 3.0\nxyzzy = 1\n'
    )
    assert mistakes(file, text) == [
        "enginewatch.toml:2: mqtt.hosst: unknown key; did you mean mqtt.host?",
        "enginewatch.toml:5: mqqt.port: unknown key; did you mean mqtt.port?",
        "enginewatch.toml:8: tls.enabled: unknown key; did you mean mqtt.tls.enabled?",
        "enginewatch.toml:11: alert.horizon_s: unknown key; did you mean threshold.horizon_s?",
        "enginewatch.toml:12: alert.xyzzy: unknown key",
    ]


def test_an_unknown_key_of_the_second_class_is_told_by_its_number(file: Path) -> None:
    text = '[[classes]]\nname = "a"\n[[classes]]\nname = "b"\nassets = ["b"]\nfiel = "engine.toml"\n'
    line = "enginewatch.toml:6: classes.1.fiel: unknown key; did you mean classes.1.file?"
    assert line in mistakes(file, text)


def test_a_quoted_key_with_a_dot_is_not_the_key_of_a_section(file: Path) -> None:
    assert mistakes(file, '"mqtt.host" = "a"\n') == [
        'enginewatch.toml:1: "mqtt.host": unknown key; did you mean mqtt.host?'
    ]


def test_an_empty_unknown_section_is_told_too(file: Path) -> None:
    assert mistakes(file, "[mqqt]\n")[0].startswith("enginewatch.toml:1: mqqt: unknown key")


def test_wrong_values_are_told_with_what_was_given_and_what_is_allowed(file: Path) -> None:
    text = (
        "[mqtt]\nport = 99999\nusername = 12\nkeepalive_s = true\nprotocol = 5\n"
        '[mqtt.tls]\nenabled = "perhaps"\n[daemon]\nid = "a b"\nmax_streams = "many"\nstate_dir = 1\n'
        '[score]\nthreads = 0\n[threshold]\nhorizon_s = inf\n[[classes]]\nname = "a"\nassets = "a"\n'
    )
    assert mistakes(file, text) == [
        "enginewatch.toml:2: mqtt.port: must be a whole number from 1 to 65535, not 99999",
        "enginewatch.toml:3: mqtt.username: must be text in quotes, not 12",
        "enginewatch.toml:4: mqtt.keepalive_s: must be a whole number from 5 to 3600, not true",
        'enginewatch.toml:5: mqtt.protocol: must be "3.1.1" or "5", not 5',
        'enginewatch.toml:7: mqtt.tls.enabled: must be true or false, not "perhaps"',
        'enginewatch.toml:9: daemon.id: must be text matching ^[A-Za-z0-9_.-]+$, not "a b"',
        'enginewatch.toml:10: daemon.max_streams: must be a whole number not below 1, not "many"',
        "enginewatch.toml:11: daemon.state_dir: must be a path in quotes, not 1",
        "enginewatch.toml:13: score.threads: must be a whole number not below 1, not 0",
        "enginewatch.toml:15: threshold.horizon_s: must be a number above 0, not inf",
        'enginewatch.toml:18: classes.0.assets: must be a list of texts such as ["one", "two"], not "a"',
    ]


def test_a_value_where_a_section_belongs_and_the_other_way_round(file: Path) -> None:
    assert mistakes(file, 'mqtt = "host"\nlog.level.deep = 1\n[[classes]]\n') == [
        "enginewatch.toml:1: mqtt: is a section and holds keys, not a value",
        "enginewatch.toml:2: log.level.deep: unknown key; did you mean log.level?",
        "enginewatch.toml:3: classes.0: is empty",
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[alert]\nk = 6\n", "2: alert.k: 6 is more than n, which is 5"),
        ("[alert]\nn = 2\n", "2: alert.n: k: 3 is more than n, which is 2"),
        ("[threshold]\nfloor = 11\n", "2: threshold.floor: 11.0 is more than cap, which is 10.0"),
        (
            "[mqtt]\nreconnect_min_s = 31\n",
            "2: mqtt.reconnect_min_s: 31.0 is more than reconnect_max_s, which is 30.0",
        ),
        (
            "[influx]\nretry_max_s = 0.5\n",
            "2: influx.retry_max_s: retry_min_s: 1.0 is more than retry_max_s, which is 0.5",
        ),
        ('[mqtt]\npassword = "hunter2"\n', "2: mqtt.password: needs a username beside it (MQTT 3.1.1)"),
        (
            '[mqtt.tls]\nca_file = "engine.toml"\n',
            "2: mqtt.tls.ca_file: given, but enabled is false, so nothing would be encrypted",
        ),
        (
            '[mqtt.tls]\nenabled = true\nkey_file = "engine.toml"\n',
            "3: mqtt.tls.key_file: needs cert_file beside it",
        ),
        (
            '[[classes]]\nname = "pump"\ntopics = ["a/{asset}/{sensor}"]\n',
            '3: classes.0.topics: {sensor} does not go with payload "json", which names its sensors',
        ),
        (
            '[notify]\ntopic = "a/{asset}/{sensor}"\n',
            "2: notify.topic: {sensor} has no meaning here, an incident is",
        ),
        ('[notify]\ntopic = "alerts"\n', "2: notify.topic: {asset} is missing, so assets could not be told apart"),
        (
            '[influx]\nurl = "http://me:hunter2@host"\n',
            "2: influx.url: must be http://HOST:PORT or https://HOST:PORT, without a user or a query",
        ),
        ('[http]\nhost = "0.0.0.0"\n', "2: http.host: 0.0.0.0 can be reached from elsewhere: set a token_file"),
        (
            '[http]\nallowed_hosts = ["a"]\n',
            "2: http.allowed_hosts: somebody else is to ask, it seems: set a token_file",
        ),
        ('[http]\ntoken = "short"\n', "2: http.token: has less than 16 characters, so it could be guessed"),
        (
            '[http]\ntoken = "sechzehn Zeichen, groß"\n',
            "2: http.token: must be printable ASCII without a blank at its ends, or no browser could send it",
        ),
        (
            '[influx]\nurl = "http://a"\nca_file = "engine.toml"\n',
            "3: influx.ca_file: given, but url is http://, so nothing would be encrypted",
        ),
        ('[influx]\ncert_file = "engine.toml"\n', "2: influx.cert_file: needs key_file beside it"),
        ('[[classes]]\nname = "a"\ntopics = []\n', "3: classes.0.topics: must not be empty"),
        (
            '[[classes]]\nname = "a"\ntopics = ["{root}/{plant}/{asset}"]\n',
            "3: classes.0.topics: {plant} is no placeholder; there are {root}, {site}",
        ),
        (
            '[[classes]]\nname = "a"\ntopics = ["{root}/+/{asset}"]\n',
            "3: classes.0.topics: write placeholders such as {site}",
        ),
        ('[[classes]]\nfile = "engine.toml"\n', "1: classes.0.name: must be given"),
        (
            '[[classes]]\nname = "a"\n[[classes]]\nname = "a"\ntopics = ["x/{asset}"]\n',
            '4: classes.1.name: "a" is the name of classes.0 already',
        ),
        (
            '[[classes]]\nname = "a"\nassets = ["x/*"]\n[[classes]]\nname = "b"\nassets = ["*/y"]\n',
            '6: classes.1.assets: "*/y" can be the same asset as "x/*" of classes.0 on the topic {root}/v1/',
        ),
    ],
)
def test_what_does_not_go_together_is_told_at_a_key_that_was_given(file: Path, text: str, line: str) -> None:
    lines = mistakes(file, text)
    assert len(lines) == 1
    assert lines[0].startswith(f"enginewatch.toml:{line}")
    assert "hunter2" not in lines[0]


def test_two_classes_may_share_a_topic_where_no_asset_fits_both(file: Path) -> None:
    file.write_text('[[classes]]\nname = "a"\nassets = ["x/*"]\n[[classes]]\nname = "b"\nassets = ["y/*"]\n')
    assert [entry.name for entry in load(file, environment={}).settings.classes] == ["a", "b"]


@pytest.mark.parametrize(
    ("one", "other", "overlap"),
    [
        ("*", "a/b/c", True),
        ("plant/*", "*/*/engine-1", True),
        ("plant/*/engine-?", "*/press", False),
        ("plant/*/engine-?", "*/press-*", True),
        ("*/*/fan-*", "*/*/pump-*", False),  # x/y/fan-/pump- is no key
        ("fan-*", "*-pump", True),
        ("s/?/a?c", "s/*abc", True),
        ("s//a?c", "s//ac", False),
        ("s//[ab]x", "s//[bc]x", True),
        ("s//[ab]x", "s//[cd]x", False),
        ("s//[!a]", "s//a", False),
        ("s//a", "*", True),
        ("a/b", "*", False),
    ],
)
def test_globs_overlap_exactly_where_one_key_matches_both(one: str, other: str, *, overlap: bool) -> None:
    assert globs_overlap(one, other) is overlap
    assert globs_overlap(other, one) is overlap


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("ENGINEWATCH_MQTT_HOST", "unknown key; did you mean ENGINEWATCH_MQTT__HOST?"),
        ("ENGINEWATCH_MQTT__HOSST", "unknown key; did you mean ENGINEWATCH_MQTT__HOST?"),
        ("ENGINEWATCH_CLASSES__0__MODLE", "unknown key; did you mean ENGINEWATCH_CLASSES__0__MODEL?"),
        ("ENGINEWATCH_MQTT", "is a section; give its keys one by one, ENGINEWATCH_MQTT__…"),
        ("ENGINEWATCH_QQQQ", "unknown key"),
    ],
)
def test_a_mistyped_variable_is_told_with_the_nearest_one(name: str, line: str) -> None:
    assert mistakes(None, environment={name: "hunter2"}) == [f"environment {name}: {line}"]


def test_a_wrong_value_of_a_variable_or_the_command_line_names_its_source() -> None:
    lines = mistakes(None, overrides=["alert.k=six"], environment={"ENGINEWATCH_MQTT__PORT": "0"})
    assert set(lines) == {
        'command line: alert.k: must be a whole number from 1 to 64, not "six"',
        'environment ENGINEWATCH_MQTT__PORT: mqtt.port: must be a whole number from 1 to 65535, not "0"',
    }


def test_a_secret_on_the_command_line_is_refused_and_not_repeated() -> None:
    refused = "command line: mqtt.password: others could see it in the list of processes"
    assert mistakes(None, overrides=["mqtt.password=hunter2", "mqtt.port 1", "mqtt.hots=a"]) == [
        f"{refused}; use ENGINEWATCH_MQTT__PASSWORD",
        "command line: --set needs KEY=VALUE, such as --set mqtt.port=8883",
        "command line: mqtt.hots: unknown key; did you mean mqtt.host?",
    ]


def test_a_class_may_be_given_by_several_sources_together(file: Path) -> None:
    """A container gives the model to a class that stands in the file, or a whole class by variables alone."""
    file.write_text('[[classes]]\nname = "a"\nfile = "engine.toml"\n')
    (file.parent / "model").mkdir()
    environment = {
        "ENGINEWATCH_CLASSES__0__MODEL": str(file.parent / "model"),
        "ENGINEWATCH_CLASSES__1__NAME": "b",
        "ENGINEWATCH_CLASSES__1__TOPICS": '["b/{asset}", "c/{asset}"]',
    }
    loaded = load(file, overrides=["classes.1.assets=b/*"], environment=environment)
    first, second = loaded.settings.classes
    assert (first.name, first.model) == ("a", file.parent / "model")
    assert (second.name, second.topics, second.assets) == ("b", ("b/{asset}", "c/{asset}"), ("b/*",))
    assert loaded.assets["a"].sensors[0].name == "speed"


def test_a_class_number_without_those_before_it_is_refused() -> None:
    assert mistakes(None, overrides=["classes.1.name=b"]) == [
        "command line: classes.1.name: the classes are numbered from 0 on, without a gap"
    ]


def test_an_empty_text_takes_a_value_away_again(file: Path) -> None:
    file.write_text('[influx]\nca_file = "engine.toml"\n')
    loaded = load(file, environment={"ENGINEWATCH_INFLUX__CA_FILE": ""})
    assert loaded.settings.influx.ca_file is None


def test_the_variable_of_the_test_suite_is_no_setting() -> None:
    assert load(None, environment={"ENGINEWATCH_REQUIRE_SERVERS": "1"}).settings.mqtt.port == 1883


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"[mqtt]\nhost = \n", "enginewatch.toml:2: is no valid TOML: "),
        (b"[mqtt]\nport = 1\nport = 2\n", "enginewatch.toml:3: is no valid TOML: "),
        (b'[mqtt]\nhost = """\nnever closed\n', "enginewatch.toml:4: is no valid TOML: "),
        (b"[mqtt]\n# \xff\n", "enginewatch.toml:2: is not UTF-8 text"),
        (b"\n" + b"a." * 100_000 + b"b = 1\n", "enginewatch.toml:2: is no valid TOML: a key of too many parts"),
        (b"[" + b"'a'. " * 60 + b"b]\n", "enginewatch.toml:1: is no valid TOML: a key of too many parts"),
        (b"a = " + b"[" * 100_000, "enginewatch.toml: is no valid TOML: nested too deeply"),
        (b"#" * (1 << 20) + b"\n", "enginewatch.toml: is larger than 1 MiB"),
    ],
)
def test_a_file_that_is_no_toml_is_told_with_the_line(file: Path, content: bytes, line: str) -> None:
    file.write_bytes(content)
    with pytest.raises(SettingsError) as caught:
        load(file, environment={})
    assert len(caught.value.lines) == 1
    assert caught.value.lines[0].startswith(f"{file.parent}/{line}")


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    path = tmp_path / "none.toml"
    with pytest.raises(SettingsError, match=r"none\.toml: cannot be read: No such file or directory"):
        load(path, environment={})


def test_the_line_of_every_key_is_known_whatever_stands_around_it() -> None:
    """Comments, dotted keys, inline tables, arrays and texts over several lines, nested lists of tables."""
    text = (
        '# [no.table]\na.b = 1\n[x]\nlist = [\n  1, # "\n  2,\n]\ntext = """\n[y]\nz = 1\n"""\n'
        "inline = {p = 1, q = 2}\n[[c]]\nn = 1\n[[c.d]]\ne = '='\n[[c]]\n[c.f]\ng = 2 # ]\n"
    )
    assert line_numbers(text) == {
        "a.b": 2, "x": 3, "x.list": 4, "x.text": 8, "x.inline.p": 12, "x.inline.q": 12, "c.0": 13, "c.0.n": 14,
        "c.0.d.0": 15, "c.0.d.0.e": 16, "c.1": 17, "c.1.f": 18, "c.1.f.g": 19,
    }  # fmt: skip


def test_secret_takes_the_setting_or_the_file_without_the_end_of_its_line(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(" two words \n")
    assert secret(None, file) == " two words "
    assert secret(SecretStr("given"), None) == "given"
    assert secret(None, None) is None


@pytest.mark.parametrize("name", ["lines", "mistakes", "overlap", "rules", "secret"])
def test_the_examples_in_the_docstrings_hold(name: str) -> None:
    result = doctest.testmod(import_module(f"config.{name}"))
    assert (result.failed, result.attempted > 0) == (0, True)
