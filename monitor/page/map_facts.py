"""What the map of an asset is told: where its windows lie against those that its model was trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from models.landscape import placed
from monitor import wording
from monitor.page.numbers import one, short

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.artifact import Header
    from models.landscape import Landscape, Plane
    from monitor.history_store import AssetHistory
    from monitor.records import Float32

POINTS = 240
NAMED = 3  # sensors that are told of an axis
NO_MODEL = "This asset has no model yet, so there is nothing to compare with."
NO_LANDSCAPE = (
    "This model was made before maps were kept beside it: train it again (enginewatch train) to get one."
)
OTHER_SENSORS = "The store's rows have not the sensors of this model yet."
NO_READINGS = "There is nothing of the sensors here that could be compared (influx.write_readings keeps it)."


def unplaced(why: str) -> dict[str, Any]:
    """Why there is no map, in words."""
    return {"why": why, "planes": [], "time": [], "windows": None}


def landscape_map(found: AssetHistory, header: Header, landscape: Landscape | None) -> dict[str, Any]:
    """The training windows and the asset's, on both planes; without expectations on the first alone."""
    if landscape is None:
        return unplaced(NO_LANDSCAPE)
    names = [sensor.name for sensor in header.sensors]
    if not set(names) <= set(found.sensors):
        return unplaced(OTHER_SENSORS)
    columns = [found.sensors.index(name) for name in names]
    actual, expected = found.readings.mean[:, columns], found.readings.expected[:, columns]  # (P, C)
    rows = found.trend.rows > 0  # (P,)
    told = (
        ("operation", "where it runs", landscape.operation, actual),
        ("deviation", "how it deviates from what is expected", landscape.deviation, actual - expected),
    )
    there = [each for each in told if not np.isnan(each[3]).all()]
    if not there and rows.any():
        return unplaced(NO_READINGS)
    return {
        "why": None,
        "windows": landscape.windows,
        "time": found.chart.time[rows].tolist(),
        "width": found.chart.width,
        "planes": [_plane(name, words, plane, each[rows], names) for name, words, plane, each in there or told],
    }


def _plane(name: str, words: str, plane: Plane, told: Float32, sensors: Sequence[str]) -> dict[str, Any]:
    at = placed(plane, told)  # (P, 2)
    training = np.array(plane.points).reshape(-1, 2)
    return {
        "name": name,
        "words": words,
        "shares": [one(share) for share in plane.shares],
        "axes": [_named(axis, sensors) for axis in plane.axes],
        "training": {"x": short(training[:, 0]), "y": short(training[:, 1])},
        "recent": {"x": short(at[:, 0]), "y": short(at[:, 1])},
    }


def _named(axis: Sequence[float], sensors: Sequence[str]) -> list[dict[str, Any]]:
    """The sensors that an axis is mostly of."""
    first = sorted(zip(sensors, axis, strict=True), key=lambda pair: -abs(pair[1]))[:NAMED]
    return [{"name": name, "words": wording.sensor(name), "loading": one(value)} for name, value in first if value]
