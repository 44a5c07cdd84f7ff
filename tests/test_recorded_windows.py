from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor import align, regime, window
from monitor.commands.recorded_windows import windows_of
from monitor.records import Frames, Outcome, Readings, Status
from monitor.regime import Regime, RegimeConfig, Step
from simulator.recording import Recording

NAN = float("nan")
PERIOD, T = 100, 4


def recording(times: list[int], values: list[list[float]] | None = None, asset: str = "a") -> Recording:
    """Rows at these times; without values each row holds its number, twice."""
    rows = [[float(number)] * 2 for number in range(len(times))] if values is None else values
    return Recording(asset, ("x", "y"), np.array(times, np.int64), np.array(rows, np.float32).reshape(-1, 2))


def daemon_windows(
    one: Recording, regimes: RegimeConfig
) -> list[tuple[int, np.ndarray[tuple[int, ...], np.dtype[np.float32]]]]:
    """(last tick, values) of the windows that the daemon would score, fed row by row."""
    grid = align.AlignConfig(2, PERIOD, 0, False, 0, 0, 1, T)
    cutting = window.WindowConfig(sensors=2, length=T, stride=1, min_coverage=0.5)
    aligned, rings = align.AlignState.empty(grid, 1), window.WindowState.empty(cutting, 1)
    modes = regime.RegimeState.empty(regimes, 1)
    found = []

    def take(frames: list[Frames]) -> None:
        for frame in frames:
            regime.push(modes, regimes, frame.stream, frame.tick, frame.values)
            cut = regime.mark(modes, regimes, window.push(rings, cutting, frame), T)
            if cut.status[0] == Status.SCORED:
                found.append((int(cut.tick[0]), cut.values[0]))

    for time, values in zip(one.time, one.values, strict=True):
        row = Readings(np.zeros(1, np.int32), np.array([time]), np.array([time]), values[None])
        take(align.push(aligned, grid, row, 0, np.zeros(len(Outcome), np.int64))[0])
    take(align.tick_over(aligned, grid, 2**50, 0))
    return found


def test_regular_rows_give_a_window_at_every_tick() -> None:
    """Six rows, windows of four: the rows 0-3, 1-4 and 2-5."""
    (run,) = windows_of([recording([0, 100, 200, 300, 400, 500])], period_ms=PERIOD, window=T)
    assert run.name == "a"
    assert run.tick.tolist() == [3, 4, 5]
    assert run.windows[:, :, 0].tolist() == [[0, 1, 2, 3], [1, 2, 3, 4], [2, 3, 4, 5]]


def test_a_missing_tick_is_missing_in_its_windows() -> None:
    (run,) = windows_of([recording([0, 100, 300])], period_ms=PERIOD, window=T)
    np.testing.assert_array_equal(run.windows[0, :, 0], [0, 1, NAN, 2])


def test_no_window_reaches_across_a_gap() -> None:
    """Before and after a silence longer than a window are two runs."""
    before, after = windows_of(
        [recording([0, 100, 200, 300, 900, 1000, 1100, 1200, 1300])], period_ms=PERIOD, window=T
    )
    assert before.tick.tolist() == [3]
    assert after.tick.tolist() == [12, 13]
    assert after.windows[0, :, 0].tolist() == [4, 5, 6, 7]


def test_what_is_mostly_missing_or_too_short_gives_nothing() -> None:
    holes = recording([0, 100, 200, 300], [[1, NAN], [NAN, NAN], [NAN, 1], [1, NAN]])
    assert windows_of([holes, recording([0, 100], asset="b")], period_ms=PERIOD, window=T) == []


def test_a_value_is_held_as_the_daemon_would() -> None:
    slow = recording([0, 100, 200, 300], [[1, 5], [2, NAN], [3, NAN], [4, NAN]])
    (run,) = windows_of([slow], period_ms=PERIOD, window=T, hold_ms=200)
    np.testing.assert_array_equal(run.windows[0, :, 1], [5, 5, 5, NAN])


