"""`enginewatch models` on a state folder, without a daemon."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from monitor import models_in_use
from monitor.cli import main
from monitor.models_in_use import Use, at_start
from monitor.store import Store

if TYPE_CHECKING:
    from pathlib import Path

A, B, C = ("a" * 64, "ab" + "0" * 62, "c" * 64)
DAY = 1_700_006_400_000  # 2023-11-15 00:00:00 UTC


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A class that learns, and one whose second model is in use, after a third one was rolled back."""
    store = Store(tmp_path / "store.db")
    learning = {"fan": {"normal_ms": 12_000_000, "wanted_ms": 86_400_000, "assets": 2}}
    store.note({"books": json.dumps({"learning": learning})})
    store.close()
    pump = at_start(None, Use("first", A, 60, DAY, "settings")).with_use(
        Use("second", B, 60, DAY, "promote", "ann")
    )
    rolled = pump.with_use(Use("third", C, 60, DAY + 1000, "promote", "ann")).rolled_back(DAY + 2000, "bob")
    assert rolled is not None
    models_in_use.save(tmp_path, {"fan": at_start(None, Use("", "", 0, DAY, "settings")), "pump": rolled})
    card = tmp_path / "models" / B
    card.mkdir(parents=True)
    (card / "card.md").write_text("# second\n")
    return tmp_path


def test_list_shows_what_is_in_use_what_was_and_how_far_learning_is(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", "list", "--state", str(state)]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        "class state model hash since by learning",
        "fan no model 2023-11-15 00:00:00 settings learning: 3 h 20 min of normal running of at least 24 h",
        f"pump in use second {B[:12]} 2023-11-15 00:00:02 rollback, bob",
        f"pump rolled back third {C[:12]} 2023-11-15 00:00:01 promote, ann",
        f"pump earlier first {A[:12]} 2023-11-15 00:00:00 settings",
    ]


def test_json_has_every_field(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "list", "--json", "--state", str(state), "--asset-class", "fan"]) == 0
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [
        {
            "class": "fan", "state": "no model", "model": "", "hash": "", "window": 0, "since": DAY,
            "by": "settings", "who": "",
            "learning": {"normal_ms": 12_000_000, "wanted_ms": 86_400_000, "assets": 2},
        }
    ]  # fmt: skip


def test_show_prints_the_card_of_the_one_in_use_or_by_its_hash(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for more in (["--asset-class", "pump"], ["ab"]):
        assert main(["models", "show", "--state", str(state), *more]) == 0
        assert capsys.readouterr().out == "# second\n"
    assert main(["models", "show", "--state", str(state), "--asset-class", "pump", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["card"] == "# second\n"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["show"], "which class? --asset-class takes one of fan, pump"),
        (["show", "--asset-class", "fan"], "there is no model in use: the class learns"),
        (["show", "a"], "more than one model's hash begins with a; `enginewatch models list` shows them"),
        (["show", "ff"], "no model's hash begins with ff"),
        (["show", "aaa"], "has no card of the model first (No such file or directory): see its own folder"),
        (["list", "--asset-class", "mill"], "there is no class mill; the daemon had fan, pump"),
        (["promote", "x"], "no daemon answers in "),
        (["rollback"], "no daemon answers in "),
    ],
)
def test_mistakes_are_told_in_one_line(
    state: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    assert main(["models", *arguments, "--state", str(state)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("enginewatch models: ")
    assert sentence in said
    assert said.count("\n") == 1
