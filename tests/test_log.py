"""The log: what is written, where, and what never is."""

from __future__ import annotations

import json
import logging
import warnings
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import structlog
from pydantic import SecretStr

from config.settings import LogSettings, MqttSettings
from monitor.log import configure, hide_secrets

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """Leave the logging of the whole process as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers[:] = []
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    """What stands on standard error, as JSON; nothing may stand on standard output."""
    written = capsys.readouterr()
    assert not written.out
    return [json.loads(line) for line in written.err.splitlines()]


def test_a_json_line_says_when_how_grave_and_what(capsys: pytest.CaptureFixture[str]) -> None:
    configure(LogSettings(format="json"))
    structlog.get_logger().warning("broker_lost", host="b", pause_s=float("nan"), unit="°C", path=Path("/x"))
    (line,) = lines(capsys)
    assert list(line)[:3] == ["timestamp", "level", "event"]
    assert datetime.fromisoformat(str(line.pop("timestamp"))).utcoffset() == timedelta(0)
    assert line == {
        "level": "warning", "event": "broker_lost", "host": "b", "pause_s": None, "unit": "°C", "path": "/x",
    }  # fmt: skip


def test_the_console_is_plain_where_it_is_no_terminal_and_nothing_can_forge_a_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure(LogSettings())
    structlog.get_logger().info("broker_found", host="b\x1b[31m", topic="a\nb")
    written = capsys.readouterr()
    assert not written.out
    assert "\x1b" not in written.err
    assert written.err.endswith("[info     ] broker_found host=b\\x1b[31m topic=a\\nb\n")


@pytest.mark.parametrize("format_", ["console", "json"])
def test_less_than_the_level_is_not_written(format_: str, capsys: pytest.CaptureFixture[str]) -> None:
    configure(LogSettings.model_validate({"format": format_, "level": "warning"}))
    structlog.get_logger().info("quiet")
    assert not capsys.readouterr().err
    structlog.get_logger().warning("loud")
    assert "loud" in capsys.readouterr().err


@pytest.mark.parametrize("format_", ["console", "json"])
def test_no_secret_is_ever_written(format_: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither by its type nor by its name, however deep, nor as a local variable in a traceback."""
    configure(LogSettings.model_validate({"format": format_}))
    log = structlog.get_logger()
    hidden = SecretStr("hunter2")
    log.info("a", **dict.fromkeys(("password", "influx_token", "Authorization", "hmac_key"), "hunter2"))
    log.info("b", value=hidden, values=[hidden], deep={"mqtt": {"password": "hunter2", "host": "kept"}})
    log.info("c", settings=MqttSettings(username="me", password=hidden))
    plain = hidden.get_secret_value()
    try:
        float("a failure")
    except ValueError:
        log.exception("d")
    written = capsys.readouterr().err
    assert "kept" in written
    assert "Traceback" in written
    assert "ValueError: could not convert" in written
    assert plain not in written


def test_what_only_sounds_like_a_secret_is_kept() -> None:
    event = {
        "password_file": "/run/p",
        "secrets_dir": "/run",
        "tokens": 3,
        "event": "token refused",
        "password": None,
    }
    assert hide_secrets(None, "info", dict(event)) == event


def test_libraries_are_heard_from_warnings_on(capsys: pytest.CaptureFixture[str]) -> None:
    configure(LogSettings(format="json", level="debug"))
    logging.getLogger("library").info("chatter")
    logging.getLogger("library").warning("trouble with %s", "x")
    first, *others = lines(capsys)
    assert (first["event"], first["level"], first["logger"]) == ("trouble with x", "warning", "library")
    assert not others


def test_a_warning_of_python_joins_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    configure(LogSettings(format="json"))
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)
        warnings.warn("old habit", stacklevel=1)
    (line,) = lines(capsys)
    assert line["logger"] == "py.warnings"
    assert "old habit" in str(line["event"])


def test_configuring_twice_does_not_double_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    configure(LogSettings(format="json"))
    configure(LogSettings(format="json"))
    structlog.get_logger().info("once")
    logging.getLogger("library").warning("once")
    assert len(lines(capsys)) == 2
