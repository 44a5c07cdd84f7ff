"""Score rows and transitions out of what InfluxDB has of them: `monitor.lineprotocol` the other way. Pure.

A number comes back as the float32 that it was. What InfluxDB has not, as what was expected of a sensor, is NaN.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import msgspec
import numpy as np

from monitor.lineprotocol import coded
from monitor.records import AlertEvent, Scores, Status, StoredScores, Transition

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.records import Float32
    from monitor.spec import ClassSpec

Cells = list[Any]  # a row as it was answered, null = there is none
ROW = '"status","regime","score","threshold",/^contribution_/,"site","area","asset","model"'
STATUS = {status.name.lower(): status for status in Status}


class Columns:
    """Where in answered rows what stands."""

    def __init__(self, names: Sequence[str]) -> None:
        self._place = {name: place for place, name in enumerate(names)}

    def of(self, name: str, rows: Sequence[Cells]) -> list[Any]:
        """A column (N,), null where the rows have it not."""
        place = self._place.get(name)
        return [None] * len(rows) if place is None else [row[place] for row in rows]

    def floats(self, names: Sequence[str], rows: Sequence[Cells]) -> Float32:
        """Columns of numbers (N, C)."""
        found = np.full((len(rows), len(names)), np.nan, np.float32)
        there = [(column, self._place[name]) for column, name in enumerate(names) if name in self._place]
        places = [place for _, place in there]
        values = np.array([[row[place] for place in places] for row in rows], np.float64)  # (N, …)
        found[:, [column for column, _ in there]] = values.reshape(len(rows), len(places))
        return found


def stream(site: str | None, area: str | None, asset: str | None) -> str:
    """The key of an asset by its tags; those that are empty are not there.

    >>> stream("plant", None, "pump %227%22")
    'plant//pump "7"'
    """
    return "/".join(unquote(each or "") for each in (site, area, asset))


def tagged(key: str) -> str:
    """What in InfluxQL tells of rows that they are of an asset, but for its area."""
    site, _, asset = key.split("/", 2)
    return f'("site" = {quoted(coded(site))} AND "asset" = {quoted(coded(asset))})'


def quoted(text: str) -> str:
    r"""A text as InfluxQL has it.

    >>> print(quoted("o'clock \\"))
    'o\'clock \\'
    """
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def stored(
    of: ClassSpec,
    model: str,
    keys: list[str],
    scores: tuple[Columns, Sequence[Cells]],
    readings: tuple[Columns, Sequence[Cells | None]],
) -> StoredScores:
    """The rows of a class, as its line made them: keys (B,), and what was answered of each.

    A row of a status that this release does not know is taken for one without a model: it has no score.
    """
    columns, rows = scores
    sensors = of.route.sensors
    time = np.array(columns.of("time", rows), np.int64)
    names = columns.of("regime", rows)
    regimes = tuple(dict.fromkeys([*of.regime.names, *(name or "all" for name in names)]))
    number = {name: place for place, name in enumerate(regimes)}
    pair = columns.floats(["score", "threshold"], rows)
    numbers: dict[str, int] = {}
    return StoredScores(
        position=0,
        asset_class=of.name,
        model=model,
        sensors=sensors,
        streams=keys,
        time=time,
        rows=Scores(
            stream=np.array([numbers.setdefault(key, len(numbers)) for key in keys], np.int32),
            tick=time // of.align.period_ms,
            status=np.array([STATUS.get(each, Status.NO_MODEL) for each in columns.of("status", rows)], np.uint8),
            score=pair[:, 0],
            threshold=pair[:, 1],
            contribution=columns.floats([f"contribution_{coded(each)}" for each in sensors], rows),
            expected=np.full((len(rows), len(sensors)), np.nan, np.float32),
            actual=_readings(sensors, *readings),
            regime=np.array([number[name or "all"] for name in names], np.uint8),
        ),
        regimes=regimes,
    )


def _readings(sensors: Sequence[str], columns: Columns, rows: Sequence[Cells | None]) -> Float32:
    """The sensors' values (B, C); NaN where there is no row of them."""
    found = np.full((len(rows), len(sensors)), np.nan, np.float32)
    there = [place for place, row in enumerate(rows) if row is not None]
    found[there] = columns.floats([coded(each) for each in sensors], [row for row in rows if row is not None])
    return found


def transitions(names: Sequence[str], rows: Sequence[Cells]) -> list[AlertEvent]:
    """The transitions of incidents; what is none is left out."""
    found = (_transition(dict(zip(names, row, strict=True))) for row in rows)
    return [each for each in found if each is not None]


def _transition(cells: dict[str, Any]) -> AlertEvent | None:
    try:
        return msgspec.json.decode(cells.get("event") or "", type=AlertEvent)
    except msgspec.DecodeError:  # written by a release that did not say all, or by somebody else
        pass
    try:
        transition = Transition(cells["transition"])
        return AlertEvent(
            event_id=f"{cells['incident_id']}-{transition}-{cells['time']}",
            incident_id=str(cells["incident_id"] or ""),
            stream=stream(cells["site"], cells.get("area"), cells["asset"]),
            kind=str(cells["kind"]),
            sensor=unquote(cells.get("sensor") or ""),
            transition=transition,
            severity=str(cells["severity"]),
            started=int(cells["started"]),
            time=int(cells["time"]),
            recorded=int(cells["time"]),
            score=cells.get("score"),
            threshold=cells.get("threshold"),
            summary=str(cells["summary"] or ""),
        )
    except (KeyError, TypeError, ValueError):
        return None
