"""Hidden prediction: what is said of a sensor does not depend on what the sensor itself says."""

from __future__ import annotations

import numpy as np
import torch

from models.autoencoder import AutoencoderConfig, LSTMAutoencoder
from models.masking import GROUPS, HiddenPrediction, deal

CONFIG = AutoencoderConfig(sensors=5, window=6, hidden=4, latent=2)


def network() -> LSTMAutoencoder:
    torch.manual_seed(0)
    return LSTMAutoencoder(CONFIG).eval()


def test_a_sensor_has_no_say_in_its_own_prediction() -> None:
    """Whatever it reports, its prediction stays, bit for bit; that of a sensor in another group does not."""
    predicting = HiddenPrediction(network(), (0, 1, 2, 0, 1)).eval()
    windows = torch.randn(3, 6, 5)
    changed = windows.clone()
    changed[:, :, 1] += 5
    before, after = predicting(windows), predicting(changed)
    assert torch.equal(before[:, :, 1], after[:, :, 1])
    assert torch.equal(before[:, :, 4], after[:, :, 4])  # hidden together with it
    assert not torch.equal(before[:, :, 0], after[:, :, 0])


def test_it_is_the_network_with_the_group_hidden() -> None:
    plain, group = network(), (0, 1, 1, 0, 2)
    windows = torch.randn(2, 6, 5)
    predicted = HiddenPrediction(plain, group).eval()(windows)
    for sensor, number in enumerate(group):
        shown = torch.tensor([each != number for each in group])
        torch.testing.assert_close(predicted[:, :, sensor], plain(windows * shown)[:, :, sensor])


def test_without_groups_nothing_is_hidden() -> None:
    plain, windows = network(), torch.randn(2, 6, 5)
    assert torch.equal(HiddenPrediction(plain, ())(windows), plain(windows))


def test_sensors_that_go_together_are_dealt_apart() -> None:
    """Two trios, each of one signal: no group has two of a trio, and no group is larger than it must be."""
    random = np.random.default_rng(0)
    signals = random.normal(size=(500, 2))
    rows = np.repeat(signals, 3, axis=1) + 0.1 * random.normal(size=(500, 6))
    group = deal(rows.astype(np.float32))
    assert len(set(group[:3])) == len(set(group[3:])) == 3
    assert max(np.bincount(group)) == 2
    assert max(group) < GROUPS


def test_few_sensors() -> None:
    """Two hide one after the other; one alone is not hidden, there is nothing to predict it from."""
    rows = np.random.default_rng(0).normal(size=(50, 2)).astype(np.float32)
    assert sorted(deal(rows)) == [0, 1]
    assert deal(rows[:, :1]) == ()


def test_constant_and_missing_sensors_are_dealt_too() -> None:
    rows = np.full((50, 3), np.nan, np.float32)
    rows[:, 0] = 1
    assert sorted(deal(rows)) == [0, 1, 2]
