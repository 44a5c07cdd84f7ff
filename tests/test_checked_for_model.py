"""monitor.commands.checked_for_model: where sensors were in training, worked by hand."""

from __future__ import annotations

from types import SimpleNamespace as Some
from typing import Any

import numpy as np

from models.scaling import Scaler
from monitor.commands.checked_for_model import check, usual_scaling
from simulator.recording import Recording


def header(levels: Any = None) -> Any:
    """A header of one sensor, which in scaled units is at 0 ± 1 where assets have levels of their own."""
    scaler = Scaler(np.zeros(1, np.float32), np.ones(1, np.float32))
    sensors = (Some(name="temperature", unit="°C"),)
    return Some(levels=levels, scaling=lambda: scaler, sensors=sensors, period_ms=1000)


def at(value: float) -> list[Recording]:
    rows = (value + np.sin(np.arange(50)))[:, None].astype(np.float32)
    return [Recording("a", ("temperature",), 1000 * np.arange(50, dtype=np.int64), rows)]


def levels(*each: tuple[float, float]) -> Any:
    return Some(of={str(n): Some(center=(center,), scale=(scale,)) for n, (center, scale) in enumerate(each)})


def test_another_unit_is_told_by_how_far_it_is_from_training() -> None:
    assert list(check(at(3.0), header())) == []
    (said,) = check(at(273.15), header())
    assert "temperature is about" in said
    assert "was 0 ± 1 °C in the model's training: is it in another unit?" in said


def test_levels_of_assets_say_what_is_usual() -> None:
    """Levels 60, 80 and 100 lie 16.3 apart (their standard deviation); one asset alone moves by 2."""
    spread = header(levels((60, 2), (80, 2), (100, 2)))
    found = usual_scaling(spread)
    assert found.center.tolist() == [80]
    np.testing.assert_allclose(found.scale, [np.sqrt(800 / 3)], rtol=1e-6)
    assert list(check(at(130.0), spread)) == []
    assert len(list(check(at(80 + 21 * 16.4), spread))) == 1
    assert usual_scaling(header(levels((80, 2), (80, 2)))).scale.tolist() == [2], (
        "as much as one asset moves, at least"
    )
