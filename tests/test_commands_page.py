"""docs/commands.md beside the parser: every command is there, with what it prints for programs."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from monitor.cli import COMMANDS, main, parser

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = (Path(__file__).parent.parent / "docs" / "commands.md").read_text(encoding="utf-8")
ROWS = re.findall(r"(?m)^\|( `[^|]+)\|[^|]+\|([^|]*)\|[^|]*\|$", PAGE)  # names, and what --json gives


def leaves(name: str, of: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Every command that can be called, by its words; an alias is none of its own."""
    inner = [action for action in of._actions if isinstance(action, argparse._SubParsersAction)]
    if not inner:
        yield name, of
    for action in inner:
        seen = set()
        for word, below in action.choices.items():
            if id(below) not in seen:
                seen.add(id(below))
                yield from leaves(f"{name} {word}".strip(), below)


def documented() -> dict[str, str]:
    """What the table says of each command's --json. A row may have several: `models list`, `show`."""
    found: dict[str, str] = {}
    for names, says in ROWS:
        first, *others = re.findall(r"`([^`]+)`", names)
        group = first.partition(" ")[0]
        found |= {name: says.strip() for name in [first, *(f"{group} {word}" for word in others)]}
    return found


def test_the_page_has_every_command_and_says_whether_it_takes_json() -> None:
    commands = dict(leaves("", parser(*COMMANDS)))
    assert len(commands) > len(COMMANDS)
    takes = {name: "--json" in each._option_string_actions for name, each in commands.items()}
    assert {name: bool(says) for name, says in documented().items()} == takes


def test_what_only_runs_or_draws_is_all_that_has_no_json() -> None:
    without = {name for name, says in documented().items() if not says}
    fleet = {"fleet demo", "fleet run", "fleet page"}
    assert without == {"demo", "monitor", "replay", "simulate", "completion"} | fleet


@pytest.mark.parametrize("number", [0, 1, 2, 130])
def test_the_page_explains_every_exit_code(number: int) -> None:
    assert re.search(rf"(?m)^\| {number} \| ", PAGE)


@pytest.mark.parametrize("words", [[], ["scores", "--nonsense"], ["check", "--config", "nowhere.toml"]])
def test_a_wrong_call_is_code_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code: object = main(words)
    except SystemExit as left:
        code = left.code
    assert code == 2
    assert "Traceback" not in capsys.readouterr().err
