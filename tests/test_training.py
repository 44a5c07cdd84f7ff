from dataclasses import replace

import numpy as np
import pytest
import torch

from models.residual import energies, judge
from models.scaling import network_input
from models.split import Part, Run
from models.training import Epoch, TrainingConfig, TrainingError, reconstruct, train
from tests.model_samples import CONFIG, ROWS, RUNS, runs, signal, trained, windows

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


def test_the_best_epoch_is_what_is_kept() -> None:
    """The network's loss on the second part is the lowest that was told, not the last."""
    model = trained()
    held_out = [run.windows for run in runs(RUNS, ROWS) if run.name in model.runs[Part.STOP]]
    stop = np.concatenate([each[:: model.stride] for each in held_out])
    inputs = network_input(model.scaler.scaled(stop))
    loss = np.mean((reconstruct(model.network, inputs) - inputs) ** 2)
    assert loss == pytest.approx(min(epoch.stop_loss for epoch in model.epochs), rel=1e-4)


def test_calibration_stands_on_windows_that_did_not_fit() -> None:
    """Of the calibration runs' own scores a thousandth is above 1.0, computed here from the runs by name."""
    model = trained()
    assert not set(model.runs[Part.FIT]) & set(model.runs[Part.CALIBRATION])
    held_out = np.concatenate(
        [run.windows for run in runs(RUNS, ROWS) if run.name in model.runs[Part.CALIBRATION]]
    )
    scaled = model.scaler.scaled(held_out)
    _, score = judge(energies(scaled, reconstruct(model.network, network_input(scaled))), model.calibration)
    assert np.quantile(score, 0.999) == pytest.approx(1.0, rel=1e-3)


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
        values = run.windows.copy()
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
    monkeypatch.setattr("models.training._loss_on", lambda *_: float("nan"))
    with pytest.raises(TrainingError, match="no longer finite"):
        train(small_runs(), SMALL)
