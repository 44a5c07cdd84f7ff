"""monitor.side_by_side: two models in figures, counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.records import Kind, Scores, Status, StoredScores, Transition
from monitor.side_by_side import (
    DAY_MS,
    Found,
    SideBySide,
    Span,
    Tally,
    incidents,
    not_yet,
    rank_correlation,
    side_by_side,
)
from tests.store_samples import transition

NAN = float("nan")
SECOND = 1000


def rows(*given: tuple[str, int, Status, float, float]) -> list[StoredScores]:
    """One batch of rows: asset, second, status, score, threshold."""
    streams, seconds, statuses, scores, thresholds = zip(*given, strict=True)
    count = len(streams)
    none = np.zeros((count, 1), np.float32)
    made = Scores(
        stream=np.arange(count, dtype=np.int32),
        tick=np.array(seconds, np.int64),
        status=np.array(statuses, np.uint8),
        score=np.array(scores, np.float32),
        threshold=np.array(thresholds, np.float32),
        contribution=none,
        expected=none,
        actual=none,
        regime=np.zeros(count, np.uint8),
    )
    return [StoredScores(1, "pumps", "m", ("load",), list(streams), np.array(seconds, np.int64) * SECOND, made)]


def test_counted_are_the_ticks_that_both_scored() -> None:
    """Of asset a the seconds 1 and 2; 0 is not scored by the second, 3 not by the first, and b is of one alone."""
    first = rows(
        ("a", 0, Status.SCORED, 0.5, 1), ("a", 1, Status.SCORED, 0.5, 1), ("a", 2, Status.SCORED, 2, 1),
        ("a", 3, Status.GAP, NAN, NAN), ("b", 1, Status.SCORED, 9, 1),
    )  # fmt: skip
    second = rows(
        ("a", 3, Status.SCORED, 3, 1), ("a", 2, Status.SCORED, 4, 5), ("a", 1, Status.SCORED, 0.25, 1),
        ("a", 0, Status.WARMING_UP, NAN, NAN),
    )  # fmt: skip
    tally = Tally(SECOND)
    pairs = tally.add(first, second)
    assert pairs.time.tolist() == [1000, 2000]
    assert (pairs.first.tolist(), pairs.second.tolist()) == ([0.5, 2], [0.25, 4])
    assert tally.spans == {"a": Span(1000, 2000, 2)}
    assert tally.asset_ms == 2000
    assert (tally.first.rows, tally.first.above, tally.second.above) == (2, 1, 0)
    tally.add(rows(("a", 9, Status.SCORED, 1, 2)), rows(("a", 9, Status.SCORED, 1, 2)))
    assert tally.spans == {"a": Span(1000, 9000, 3)}
    assert tally.add([], []).assets == []


def test_limits_stand_in_for_a_model_that_is_not_there_yet() -> None:
    tally = Tally(SECOND)
    tally.add(rows(("a", 1, Status.LEARNING, NAN, NAN)), rows(("a", 1, Status.SCORED, 0.5, 1)))
    assert (tally.asset_ms, tally.first.rows, tally.second.rows) == (1000, 0, 1)


def test_quantiles_are_known_to_a_bin() -> None:
    """Of the scores 0.01, 0.02, … 10.00 the middle one is 5, and 99 % are at 9.9 or below."""
    tally = Tally(SECOND)
    scores = (np.arange(1, 1001) / 100).astype(np.float32)
    tally.first.add(scores, np.full(1000, 9.995, np.float32))
    assert tally.first.quantile(0.5) == pytest.approx(5, rel=0.024)
    assert tally.first.quantile(0.99) == pytest.approx(9.9, rel=0.024)
    assert tally.first.above == 1
    assert tally.second.quantile(0.5) is None


def test_incidents_out_of_transitions_without_silence() -> None:
    fired, cleared = transition(Transition.FIRED, 1), transition(Transition.CLEARED, 40)
    silent = transition(Transition.FIRED, 3, incident="i2", kind=Kind.STALE)
    (found,) = incidents([fired, silent, cleared])
    assert (found.asset, found.started, found.ended) == (fired.stream, fired.started, cleared.time)
    assert incidents([fired])[0].ended is None
    assert incidents([cleared]) == []


def judged(first: list[Found], second: list[Found]) -> SideBySide:
    """Two assets of which a day each was watched, from second 1000 on."""
    tally = Tally(SECOND, {name: Span(1_000_000, 90_000_000, DAY_MS // SECOND) for name in "ab"})
    return side_by_side(tally, first, second, slack_ms=30_000)


def found(asset: str, start: int, end: int | None, verdict: str = "") -> Found:
    """An incident in seconds."""
    return Found(
        asset, "anomaly", start * 1000, None if end is None else end * 1000, "", verdict, f"{asset}{start}"
    )


def test_incidents_of_both_meet_in_time() -> None:
    """Within a window's length, and of the same asset."""
    mine = [found("a", 2000, 2100), found("a", 5000, 5010, "false"), found("b", 7000, None, "real")]
    theirs = [found("a", 2130, 2200), found("b", 2000, 2100), found("a", 5041, 5050)]
    both = judged(mine, theirs)
    assert both.both == 1
    assert both.only_first == mine[1:]
    assert both.only_second == theirs[1:]
    assert both.missed_real == [mine[2]]
    assert both.spared_false == 1
    assert (both.first.incidents, both.second.incidents) == (3, 3)
    assert both.first.per_asset_day == pytest.approx(1.5)
    assert both.hours == pytest.approx(24)


def test_what_was_before_is_nobodys() -> None:
    """An incident that was open when watching began: neither raised it since, though the second says so then."""
    both = judged([found("a", 900, None)], [found("a", 1010, 1100)])
    assert (both.first.incidents, both.second.incidents, both.both) == (0, 0, 0)
    assert both.only_second == []
    unheard = judged([found("c", 2000, 2100)], [found("c", 2000, 2100)])
    assert (unheard.first.incidents, unheard.second.incidents) == (0, 0)


def test_the_rule_says_what_it_waits_for() -> None:
    mine, theirs = [found("a", 2000, 2100, "real")], [found("a", 4000, 4100), found("b", 4000, 4100)]
    reasons = not_yet(judged(mine, theirs), hours=168, ratio=1)
    assert reasons == [
        "24.0 of 168 hours were watched",
        "it raised 2 incidents where the model in use raised 1",
        "it missed 1 real ones, such as a2000 of a",
    ]
    assert not_yet(judged(mine, mine), hours=24, ratio=1) == []
    assert not_yet(judged([*mine, found("b", 9000, 9001)], mine), hours=24, ratio=0.5) == []
    assert len(not_yet(judged(mine, mine), hours=24, ratio=0.5)) == 1


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ([1, 2, 3, 4], [10, 20, 30, 4000], 1),
        ([1, 2, 3, 4], [4, 3, 2, 1], -1),
        ([1, 2, 3, 4, 5], [2, 1, 4, 3, 5], 0.8),  # 1 - 6 x 4 / (5 x 24)
        ([1, 1, 2], [1, 2, 3], 0.8660254),  # ranks 1.5 1.5 3 and 1 2 3
        ([1, 1, 1], [1, 2, 3], None),
        ([], [], None),
    ],
)
def test_rank_correlation(one: list[float], other: list[float], expected: float | None) -> None:
    value = rank_correlation(np.array(one, np.float32), np.array(other, np.float32))
    assert value == (None if expected is None else pytest.approx(expected))
