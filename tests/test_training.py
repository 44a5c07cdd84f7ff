import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from models.autoencoder import KINDS, Kind
from models.fitting import Fit
from models.residual import energies, judge, judged
from models.scaling import network_input
from models.split import Part, Run
from models.training import Epoch, TrainingConfig, TrainingError, reconstruct, train
from tests.model_samples import CONFIG, ROWS, RUNS, runs, signal, trained, windows
from tests.regime_samples import run_of, states

SMALL = TrainingConfig(hidden=4, epochs=2)


def small_runs() -> list[Run]:
    """Twelve short runs with short windows."""
    return runs(12, 80, length=8)


def test_the_same_seed_gives_the_same_model() -> None:
    """Bit for bit, and another seed gives another."""
    first, again = train(small_runs(), SMALL), train(small_runs(), SMALL)
    other = train(small_runs(), replace(SMALL, seed=1))
    weights = [
        torch.cat([weight.flatten() for weight in model.network.parameters()]) for model in (first, again, other)
    ]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert first.calibration.score == again.calibration.score


def test_training_leaves_torch_as_it_was() -> None:
    """Neither the random numbers of others nor their number of threads change."""
    threads = torch.get_num_threads()
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    train(small_runs(), replace(SMALL, threads=threads + 1))
    assert torch.equal(torch.rand(1), expected)
    assert torch.get_num_threads() == threads


def test_progress_is_told_after_each_epoch() -> None:
    told: list[Epoch] = []
    result = train(small_runs(), SMALL, told.append)
    assert [epoch.number for epoch in told] == [1, 2]
    assert told == result.epochs


def test_training_stops_when_nothing_gets_better() -> None:
    """Noise has nothing to learn: long before 60 epochs the patience is over."""
    random = np.random.default_rng(0)
    noise = [
        Run(str(number), windows(random.normal(size=(60, 2)).astype(np.float32), 4), np.arange(3, 60))
        for number in range(12)
    ]
    epochs = train(noise, TrainingConfig(hidden=2, latent=1, epochs=60, patience=1)).epochs
    assert len(epochs) < 60
    assert not epochs[-1].best


class Stopped(Exception):  # noqa: N818 - what a kill or Ctrl-C is in these tests
    """Training ends here."""


@pytest.mark.parametrize("kind", KINDS)
def test_a_training_that_was_broken_off_goes_on_to_the_same_model(kind: Kind) -> None:
    """Bit for bit, whatever the epoch: dropped in the middle of the third, from what was kept of the second."""
    config = replace(SMALL, kind=kind, epochs=6, patience=2)
    whole = train(small_runs(), config)
    kept: list[bytes] = []

    def stop_in_the_third(epoch: Epoch) -> None:
        if epoch.number == 2:
            raise Stopped

    with pytest.raises(Stopped):
        train(small_runs(), config, stop_in_the_third, keep=kept.append)
    torch.rand(7)  # what others draw meanwhile makes no difference
    told: list[Epoch] = []
    resumed = train(small_runs(), config, told.append, resume=kept[-1])
    assert told[0].number == 3
    assert resumed.epochs == whole.epochs
    for one, other in zip(resumed.network.parameters(), whole.network.parameters(), strict=True):
        assert torch.equal(one, other)
    assert resumed.calibration.score == whole.calibration.score


def test_a_finished_training_that_is_resumed_learns_nothing_more() -> None:
    kept: list[bytes] = []
    whole = train(small_runs(), SMALL, keep=kept.append)
    told: list[Epoch] = []
    assert train(small_runs(), SMALL, told.append, resume=kept[-1]).epochs == whole.epochs
    assert told == []


@pytest.mark.parametrize("state", [b"", b"nonsense", b"\x02\0\0\0\0\0\0\0{}"])
def test_a_state_that_is_none_is_refused(state: bytes) -> None:
    with pytest.raises(TrainingError, match="cannot be read"):
        train(small_runs(), SMALL, resume=state)


def test_a_state_of_another_network_is_refused() -> None:
    kept: list[bytes] = []
    train(small_runs(), SMALL, keep=kept.append)
    with pytest.raises(TrainingError, match="of another network"):
        train(small_runs(), replace(SMALL, hidden=5), resume=kept[-1])


def test_windows_of_one_row_can_be_trained_on() -> None:
    model = train(runs(1, 600, length=1), replace(SMALL, epochs=1))
    assert sum(model.windows.values()) == 600
    assert reconstruct(model.network, np.zeros((3, 1, 5), np.float32)).shape == (3, 1, 5)


def test_few_rows_are_told_with_the_numbers() -> None:
    """Of 600 rows some 400 fit; 600 for 60 sensors, ten each, are wanted."""
    random = np.random.default_rng(0)
    few = Run("few", windows(random.normal(size=(600, 60)).astype(np.float32), 2), np.arange(1, 600))
    doubts = train([few], replace(SMALL, epochs=1)).doubts
    assert re.fullmatch(r"only 4\d\d rows fit 60 sensors, where 600 are wanted: .*", doubts[0])
    wide = Run("wide", windows(random.normal(size=(600, 200)).astype(np.float32), 2), np.arange(1, 600))
    with pytest.raises(TrainingError, match=r"too few rows: 4\d\d to fit 200 sensors, where at least 600 are"):
        train([wide], SMALL)


