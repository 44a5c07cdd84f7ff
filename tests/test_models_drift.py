"""`enginewatch models drift` and `assets list`: what they say of a fleet whose line has left a checkpoint."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from monitor import checkpoint, models_in_use
from monitor.cli import main
from monitor.models_in_use import Use, at_start
from monitor.store import Store
from tests.line_samples import HASH, Line, pump, quick, shipped, telemetry
from tests.test_drift import config

if TYPE_CHECKING:
    from pathlib import Path

SINCE = 1_700_006_400_000
AGAIN = "enginewatch train --from-store --asset-class pumps --since 7d --window 20 --state {} --out balance-again"


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Two pumps; training saw loads up to 60, and the second one runs at 90. Both score higher than at first."""
    by = config(highest=(60.0, 500.0), row_ms=1000, horizon_rows=120.0, min_rows=40.0, score=5.0)
    ships = quick(shipped())
    threshold = replace(ships.threshold, horizon_ticks=60.0, floor=0.1, cap=5.0)
    line = Line(quick(shipped(), drift=by, threshold=threshold)).listen()
    for second in range(200):
        breach = 0.1 + 0.02 * (second % 2) + (0.05 if second > 120 else 0)
        each = {"a": pump(50 + second % 3, breach=breach), "b": pump(90 + second % 3, breach=breach)}
        messages = [telemetry(name, 1000 * second, values) for name, values in each.items()]
        line.send(1000 * second, *messages)
    Store(tmp_path / "store.db").close()
    checkpoint.save(tmp_path, 1, line.state)
    models_in_use.save(tmp_path, {"pumps": at_start(None, Use("balance", HASH * 10, 20, SINCE, "settings"))})
    return tmp_path


def test_what_is_stale_is_told_with_the_reason_and_what_to_do(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", "drift", "--state", str(state)]) == 0
    first, stale, *others = capsys.readouterr().out.splitlines()
    assert first == "class pumps, model balance: 1 within what the model was trained on, 1 stale"
    assert stale.startswith("  plant//b is stale: load lies above all training data (60 %) in 100 % of the last ")
    assert others[-1] == "  " + AGAIN.format(state)


def test_json_has_every_figure(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "drift", "--state", str(state), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["stands"] == {"fits": 1, "stale": 1, "not yet": 0, "unknown": 0}
    assert [each["asset"] for each in found["stale"]] == ["plant//b"]
    assert set(found["creep"]) == {"plant//a", "plant//b"}
    assert found["incidents"] == []
    assert found["suggestion"] == AGAIN.format(state)


def test_a_threshold_that_has_crept_is_told_in_words(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever the figure, the words and the JSON have the same."""
    assert main(["models", "drift", "--state", str(state), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert main(["models", "drift", "--state", str(state)]) == 0
    said = capsys.readouterr().out
    assert found["crept"]
    for asset in found["crept"]:
        assert found["creep"][asset] >= 1.1
        assert f"{asset}: its recent scores would put its threshold at {found['creep'][asset]:.2f} times" in said


def test_the_list_of_assets_says_whether_the_model_fits(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["assets", "--state", str(state), "list"]) == 0
    header, first, second = capsys.readouterr().out.splitlines()
    assert header.rstrip().endswith("model fits")
    assert first.rstrip().endswith("  yes")
    assert second.rstrip().endswith("  stale")


def test_without_a_model_there_is_nothing_to_say(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    models_in_use.save(state, {"pumps": at_start(None, Use("", "", 0, SINCE, "settings"))})
    assert main(["models", "drift", "--state", str(state)]) == 2
    assert "no class has a model: `enginewatch models list` says how far learning is" in capsys.readouterr().err
