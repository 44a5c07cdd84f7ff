"""What assets did over time: score rows by asset, and what they come to a minute and an hour. Pure.

Everything is a structured array, one record after the other in the order of time: `rows_type` of rows, `SCORES`
and `sensors_type` of spans. What spans come to folds again into what longer ones do, up to the few points of a
chart: the cost of a look is that of its points, not of what was measured meanwhile.
"""

from __future__ import annotations

import zlib
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from monitor.records import Float32, Int32, Int64, StoredScores, UInt8

Records = npt.NDArray[np.void]  # (M,) of one of the types below, in the order of time

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000  # ms
SPAN = 10 * MINUTE  # of rows that lie together

# What the scores of a span come to. Of a single row the span is the row.
SCORES = np.dtype([
    ("time", "<i8"),  # where the span begins
    ("rows", "<i4"),
    ("scored", "<i4"),  # rows with a score
    ("judged", "<i4"),  # rows with a threshold
    ("low", "<f4"), ("mean", "<f4"), ("high", "<f4"),  # of the scores; NaN = no row was scored
    ("threshold", "<f4"),  # the mean; NaN = no row was judged
    ("margin", "<f4"),  # the most that a score was above its threshold; below 0: none was
    ("status", "u1"),  # of the last row
])  # fmt: skip


@cache
def rows_type(sensors: int) -> np.dtype[np.void]:
    """A score row of so many sensors."""
    width = (sensors,)
    return np.dtype([
        ("time", "<i8"), ("status", "u1"), ("score", "<f4"), ("threshold", "<f4"),
        ("actual", "<f4", width), ("expected", "<f4", width),
    ])  # fmt: skip


@cache
def sensors_type(sensors: int) -> np.dtype[np.void]:
    """What the values of so many sensors come to in a span; NaN where there was none."""
    width = (sensors,)
    return np.dtype([
        ("time", "<i8"),
        ("measured", "<i4", width),  # values that were there
        ("low", "<f4", width), ("mean", "<f4", width), ("high", "<f4", width),
        ("predicted", "<i4", width),  # values that were expected
        ("expected", "<f4", width),  # their mean
    ])  # fmt: skip


# How spans come together.
SUMS = {"rows", "scored", "judged", "measured", "predicted"}
MEANS = (
    ("mean", "scored"),
    ("mean", "measured"),
    ("threshold", "judged"),
    ("expected", "predicted"),
)  # of how many
MOST = {"high", "margin"}


# -- from batches to rows by asset ------------------------------------------------------------------------------


class Piece(NamedTuple):
    """Rows of one asset that lie in one span."""

    line: tuple[str, str, tuple[str, ...]]  # what they are rows of: class, model and sensors
    stream: str
    span: int  # ms, where it begins
    rows: Records  # of `rows_type`


def pieces(batches: Sequence[StoredScores]) -> Iterator[Piece]:
    """The rows of batches by what they are rows of, by asset and by span."""
    groups: dict[tuple[str, str, tuple[str, ...]], list[StoredScores]] = {}
    for each in batches:
        groups.setdefault((each.asset_class, each.model, each.sensors), []).append(each)
    for line, of in groups.items():
        numbers: dict[str, int] = {}
        streams = [numbers.setdefault(name, len(numbers)) for each in of for name in each.streams]
        number = np.array(streams, np.int64)  # (N,)
        rows = np.empty(len(number), rows_type(len(line[2])))
        rows["time"] = np.concatenate([each.time for each in of])
        for name in ("status", "score", "threshold", "actual", "expected"):
            rows[name] = np.concatenate([getattr(each.rows, name) for each in of])
        order = np.lexsort((rows["time"], number))
        rows, number = rows[order], number[order]
        span = rows["time"] // SPAN * SPAN
        at = _beginnings(number, span)
        names = list(numbers)
        for first, end in zip(at, [*at[1:], len(rows)], strict=True):
            yield Piece(line, names[number[first]], int(span[first]), rows[first:end])


def together(parts: Sequence[Records]) -> Records:
    """Rows in the order of time; those of one time are one row that was stored again, the first counts."""
    rows = np.concatenate(parts)
    _, first = np.unique(rows["time"], return_index=True)
    return rows[first]


def renewed(records: Records, by: Records) -> Records:
    """Records with others in the place of those of the same times."""
    both = np.concatenate([by, records[~np.isin(records["time"], by["time"])]])
    return both[np.argsort(both["time"])]


# -- what rows come to ------------------------------------------------------------------------------------------


def scores_of(rows: Records) -> Records:
    """Every row as a span of its own, its score."""
    found = np.empty(len(rows), SCORES)
    score, threshold = rows["score"], rows["threshold"]
    found["time"], found["status"], found["rows"] = rows["time"], rows["status"], 1
    found["scored"], found["judged"] = ~np.isnan(score), ~np.isnan(threshold)
    for name in ("low", "mean", "high"):
        found[name] = score
    found["threshold"], found["margin"] = threshold, score - threshold
    return found


def sensors_of(rows: Records) -> Records:
    """Every row as a span of its own, its sensors."""
    actual, expected = rows["actual"], rows["expected"]  # (N, C)
    found = np.empty(len(rows), sensors_type(actual.shape[1]))
    found["time"], found["measured"], found["predicted"] = rows["time"], ~np.isnan(actual), ~np.isnan(expected)
    for name in ("low", "mean", "high"):
        found[name] = actual
    found["expected"] = expected
    return found


