"""`enginewatch maintenance`: times in words, and what is not understood."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from monitor.cli import UserError, main
from monitor.commands.maintenance import moment
from monitor.store import Store

if TYPE_CHECKING:
    from pathlib import Path

BASE = 1_700_000_000_000


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("+30s", BASE + 30_000),
        ("+2h", BASE + 7_200_000),
        ("2026-05-01T06:00:00+00:00", 1_777_615_200_000),
        ("2026-05-01T06:00Z", 1_777_615_200_000),
        ("2026-05-01T08:00+02:00", 1_777_615_200_000),
    ],
)
def test_a_time_in_words(text: str, wanted: int) -> None:
    assert moment(text, BASE) == wanted


def test_a_time_without_a_zone_is_local(monkeypatch: pytest.MonkeyPatch) -> None:
    """Six in the morning in a zone that is two hours ahead is four o'clock UTC."""
    with monkeypatch.context() as patched:
        patched.setenv("TZ", "XYZ-2")
        time.tzset()
        found = moment("2026-05-01T06:00", BASE)
    time.tzset()
    assert found == 1_777_615_200_000 - 7_200_000


@pytest.mark.parametrize("text", ["tomorrow", "+2", "+h", "2026-13-01", ""])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(UserError, match=r"use now, |use a number and s, m, h or d"):
        moment(text, BASE)


@pytest.mark.parametrize("words", [["plant//p1"], ["plant//p1", "now"], ["list", "x"], ["end"]])
def test_what_is_not_understood(tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    """Nothing is sent, and the forms are told."""
    Store(tmp_path / "store.db").close()
    assert main(["maintenance", *words, "--state", str(tmp_path)]) == 2
    assert "use `enginewatch maintenance list`" in capsys.readouterr().err