def without(rule: tuple[Step, ...], blank: int) -> RegimeConfig:
    """What holds the rule is not scored, nor so many ticks behind it."""
    return RegimeConfig((Regime("off", rule, False, blank),))


OFF, BLANKED = without((Step("<", 0, 1.5),), 0), without((Step(">", 1, 3.5), Step("not")), 2)


def test_no_window_holds_a_tick_of_a_regime_that_is_not_scored() -> None:
    """Off at the third of eight rows: the windows that end at 3 to 5 hold it, those from 6 on do not."""
    speeds = [[speed, 0.0] for speed in (2.0, 2.0, 1.0, 2.0, 2.0, 2.0, 2.0, 2.0)]
    (run,) = windows_of([recording(list(range(0, 800, 100)), speeds)], period_ms=PERIOD, window=T, regimes=OFF)
    assert run.tick.tolist() == [6, 7]
    (run,) = windows_of(
        [recording(list(range(0, 800, 100)), speeds)],
        period_ms=PERIOD,
        window=T,
        regimes=without((Step("<", 0, 1.5),), 1),
    )
    assert run.tick.tolist() == [7]


rows = st.lists(
    st.tuples(st.integers(0, 350), st.sampled_from([NAN, 1.0, 2.0]), st.sampled_from([NAN, 3.0, 4.0])),
    min_size=1,
    max_size=30,
)


@settings(max_examples=60)
@given(st.lists(rows, min_size=1, max_size=3), st.sampled_from([RegimeConfig(), OFF, BLANKED]))
def test_the_windows_are_those_that_the_daemon_scores(
    machines: list[list[tuple[int, float, float]]], regimes: RegimeConfig
) -> None:
    """Whatever the steps between rows, the holes and the regimes: the same ticks, the same values."""
    recordings = [
        recording(
            np.cumsum([step for step, _, _ in machine]).tolist(), [[x, y] for _, x, y in machine], str(index)
        )
        for index, machine in enumerate(machines)
    ]
    cut = windows_of(recordings, period_ms=PERIOD, window=T, regimes=regimes)
    for one in recordings:
        runs = [run for run in cut if run.name == one.asset]
        expected = daemon_windows(one, regimes)
        assert [int(tick) for run in runs for tick in run.tick] == [tick for tick, _ in expected]
        for ours, (_, theirs) in zip((values for run in runs for values in run.windows), expected, strict=True):
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("window_length", [1, 6])
def test_any_length_of_window(window_length: int) -> None:
    (run,) = windows_of([recording(list(range(0, 600, 100)))], period_ms=PERIOD, window=window_length)
    assert run.windows.shape == (7 - window_length, window_length, 2)


def test_a_long_recording_is_cut_as_a_short_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is aligned in pieces side by side; with pieces of 7 rows nothing changes, whatever is missing or held."""
    random = np.random.default_rng(0)
    for seed in range(20):
        times = np.cumsum(random.choice([0, 30, 100, 100, 200, 900], size=80)).tolist()
        values = np.where(random.random((80, 2)) < 0.4, NAN, random.normal(size=(80, 2))).tolist()
        rows = [recording(times, values), recording(times[:5], values[:5], asset="b")]
        held = 300 * (seed % 2)
        monkeypatch.setattr("monitor.commands.recorded_windows.PIECE", 10**6)
        whole = windows_of(rows, period_ms=PERIOD, window=T, hold_ms=held)
        monkeypatch.setattr("monitor.commands.recorded_windows.PIECE", 7)
        pieces = windows_of(rows, period_ms=PERIOD, window=T, hold_ms=held)
        assert [(run.name, run.tick.tolist()) for run in pieces] == [
            (run.name, run.tick.tolist()) for run in whole
        ]
        for one, other in zip(pieces, whole, strict=True):
            np.testing.assert_array_equal(one.tick, other.tick)
            np.testing.assert_array_equal(np.array(one.windows), np.array(other.windows))
