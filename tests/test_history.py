"""What score rows come to over time, against the same from the rows by plain loops."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor import history
from monitor.history import DAY, HOUR, MINUTE, SCORES, SPAN
from tests.history_samples import rows, same
from tests.store_samples import START, batch

if TYPE_CHECKING:
    from monitor.history import Grid, Records

SEEDS = st.integers(0, 1 << 32)


def by_hand(values: np.ndarray[Any, Any]) -> tuple[int, float, float, float]:
    """How many values there are, the least, the mean and the most of them."""
    there = [float(each) for each in values if not np.isnan(each)]
    if not there:
        return 0, np.nan, np.nan, np.nan
    return len(there), min(there), sum(there) / len(there), max(there)


def check_scores(found: Any, own: Records) -> None:
    """Whether a span of `SCORES` is what some rows of it come to."""
    count, low, mean, high = by_hand(own["score"])
    judged, _, threshold, _ = by_hand(own["threshold"])
    *_, margin = by_hand(own["score"] - own["threshold"])
    assert (found["rows"], found["scored"], found["judged"]) == (len(own), count, judged)
    assert found["status"] == own["status"][-1]
    expected = (low, mean, high, threshold, margin)
    assert [found[name] for name in ("low", "mean", "high", "threshold", "margin")] == pytest.approx(
        expected, rel=1e-6, nan_ok=True
    )


@given(seed=SEEDS, count=st.integers(1, 300), unit=st.sampled_from([MINUTE, HOUR]))
def test_what_scores_come_to(seed: int, count: int, unit: int) -> None:
    """Counts, least, mean, most, the last status: of every minute or hour that has a row, and of no other."""
    given_rows = rows(seed, count)
    each = given_rows["time"] // unit * unit
    found = history.fold(history.scores_of(given_rows), each)
    assert found["time"].tolist() == sorted(set(each.tolist()))
    for span in found:
        check_scores(span, given_rows[each == span["time"]])


@given(seed=SEEDS, count=st.integers(1, 200))
def test_what_sensors_come_to(seed: int, count: int) -> None:
    given_rows = rows(seed, count)
    each = given_rows["time"] // MINUTE * MINUTE
    for span in history.fold(history.sensors_of(given_rows), each):
        own = given_rows[each == span["time"]]
        for sensor in range(2):
            actual, expected = by_hand(own["actual"][:, sensor]), by_hand(own["expected"][:, sensor])
            found = [span[name][sensor] for name in ("measured", "low", "mean", "high")]
            assert found == pytest.approx(actual, rel=1e-6, nan_ok=True)
            found = [span[name][sensor] for name in ("predicted", "expected")]
            assert found == pytest.approx((expected[0], expected[2]), rel=1e-6, nan_ok=True)


@given(seed=SEEDS, count=st.integers(1, 300))
def test_hours_of_minutes_are_hours_of_rows(seed: int, count: int) -> None:
    given_rows = rows(seed, count)
    for each in (history.scores_of(given_rows), history.sensors_of(given_rows)):
        minutes = history.fold(each, each["time"] // MINUTE * MINUTE)
        same(
            history.fold(minutes, minutes["time"] // HOUR * HOUR), history.fold(each, each["time"] // HOUR * HOUR)
        )


def test_of_nothing_comes_nothing() -> None:
    assert len(history.fold(np.empty(0, SCORES), np.empty(0, np.int64))) == 0


@given(seed=SEEDS, count=st.integers(1, 100))
def test_records_come_back_from_their_bytes(seed: int, count: int) -> None:
    for each in (given_rows := rows(seed, count), history.sensors_of(given_rows)):
        assert history.uncrushed(history.crushed(each), each.dtype).tobytes() == each.tobytes()


@given(start=st.integers(START, START + DAY), length=st.integers(1, 400 * DAY), points=st.integers(2, 2000))
def test_a_chart_covers_its_range_in_so_many_points(start: int, length: int, points: int) -> None:
    """Whole minutes and hours, so that no span of the history lies in two of them."""
    chart = history.grid(start, start + length, points)
    assert 1 <= chart.points <= points
    assert chart.first <= start < chart.time[0] + chart.width
    assert chart.end - chart.width < start + length <= chart.end
    assert chart.first % chart.width == 0
    assert chart.width < MINUTE or chart.width % MINUTE == 0
    assert chart.width < HOUR or chart.width % HOUR == 0
    assert history.grid(start, start + length, points, MINUTE).width >= MINUTE


@given(seed=SEEDS, points=st.integers(2, 50))
def test_a_chart_is_what_its_rows_come_to(seed: int, points: int) -> None:
    """Of two assets; what lies outside is left out, and where there is nothing it says so."""
    both = [rows(seed, 40), rows(seed + 1, 60)]
    chart = history.grid(START + HOUR, START + 3 * HOUR, points)
    records = np.concatenate([history.scores_of(each) for each in both])
    number = np.repeat(np.arange(2), [40, 60])
    found = history.trends(records, number, 2, chart)
    for asset, own in enumerate(both):
        _check_points(found, asset, own, chart)
    alone = history.trend(history.scores_of(both[1]), chart)
    same(alone.mean, found.mean[1])


def _check_points(found: history.Trend, asset: int, own: Records, chart: Grid) -> None:
    assert found.mean.shape == (2, chart.points)
    for point, begins in enumerate(chart.time):
        inside = own[(own["time"] >= begins) & (own["time"] < begins + chart.width)]
        count, low, mean, high = by_hand(inside["score"])
        assert found.rows[asset, point] == len(inside)
        assert found.scored[asset, point] == count
        said = [getattr(found, name)[asset, point] for name in ("low", "mean", "high")]
        assert said == pytest.approx((low, mean, high), rel=1e-6, nan_ok=True)


def test_rows_are_found_by_asset_and_span() -> None:
    """In the order of time, whatever the order of the batches; classes are kept apart."""
    others = batch(("plant//a", 5), asset_class="fan")
    batches = [
        batch(("plant//b", 601), ("plant//a", 3), score=0.3),
        batch(("plant//a", 1), ("plant//b", 2), score=0.1),
        others,
        replace(batch(("plant//a", 1)), model="newer"),
    ]
    beginning = START // SPAN * SPAN
    found = [
        (each.line[0], each.line[1], each.stream, each.span, ((each.rows["time"] - START) // 1000).tolist())
        for each in history.pieces(batches)
    ]
    assert sorted(found) == [
        ("fan", "balance", "plant//a", beginning, [5]),
        ("pump", "balance", "plant//a", beginning, [1, 3]),
        ("pump", "balance", "plant//b", beginning, [2]),
        ("pump", "balance", "plant//b", beginning + SPAN, [601]),
        ("pump", "newer", "plant//a", beginning, [1]),
    ]
    (one,) = history.pieces([others])
    assert one.rows["actual"].tolist() == [[50.0, 100.0]]
    assert one.rows["score"].tolist() == [0.5]


def test_rows_that_were_stored_again_count_once() -> None:
    first, second = rows(1, 10), rows(2, 10)
    second["time"] = first["time"] + 1
    again = second.copy()
    again["score"] = 9.0
    found = history.together([second, first, again])
    assert len(found) == 20
    assert (np.diff(found["time"]) > 0).all()
    assert found[found["time"] == second["time"][3]].tobytes() == second[3].tobytes()


def test_sensors_among_others() -> None:
    of_two = history.sensors_of(rows(3, 5))
    found = history.placed(of_two, ("load", "flow"), ("flow", "speed", "load"))
    same(found["mean"][:, [2, 0]], of_two["mean"])
    assert found["measured"][:, 1].tolist() == [0] * 5
    assert np.isnan(found["expected"][:, 1]).all()
    assert history.placed(of_two, ("load", "flow"), ("load", "flow")) is of_two