def test_a_calibration_by_few_windows_and_many_alarms_are_told() -> None:
    """What is held out drifts away from what fits: it scores high, and the account says so with its share."""
    drift = [Run(run.name, run.windows, run.tick) for run in runs(1, 700, length=8)]
    doubts = " ".join(train(drift, SMALL).doubts)
    assert re.search(r"only 1\d\d windows calibrate the score, of which 1\d do not overlap, where 30", doubts)


def test_the_loss_is_the_one_that_was_asked_for() -> None:
    """By hand: errors of 0.5 and 3 in scaled units, and a cell that was not recorded."""
    residual = torch.tensor([[[0.5, 3.0, 100.0]]])
    present = torch.tensor([[[True, True, False]]])
    found = {
        loss: float(Fit(replace(SMALL, loss=loss), 3, 1)._error(residual, present))
        for loss in ("mse", "mae", "huber")
    }
    assert found == pytest.approx({"mse": 9.25 / 2, "mae": 1.75, "huber": (0.125 + 2.5) / 2})


def test_the_best_epoch_is_what_is_kept() -> None:
    """The network's loss on the judged ticks of the second part is the lowest that was told, not the last."""
    model = trained()
    held_out = [run.windows for run in runs(RUNS, ROWS) if run.name in model.runs[Part.STOP]]
    stop = np.concatenate([each[:: model.stride] for each in held_out])
    inputs = network_input(model.scaler.scaled(stop))
    residual = (reconstruct(model.network.network, inputs) - inputs)[:, -judged(inputs.shape[1]) :]
    loss = np.mean(residual**2)
    assert loss == pytest.approx(min(epoch.stop_loss for epoch in model.epochs), rel=1e-4)


def test_calibration_stands_on_windows_that_did_not_fit() -> None:
    """About a thousandth of the calibration runs' own scores is above 1.0, computed here from the runs by name."""
    model = trained()
    assert not set(model.runs[Part.FIT]) & set(model.runs[Part.CALIBRATION])
    held_out = np.concatenate(
        [run.windows for run in runs(RUNS, ROWS) if run.name in model.runs[Part.CALIBRATION]]
    )
    scaled = model.scaler.scaled(held_out)
    _, score = judge(energies(scaled, reconstruct(model.network, network_input(scaled))), model.calibration)
    assert np.quantile(score, 0.999) == pytest.approx(1.0, rel=0.15)  # a fitted tail


def test_a_stricter_score_leaves_the_regimes_levels_as_they_were() -> None:
    """They compare regimes with each other, or floors would sink by what made the score stricter."""
    machines = [run_of(states(800, seed, kinds=2)[0], f"m{seed}", window=10) for seed in range(12)]
    strict = train(machines, TrainingConfig(hidden=2, epochs=1, stride=100, stricter=2.0))
    assert strict.score_quantiles[0.999] == pytest.approx(0.5, rel=0.2)
    assert strict.regimes.regimes is not None
    assert min(each.held_out for each in strict.regimes.regimes.of) >= 500  # enough for levels of their own
    assert strict.regimes.regimes.levels == (1.0, 1.0, 1.0)


def test_a_hidden_sensor_is_rebuilt_from_the_others() -> None:
    """Training hides sensors, so that a missing one is filled from its companions better than by its mean."""
    model = trained()
    scaled = model.scaler.scaled(windows(signal(300, seed=99)))  # (B, T, C)
    hidden = scaled.copy()
    hidden[:, :, 0] = np.nan
    rebuilt = reconstruct(model.network, network_input(hidden))
    error = np.mean((rebuilt[:, 20:, 0] - scaled[:, 20:, 0]) ** 2)
    assert error < 0.25 * np.mean(scaled[:, 20:, 0] ** 2)


def test_missing_cells_and_a_missing_sensor_can_be_trained_on() -> None:
    holes = []
    for run in small_runs():
        values = np.array(run.windows)
        values[:, :, 1] = np.nan
        values[np.random.default_rng(0).random(values.shape) < 0.2] = np.nan
        holes.append(Run(run.name, values, run.tick))
    model = train(holes, SMALL)
    assert np.isfinite(model.epochs[-1].fit_loss)
    assert np.isfinite(model.calibration.score)


def test_too_few_windows_are_refused_with_the_numbers() -> None:
    with pytest.raises(
        TrainingError, match=r"too few windows: \d+ to fit, \d+ to stop and \d+ to calibrate, where"
    ):
        train(runs(2, 100), CONFIG)


def test_no_windows_are_refused() -> None:
    with pytest.raises(TrainingError, match="0 to fit, 0 to stop and 0 to calibrate"):
        train([], CONFIG)


def test_a_loss_that_is_not_finite_gives_no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.fitting.Fit._loss_on", lambda *_: float("nan"))
    with pytest.raises(TrainingError, match="no longer finite"):
        train(small_runs(), SMALL)