def fold(records: Records, groups: Int64) -> Records:
    """What spans come to together, of `SCORES` or `sensors_type`.

    `groups` (M,) are ascending numbers of what they belong to, such as the beginnings of longer spans; they stand
    in `time` of the result.
    """
    if not len(records):
        return records
    at, fields = _beginnings(groups), set(records.dtype.names or ())
    found = np.empty(len(at), records.dtype)
    found["time"] = groups[at]
    for name in SUMS & fields:
        found[name] = np.add.reduceat(records[name], at)
    for name, count in MEANS:
        if {name, count} <= fields:
            found[name] = _mean(records[name], records[count], found[count], at)
    found["low"] = np.fmin.reduceat(records["low"], at)
    for name in MOST & fields:
        found[name] = np.fmax.reduceat(records[name], at)
    if "status" in fields:
        found["status"] = records["status"][np.append(at[1:], len(records)) - 1]
    return found


def _mean(mean: Float32, count: Int32, together: Int32, at: Int64) -> Any:
    """The mean of means, each of so many values; float64 (G, …), NaN where there is none."""
    sums = np.add.reduceat(np.where(count > 0, mean, 0) * count.astype(np.float64), at)
    return np.divide(sums, together, out=np.full(sums.shape, np.nan), where=together > 0)


def _beginnings(*keys: Int64) -> Any:
    """Where one of the keys (M,) is another than before: (G,)."""
    changes = np.zeros(len(keys[0]), np.bool_)
    changes[:1] = True
    for key in keys:
        changes[1:] |= key[1:] != key[:-1]
    return np.flatnonzero(changes)


# -- as bytes ---------------------------------------------------------------------------------------------------


def crushed(records: Records) -> bytes:
    """Records as few bytes: like bytes of all of them beside each other, which zlib makes least of."""
    planes = np.ascontiguousarray(records).view(np.uint8).reshape(len(records), records.dtype.itemsize)
    return zlib.compress(planes.T.tobytes(), 1)


def uncrushed(packed: bytes, kind: np.dtype[np.void]) -> Records:
    """The records again."""
    planes = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(kind.itemsize, -1)
    return np.ascontiguousarray(planes.T).view(kind)[:, 0]


# -- what is looked at ------------------------------------------------------------------------------------------


class Grid(NamedTuple):
    """The points of a chart: buckets of time, one beside the other."""

    first: int  # ms, where the first one begins
    width: int  # ms
    points: int  # P

    @property
    def time(self) -> Int64:
        """(P,) where each begins."""
        return self.first + self.width * np.arange(self.points, dtype=np.int64)

    @property
    def end(self) -> int:
        """Where the last one ends."""
        return self.first + self.width * self.points


def grid(start: int, end: int, points: int, least: int = 1) -> Grid:
    """At most so many points, two or more, over a range of time in ms; none is narrower than `least`.

    They are whole hours where they are an hour or more, whole minutes where they are a minute or more.
    """
    width = max(-(-(end - start) // (points - 1)), least)
    unit = HOUR if width >= HOUR else MINUTE if width >= MINUTE else 1
    width = -(-width // unit) * unit
    first = start // width * width
    return Grid(first, width, max(1, -(-(end - first) // width)))


class Trend(NamedTuple):
    """Scores over the points of a chart: of one asset (P,), of several (A, P)."""

    rows: Int32
    scored: Int32  # rows with a score
    low: Float32  # of the scores; NaN = none
    mean: Float32
    high: Float32
    threshold: Float32  # the mean; NaN = none
    margin: Float32  # the most that a score was above its threshold
    status: UInt8  # a `Status`, of the last row; means nothing where there is no row


class Readings(NamedTuple):
    """Sensors over the points of a chart."""

    measured: Int32  # (P, C) values that were there
    low: Float32  # of them; NaN = none
    mean: Float32
    high: Float32
    expected: Float32  # their mean, of what was expected; NaN = nothing was


def placed(records: Records, sensors: Sequence[str], among: Sequence[str]) -> Records:
    """Records of `sensors_type` of some sensors as such of others, which have these among them."""
    if tuple(sensors) == tuple(among):
        return records
    found = _nothing(len(records), sensors_type(len(among)))
    found["time"] = records["time"]
    places = [among.index(each) for each in sensors]
    for name in set(records.dtype.names or ()) - {"time"}:
        found[name][:, places] = records[name]
    return found


def trends(records: Records, number: Int64, assets: int, chart: Grid) -> Trend:
    """Scores of assets (A, P): records (M,) of `SCORES`, and the number of the asset that each is of."""
    place = (records["time"] - chart.first) // chart.width  # (M,)
    inside = (place >= 0) & (place < chart.points)
    found = _spread(records[inside], (number * chart.points + place)[inside], assets * chart.points)
    return Trend(*(found[name].reshape(assets, chart.points) for name in Trend._fields))


def trend(records: Records, chart: Grid) -> Trend:
    """Scores of one asset (P,)."""
    return Trend(*(each[0] for each in trends(records, np.zeros(len(records), np.int64), 1, chart)))


def readings(records: Records, chart: Grid) -> Readings:
    """Sensors of an asset: records (M,) of `sensors_type`."""
    place = (records["time"] - chart.first) // chart.width  # (M,)
    inside = (place >= 0) & (place < chart.points)
    found = _spread(records[inside], place[inside], chart.points)
    return Readings(*(found[name] for name in Readings._fields))


def _spread(records: Records, place: Int64, places: int) -> Records:
    """What records come to at each place (M,) of so many; nothing where there is none."""
    order = np.argsort(place, kind="stable")
    folded = fold(records[order], place[order])
    found = _nothing(places, records.dtype)
    found[folded["time"]] = folded
    return found


def _nothing(count: int, kind: np.dtype[np.void]) -> Records:
    """So many spans without a row."""
    found = np.zeros(count, kind)
    for name in kind.names or ():
        if kind[name].base.kind == "f":
            found[name] = np.nan
    return found
