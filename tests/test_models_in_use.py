"""Which model is in use: what was promoted stays until the settings change, and rollback goes one back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from monitor import models_in_use
from monitor.models_in_use import KEPT, ClassModels, Use, at_start

if TYPE_CHECKING:
    from pathlib import Path

NONE = Use("", "", 0, 100, "settings")


def use(name: str, since: int = 200, by: str = "promote") -> Use:
    """A model whose hash is its name."""
    return Use(name, name, 60, since, by, "ann")


def test_at_the_first_start_the_settings_count() -> None:
    assert at_start(None, NONE) == ClassModels("", (NONE,))
    assert at_start(None, use("a", by="settings")).now.model == "a"


def test_what_was_promoted_stays_while_the_settings_stay() -> None:
    promoted = at_start(None, NONE).with_use(use("a"))
    assert at_start(promoted, NONE) == promoted


def test_settings_that_were_changed_since_win() -> None:
    """Also when they come to name none; and where they name what is in use already, nothing changes hands."""
    promoted = at_start(None, NONE).with_use(use("a"))
    theirs = use("b", 300, "settings")
    changed = at_start(promoted, theirs)
    assert [each.model for each in changed.uses] == ["", "a", "b"]
    assert at_start(changed, theirs) == changed
    assert at_start(changed, NONE).now.hash == ""
    same = at_start(promoted, use("a", 300, "settings"))
    assert (same.settings, same.uses) == ("a", promoted.uses)


def test_rollback_goes_one_back_each_time_until_there_is_none() -> None:
    """What was left is still told; the one before is in use since now."""
    models = at_start(None, NONE).with_use(use("a")).with_use(use("b", 300))
    once = models.rolled_back(400, "bob")
    assert once is not None
    assert once.now == Use("a", "a", 60, 400, "rollback", "bob")
    assert [each.model for each in once.left] == ["b"]
    twice = once.rolled_back(500, "bob")
    assert twice is not None
    assert twice.now.hash == ""
    assert [each.model for each in twice.left] == ["b", "a"]
    assert twice.rolled_back(600, "bob") is None


def test_only_so_many_are_kept() -> None:
    models = at_start(None, NONE)
    for number in range(30):
        models = models.with_use(use(str(number)))
    assert [each.model for each in models.uses] == [str(number) for number in range(30 - KEPT, 30)]


def test_the_file_comes_back_as_it_was_written(tmp_path: Path) -> None:
    assert models_in_use.load(tmp_path) == {}
    known = {"machine": at_start(None, NONE).with_use(use("a")), "fan": at_start(None, use("f"))}
    models_in_use.save(tmp_path, known)
    assert models_in_use.load(tmp_path) == known
    assert [path.name for path in tmp_path.iterdir()] == [models_in_use.NAME]


def test_a_damaged_file_is_told_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / models_in_use.NAME).write_text('{"machine": {"uses": 3}}')
    with pytest.raises(
        ValueError, match=r"models\.json is damaged .*: delete it, then the models of the settings"
    ):
        models_in_use.load(tmp_path)
