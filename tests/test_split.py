import numpy as np
import pytest

from models.split import LEFT_OUT, Part, Run, Taken, split_runs


def run(name: str, count: int, window: int = 10) -> Run:
    """A run of windows at successive ticks."""
    return Run(name, np.zeros((count, window, 1), np.float32), np.arange(window - 1, window - 1 + count))


def test_many_runs_are_dealt_whole_in_proportion() -> None:
    """Twenty equal runs: fourteen fit, two stop, four calibrate, and no run is in two parts."""
    parts, words = split_runs([run(str(number), 50) for number in range(20)], seed=3)
    assert all(len(set(part.tolist())) == 1 for part in parts)
    assert [sum(int(part[0]) == which for part in parts) for which in Part] == [14, 2, 4]
    assert words == "20 whole runs dealt out"


def test_the_runs_of_an_asset_stay_together_where_there_are_assets_enough() -> None:
    """Ten assets of four runs each: seven assets fit, one stops, two calibrate. Nine would be dealt run by run."""
    parts, words = split_runs([run(f"asset{number % 10}", 50) for number in range(40)], seed=3)
    of_asset = [{int(part[0]) for part in parts[number::10]} for number in range(10)]
    assert all(len(which) == 1 for which in of_asset)
    assert [of_asset.count({which.value}) for which in Part] == [7, 1, 2]
    assert words == "40 whole runs of 10 assets dealt out, an asset's together"
    parts, words = split_runs([run(f"asset{number % 9}", 50) for number in range(36)], seed=3)
    assert any(len({int(part[0]) for part in parts[number::9]}) > 1 for number in range(9))
    assert words == "36 whole runs dealt out"


def test_one_huge_run_leaves_something_for_every_part() -> None:
    parts, _ = split_runs([run("huge", 10_000), *(run(str(number), 20) for number in range(9))], seed=0)
    assert {int(part[0]) for part in parts} == set(Part)


def test_the_seed_decides_which_runs_go_where() -> None:
    runs = [run(str(number), 50) for number in range(20)]
    first, again, other = (split_runs(runs, seed)[0] for seed in (1, 1, 2))
    assert [part[0] for part in first] == [part[0] for part in again]
    assert [part[0] for part in first] != [part[0] for part in other]


@pytest.mark.parametrize("count", [150, 3000])
def test_blocks_of_one_run_share_no_tick(count: int) -> None:
    """No tick is seen by two parts, and every part has windows."""
    only = run("only", count)
    (parts,), _ = split_runs([only], seed=0)
    ticks = {part: {tick - back for tick in only.tick[parts == part] for back in range(10)} for part in Part}
    assert all(ticks.values())
    assert not ticks[Part.FIT] & ticks[Part.STOP]
    assert not ticks[Part.FIT] & ticks[Part.CALIBRATION]
    assert not ticks[Part.STOP] & ticks[Part.CALIBRATION]
    assert np.mean(parts == LEFT_OUT) < 0.4


def test_calibration_is_spread_over_a_long_run() -> None:
    """A machine that ages through the recording is calibrated on all of its life, not only on the end."""
    (parts,), _ = split_runs([run("only", 4000)], seed=0)
    quarters = np.array_split(parts == Part.CALIBRATION, 4)
    assert all(quarter.mean() > 0.1 for quarter in quarters)


def test_taken_windows_are_those_of_the_copy() -> None:
    """Indexed by slices, numbers, arrays and tuples, without copying the others."""
    windows = np.arange(60, dtype=np.float32).reshape(5, 4, 3)
    taken = Taken(windows, np.array([1, 4, 2]))
    copy = windows[[1, 4, 2]]
    assert (len(taken), taken.shape) == (3, (3, 4, 3))
    for key in (0, slice(1, 3), np.array([2, 0]), (1, slice(None), 2), (slice(None), -1), (0, 1, 2)):
        np.testing.assert_array_equal(taken[key], copy[key])
    np.testing.assert_array_equal(np.array(taken), copy)
    np.testing.assert_array_equal(np.stack(list(taken)), copy)
