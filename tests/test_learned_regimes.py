"""Which regimes are found in normal data, and what they are called: by made-up machines whose states are known."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest

from models.artifact import ArtifactError, load_header, save_artifact
from models.mixture import fit_mixture
from models.regime_learning import Found, learn_regimes, regimes_of, with_levels
from models.regime_names import names_of
from models.regimes import mistake
from models.scaling import fit_scaler
from tests.model_samples import place
from tests.regime_samples import CENTERS, SENSORS, TWO, run_of, states

if TYPE_CHECKING:
    from pathlib import Path

    from models.split import Run

ALL = ["speed low", "speed high, heat low", "speed high, heat high"]


def learned(*runs: Run) -> Found:
    values = np.concatenate([run.rows() for run in runs])
    return learn_regimes(runs, fit_scaler(values), SENSORS)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_three_states_are_found_as_three_regimes_of_the_same_names_whatever_the_data(seed: int) -> None:
    """Idle, running and running hot: the machine's own centers, in the order of the names."""
    found = learned(*(run_of(states(3000, 10 * seed + each)[0], f"m{each}") for each in range(3))).regimes
    assert found is not None
    assert [each.name for each in found.of] == ALL
    assert found.sensors == (0, 1)
    for each, center in zip(found.of, CENTERS, strict=True):
        assert each.center == pytest.approx(center[:2], abs=60)
    assert sum(each.share for each in found.of) == pytest.approx(1)


def test_the_regime_is_the_state_that_the_machine_was_in_but_for_the_moments_after_a_change() -> None:
    """Ten ticks of the mean and ten of the wait: of a stay of 200 on average about a tenth is behind."""
    runs = [run_of(states(3000, seed)[0], f"m{seed}") for seed in range(3)]
    found = learned(*runs).regimes
    assert found is not None
    values, state = states(3000, 77)
    (regime,) = regimes_of(found, [run_of(values)])
    wrong = regime != np.array(state)[-len(regime) :]
    assert wrong.mean() < 0.15
    assert not wrong[np.array(_since_a_change(state))[-len(regime) :] > 25].any()


def _since_a_change(state: list[int]) -> list[int]:
    ages = [0]
    for before, now in pairwise(state):
        ages.append(ages[-1] + 1 if before == now else 0)
    return ages


def test_the_same_runs_give_the_same_regimes() -> None:
    runs = [run_of(states(3000, seed)[0], f"m{seed}") for seed in range(3)]
    assert learned(*runs) == learned(*runs)


@pytest.mark.parametrize("shape", ["normal", "slow", "uniform", "skewed"])
def test_a_machine_of_one_kind_has_one_regime(shape: str) -> None:
    """Whatever its distribution looks like: bent is not apart."""
    random = np.random.default_rng(5)
    noise = random.normal(size=(3, 4000, 3))
    walk = np.apply_along_axis(lambda each: np.convolve(each, np.hanning(200), "same"), 1, noise)
    rank = walk.argsort(axis=1).argsort(axis=1) / 4000
    values = {"normal": noise, "slow": walk, "uniform": rank, "skewed": -np.log(1 - rank)}[shape]
    found = learned(*(run_of(each.astype(np.float32), f"m{number}") for number, each in enumerate(values)))
    assert found.regimes is None
    assert found.why


def test_what_flickers_is_no_regime() -> None:
    """The same three clouds, but another one at each tick: a window holds all of them."""
    random = np.random.default_rng(1)
    values = np.array(CENTERS)[random.integers(3, size=6000)] + random.normal(size=(6000, 3))
    assert learned(run_of(values.astype(np.float32))).regimes is None


def test_machines_that_differ_for_good_are_no_regimes() -> None:
    """Six machines, each in one state for ever: that is how they are, not what they do."""
    random = np.random.default_rng(2)
    runs = [
        run_of((np.array(CENTERS[each % 3]) + random.normal(size=(2000, 3))).astype(np.float32), f"m{each}")
        for each in range(6)
    ]
    assert learned(*runs).regimes is None


def test_constant_and_empty_sensors_tell_nothing_apart_and_stand_in_nobodys_way() -> None:
    def spoilt(seed: int) -> Run:
        values = states(3000, seed)[0]
        values[:, 1], values[:, 2] = 7.0, np.nan
        return run_of(values, f"m{seed}")

    found = learned(*map(spoilt, range(3))).regimes
    assert found is not None
    assert [each.name for each in found.of] == ["speed low", "speed high"]
    assert found.sensors == (0,)


