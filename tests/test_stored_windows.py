"""What a model may be made of: rows without an incident that follow each other, as the store holds them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from monitor.commands.stored_windows import Stored, stored_windows
from monitor.records import StepResult, StoredScores, Stretches, Transition
from monitor.store import Store
from tests.line_samples import in_regimes, shipped
from tests.store_samples import PUMP, START, batch, result, transition

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from monitor.records import AlertEvent

WINDOW = 4
ALL = 2**62
FIRST = START // 1000  # the tick of second 0


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "store.db")
    yield opened
    opened.close()


def rows(*seconds: int, stream: str = PUMP, asset_class: str = "pump") -> StoredScores:
    """Rows of an asset without a score; the load of each is the second, the flow twice that."""
    made = batch(*((stream, second) for second in seconds), score=float("nan"), asset_class=asset_class)
    actual = np.array([[second, 2 * second] for second in seconds], np.float32)
    return replace(made, rows=replace(made.rows, actual=actual))


def found(
    store: Store,
    scores: Sequence[StoredScores],
    events: Sequence[AlertEvent] = (),
    *,
    since_s: int | None = None,
    highest: float | None = None,
    off: str = "",
) -> Stored:
    """What is found of these rows and incidents."""
    store.write(9, result(scores, events))
    spec = replace(shipped("pump"), model="", model_hash="")
    assert spec.sensor_check is not None
    spec = replace(spec, sensor_check=replace(spec.sensor_check, highest=(highest, None)))
    if off:
        spec = in_regimes(spec, blank_ticks=2, off=off)
    return stored_windows(store, [spec], window=WINDOW, since_ms=ALL if since_s is None else since_s * 1000)


def ends(stored: Stored) -> list[list[int]]:
    """The seconds at which windows end, run by run."""
    return [[int(tick) - FIRST for tick in run.tick] for run in stored.runs]


def test_ticks_that_follow_each_other_make_windows_and_a_hole_ends_them(store: Store) -> None:
    """Seconds 0-5 and 7-10 with one missing between: no window reaches over it, whatever batches they came in."""
    stored = found(store, [rows(0, 1, 2), rows(3, 4, 5, 7), rows(8, 9, 10)])
    assert ends(stored) == [[3, 4, 5], [10]]
    assert stored.runs[0].windows[0].tolist() == [[0, 0], [1, 2], [2, 4], [3, 6]]
    assert (stored.read, stored.incidents, stored.alone) == (10, 0, 0)


def test_rows_that_are_further_apart_than_a_tick_make_none(store: Store) -> None:
    """As where a model scored with window.stride = 2: what lay between is not known."""
    stored = found(store, [rows(*range(0, 40, 2))])
    assert (ends(stored), stored.read, stored.alone) == ([], 20, 20)
    assert "20 of the other 20 in no unbroken stretch of a window's length" in stored.words()


def test_what_is_in_an_incident_or_a_window_before_it_is_left_out(store: Store) -> None:
    """It began at second 20 and ended at 25: 16 to 25 are gone. An open one takes all that came after."""
    fired = transition(Transition.FIRED, 20, started=START + 20_000)
    cleared = transition(Transition.CLEARED, 25, started=START + 20_000)
    later = transition(Transition.FIRED, 50, incident="i2", started=START + 50_000, kind="sensor_stuck")
    stored = found(store, [rows(*range(60))], [fired, cleared, later])
    assert ends(stored) == [list(range(3, 16)), list(range(29, 46))]
    assert (stored.read, stored.incidents) == (60, 10 + 14)


def test_an_incident_that_was_judged_false_leaves_nothing_out(store: Store) -> None:
    fired = transition(Transition.FIRED, 20, started=START + 20_000)
    verdict = transition(Transition.VERDICT, 30, started=START + 20_000, summary="false")
    assert found(store, [rows(*range(40))], [fired, verdict]).incidents == 0


def test_what_is_not_scored_by_the_rules_of_now_is_left_out(store: Store) -> None:
    """Off in seconds 10 to 14, then blanked for two ticks: the first window behind begins at second 17."""
    stored = found(store, [rows(*range(30))], off="load >= 10 and load < 15")
    assert ends(stored) == [list(range(3, 10)), list(range(20, 30))]
    assert (stored.read, stored.incidents, stored.resting, stored.alone) == (30, 0, 5, 0)
    assert "5 under maintenance or in a regime that is not scored; 0 of the other 25 in" in stored.words()


def test_what_was_under_maintenance_is_left_out(store: Store) -> None:
    """From second 10 up to 15, as the coverage ledger has it."""
    time = np.array([START + 10_000]), np.array([START + 15_000])
    store.write(1, StepResult([], [], [], stretches=[Stretches([PUMP], *time, ["maintenance"], [""])]))
    store.write(2, result([rows(*range(30))]))
    stored = found(store, [])
    assert ends(stored) == [list(range(3, 10)), list(range(18, 30))]
    assert (stored.read, stored.resting) == (30, 5)


def test_only_the_asset_with_the_incident_is_affected(store: Store) -> None:
    fired = transition(Transition.FIRED, 5, started=START + 5_000)
    stored = found(store, [rows(*range(10)), rows(*range(10), stream="plant//pump-2")], [fired])
    assert [run.name for run in stored.runs] == ["plant//pump-2"]
    assert {each.asset: len(each.time) for each in stored.recordings} == {PUMP: 1, "plant//pump-2": 10}


def test_other_classes_and_older_rows_are_not_read(store: Store) -> None:
    stored = found(store, [rows(*range(30)), rows(*range(90), asset_class="fan")], since_s=10)
    assert (ends(stored), stored.read) == ([list(range(23, 30))], 10)


def test_what_no_working_sensor_reports_is_missing(store: Store) -> None:
    """As it is for the model: a load above 5 is out of its range."""
    (run,) = found(store, [rows(*range(8))], highest=5.0).runs
    np.testing.assert_array_equal(run.windows[-1, :, 0], [4, 5, np.nan, np.nan])
    np.testing.assert_array_equal(run.windows[-1, :, 1], [8, 10, 12, 14])


def scored(scores: dict[int, float], *, upto: int, threshold: float = 1.0) -> StoredScores:
    """Rows of seconds 0 to `upto`, scored 0.5 or as given, judged by `threshold`; three of five are many."""
    made = rows(*range(upto))
    score = np.array([scores.get(second, 0.5) for second in range(upto)], np.float32)
    by = np.full(upto, threshold, np.float32)
    return replace(made, rows=replace(made.rows, score=score, threshold=by))


def test_a_fault_that_was_over_before_it_could_fire_is_left_out(store: Store) -> None:
    """Scores of 3 in seconds 20 to 23, fewer than the on-delay: they and a window before, 17 to 23, are gone."""
    stored = found(store, [scored(dict.fromkeys(range(20, 24), 3.0), upto=40)])
    assert ends(stored) == [list(range(3, 17)), list(range(27, 40))]
    assert (stored.read, stored.incidents, stored.suspect) == (40, 0, 7)
    assert "0 of them in or before an incident, 7 in or before suspect scores; " in stored.words()


def test_single_scores_above_the_threshold_are_normal_and_stay(store: Store) -> None:
    """Two of any five, at the most."""
    assert found(store, [scored({10: 3.0, 11: 3.0, 15: 3.0, 30: 9.0}, upto=40)]).suspect == 0


def test_three_of_five_are_suspect_and_what_is_between_them_too(store: Store) -> None:
    """Seconds 20, 22 and 24, with a window of four before each: 17 to 24."""
    stored = found(store, [scored({20: 3.0, 22: 3.0, 24: 3.0}, upto=40)])
    assert ends(stored) == [list(range(3, 17)), list(range(28, 40))]
    assert stored.suspect == 8


def test_scores_are_held_against_their_own_threshold(store: Store) -> None:
    assert found(store, [scored(dict.fromkeys(range(20, 24), 3.0), upto=40, threshold=3.5)]).suspect == 0


def test_what_was_not_judged_is_held_against_one(store: Store) -> None:
    """As while a threshold re-learns."""
    high = dict.fromkeys(range(20, 24), 3.0)
    assert found(store, [scored(high, upto=40, threshold=float("nan"))]).suspect == 7


def test_suspect_scores_of_an_incident_that_was_judged_false_stay(store: Store) -> None:
    fired = transition(Transition.FIRED, 20, started=START + 20_000)
    cleared = transition(Transition.CLEARED, 25, started=START + 20_000)
    verdict = transition(Transition.VERDICT, 30, started=START + 20_000, summary="false")
    stored = found(store, [scored(dict.fromkeys(range(20, 24), 3.0), upto=40)], [fired, cleared, verdict])
    assert (stored.incidents, stored.suspect) == (0, 0)


def test_nothing_is_nothing(store: Store) -> None:
    assert found(store, []).words().startswith("0 rows of 0 assets in the store")
