"""Scoring: every row says whether it was scored, and why not; a score that is not there is never a number."""

from __future__ import annotations

import numpy as np

from monitor.records import Float32, Scores, Status, Windows
from monitor.score import score


class Echo:
    """Says of a window how large its values are at the last tick; has no word on what is missing there."""

    window = 4
    level_rows = 0
    memory = 0
    lasting = None

    def __init__(self) -> None:
        self.seen: list[Float32] = []

    def score(
        self, values: Float32, level: tuple[Float32, Float32] | None = None
    ) -> tuple[Float32, Float32, Float32]:
        assert level is None
        self.seen.append(values)
        last = np.abs(values[:, -1])  # (B, C)
        there = ~np.isnan(last).all(axis=1)
        worst = np.full(len(last), np.nan, np.float32)
        worst[there] = np.nanmax(last[there], axis=1)
        return last, last + 1, worst


def windows(status: list[Status]) -> Windows:
    """One window each, of four ticks and two sensors; the last tick of the n-th has the values n and 10 n."""
    rows = len(status)
    values = np.zeros((rows, 4, 2), np.float32)
    values[:, -1] = np.arange(rows)[:, None] * [1, 10]
    return Windows(
        stream=np.arange(rows, dtype=np.int32),
        tick=np.arange(rows, dtype=np.int64) + 100,
        values=values,
        actual=values[:, -1].copy(),
        status=np.array(status, np.uint8),
        count=np.full(rows, 2, np.int32),
        ticks=np.ones(rows, np.int32),
        regime=np.arange(rows, dtype=np.uint8),
        rewritten=np.zeros(rows, np.bool_),
    )


def unscored(scores: Scores, row: int) -> bool:
    """Whether nothing in this row looks like a result."""
    holds = (scores.score[row], scores.threshold[row], *scores.contribution[row], *scores.expected[row])
    return all(np.isnan(value) for value in holds)


def test_only_full_windows_reach_the_model_in_one_call() -> None:
    model = Echo()
    mixed = [Status.SCORED, Status.WARMING_UP, Status.SCORED, Status.GAP, Status.TOO_FEW_SENSORS, Status.SCORED]
    scores = score(windows(mixed), model)
    assert [len(batch) for batch in model.seen] == [3]
    assert scores.status.tolist() == [int(status) for status in mixed]
    assert scores.score[[0, 2, 5]].tolist() == [0, 20, 50]
    assert scores.contribution[2].tolist() == [2, 20]
    assert scores.expected[2].tolist() == [3, 21]
    assert scores.actual[2].tolist() == [2, 20]
    assert all(unscored(scores, row) for row in (1, 3, 4))
    assert np.isnan(scores.threshold).all()


def test_without_a_model_nothing_is_scored_and_the_values_are_there() -> None:
    scores = score(windows([Status.SCORED, Status.WARMING_UP]), None)
    assert scores.status.tolist() == [Status.NO_MODEL, Status.NO_MODEL]
    assert all(unscored(scores, row) for row in range(2))
    assert scores.actual[1].tolist() == [1, 10]


def test_where_no_sensor_contributes_there_is_no_score() -> None:
    given = windows([Status.SCORED, Status.SCORED])
    given.values[1, -1] = np.nan
    scores = score(given, Echo())
    assert scores.status.tolist() == [Status.SCORED, Status.TOO_FEW_SENSORS]
    assert unscored(scores, 1)


def test_no_windows_make_no_rows_and_no_call() -> None:
    model = Echo()
    assert len(score(windows([]), model).stream) == 0
    assert model.seen == []


def test_what_is_scored_is_a_copy() -> None:
    """The status of a row changes later, where a threshold re-learns; the windows are not to change with it."""
    given = windows([Status.SCORED])
    scores = score(given, Echo())
    scores.status[0] = Status.RELEARNING
    scores.actual[0] = -1
    assert given.status[0] == Status.SCORED
    assert given.values[0, -1].tolist() == [0, 0]