def test_nothing_is_found_where_there_is_too_little_or_no_time() -> None:
    few = learned(run_of(states(300, 1)[0]))
    assert few.regimes is None
    assert few.why.startswith("30 rows of 10 ticks each are too few to tell")
    single = learned(run_of(states(300, 1)[0], window=1))
    assert single.why == "rows that stand alone do not tell how long a regime lasts"


def test_a_run_with_a_hole_is_two() -> None:
    """Windows that are left out leave a gap longer than a window: behind it the mean begins anew."""
    runs = [run_of(states(3000, seed)[0], f"m{seed}") for seed in range(3)]
    found = learned(*runs).regimes
    assert found is not None
    whole = run_of(states(2000, 9)[0])
    index = np.r_[0:500, 900:1500]
    (regime,) = regimes_of(found, [whole.of(index)])
    assert len(regime) == len(index)
    assert regime[500] == len(found.of)  # unknown, until it has been seen for as long as it takes
    assert (regime[540:] < len(found.of)).all()


def test_no_two_names_are_the_same_and_each_is_as_short_as_can_be() -> None:
    one = np.eye(2)
    center = np.array([[0.0, 0.0], [9.0, 0.0], [18.0, 0.0], [18.0, 9.0]])
    found = names_of(center, np.stack([one] * 4), ["speed", "heat"])
    assert found == (["speed low", "speed middle", "speed high, heat low", "speed high, heat high"], [0, 1, 2, 3])
    assert names_of(center[[0, 0]], np.stack([one] * 2), ["speed", "heat"]) is None


def test_the_mixture_asks_for_the_clouds_that_there_are() -> None:
    """Three of them, ten deviations apart: the criterion is lowest at three, and the centers are theirs."""
    random = np.random.default_rng(0)
    rows = np.concatenate([random.normal(size=(300, 2)) * 0.5 + each for each in ([0, 0], [5, 0], [0, 5])])
    criteria = {count: fit_mixture(rows, count).criterion for count in range(1, 6)}
    assert min(criteria, key=lambda count: criteria[count]) == 3
    centers = sorted(fit_mixture(rows, 3).center.round().tolist())
    assert centers == [[0, 0], [0, 5], [5, 0]]


def test_a_level_is_only_what_held_out_scores_say_for_certain() -> None:
    """Regime 0 scores half of what is usual, regime 1 three times; with 40 windows nobody knows."""
    random = np.random.default_rng(0)
    quiet, loud = (random.uniform(0, 1, 6000) * scale for scale in (0.7, 3.0))
    score = [np.concatenate([quiet, loud]).astype(np.float32)]
    regime = [np.repeat([0, 1], 6000)]
    one, other = with_levels(TWO, score, regime, 10).of
    assert one.level == pytest.approx(0.7, rel=0.02)
    assert (other.level, other.held_out) == (2.0, 6000)  # bounded
    few = with_levels(TWO, [score[0][5980:6020]], [regime[0][5980:6020]], 10)
    assert few.levels == (1.0, 1.0, 1.0)
    same = with_levels(TWO, [random.exponential(size=12_000).astype(np.float32) / 6.9], regime, 10)
    assert same.levels == (1.0, 1.0, 1.0)


def test_a_header_holds_them_and_one_that_cannot_be_is_refused_with_its_place(tmp_path: Path) -> None:
    header = place(tmp_path)
    files = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    save_artifact(tmp_path, msgspec.structs.replace(header, regimes=TWO), files)
    assert load_header(tmp_path).regimes == TWO
    wrong = msgspec.structs.replace(TWO, sensors=(7,))
    save_artifact(tmp_path, msgspec.structs.replace(header, regimes=wrong), files)
    with pytest.raises(ArtifactError, match=r"header\.json: regimes: .* not some of 5 sensors"):
        load_header(tmp_path)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"sensors": (3,)}, "are not some of 3 sensors"),
        ({"sensors": (0, 0)}, "are not some of 3 sensors"),
        ({"sensors": (0, 1)}, "has not as many numbers as 2 sensors need"),
        ({"of": (TWO.of[0], TWO.of[0])}, "the same name"),
        ({"of": (TWO.of[0], msgspec.structs.replace(TWO.of[1], name="unknown"))}, "the same name"),
        (
            {"of": (TWO.of[0], msgspec.structs.replace(TWO.of[1], covariance=((-1.0,),)))},
            "covariance of speed high",
        ),
    ],
)
def test_regimes_that_cannot_be_are_told(change: dict[str, object], told: str) -> None:
    assert not mistake(TWO, 3)
    assert told in mistake(msgspec.structs.replace(TWO, **change), 3)
