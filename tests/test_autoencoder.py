from dataclasses import replace

import pytest
import torch

from models.autoencoder import DIVERGENCE, KINDS, NOISE, AutoencoderConfig, Kind, LSTMAutoencoder, build

CONFIG = AutoencoderConfig(sensors=3, window=8, hidden=5, latent=2, layers=2)


def test_a_window_comes_back_in_its_shape() -> None:
    assert LSTMAutoencoder(CONFIG)(torch.zeros(4, 8, 3)).shape == (4, 8, 3)


def test_a_tick_is_rebuilt_from_itself_and_the_past() -> None:
    """What comes at tick 5 changes nothing of ticks 0 to 4."""
    torch.manual_seed(0)
    network = LSTMAutoencoder(CONFIG)
    before = torch.randn(1, 8, 3)
    after = before.clone()
    after[0, 5:] += 1
    with torch.no_grad():
        torch.testing.assert_close(network(before)[:, :5], network(after)[:, :5])
        assert not torch.equal(network(before)[:, 5], network(after)[:, 5])


def test_every_tick_passes_the_bottleneck() -> None:
    """Between the two LSTMs a tick is as many numbers as the configuration says."""
    network = LSTMAutoencoder(CONFIG)
    widths = []
    network.squeeze.register_forward_hook(lambda _layer, _inputs, output: widths.append(tuple(output.shape)))
    network(torch.zeros(4, 8, 3))
    assert widths == [(4, 8, 2)]


@pytest.mark.parametrize("kind", KINDS)
def test_in_service_every_kind_gives_the_same_answer_twice(kind: Kind) -> None:
    """Noise and drawn numbers are for training alone."""
    network = build(replace(CONFIG, kind=kind)).eval()
    windows = torch.randn(2, 8, 3)
    assert torch.equal(network(windows), network(windows))


@pytest.mark.parametrize(("kind", "differs"), [("plain", False), ("variational", True), ("denoising", True)])
def test_what_training_adds_is_random_but_for_the_plain_kind(kind: Kind, differs: bool) -> None:
    network = build(replace(CONFIG, kind=kind))
    windows = torch.randn(2, 8, 3)
    first, again = network.training_output(windows)[0], network.training_output(windows)[0]
    assert torch.equal(first, again) is not differs


def test_denoising_learns_from_noise_of_the_stated_size() -> None:
    """What reaches the encoder differs from the windows by NOISE: 0.3 within 2 % over 24,000 cells."""
    network = build(replace(CONFIG, kind="denoising"))
    seen: list[torch.Tensor] = []
    network.encoder.register_forward_pre_hook(lambda _layer, inputs: seen.append(inputs[0]))
    windows = torch.randn(1000, 8, 3)
    network.training_output(windows)
    assert float((seen[0] - windows).std()) == pytest.approx(NOISE, rel=0.02)


def test_the_divergence_is_that_of_two_normal_distributions() -> None:
    """Against torch's own, for means and variances that the layers are made to give."""
    network = build(replace(CONFIG, kind="variational"))
    means, log_variances = torch.tensor([0.5, -1.0]), torch.tensor([0.3, -2.0])
    for layer, value in ((network.squeeze, means), (network.get_submodule("spread"), log_variances)):
        torch.nn.init.zeros_(layer.weight)  # type: ignore[arg-type]  # a Linear's
        layer.bias = torch.nn.Parameter(value)
    normal = torch.distributions.Normal
    expected = torch.distributions.kl_divergence(
        normal(means, torch.exp(log_variances / 2)), normal(0.0, 1.0)
    ).sum()
    _, added = network.training_output(torch.zeros(4, 8, 3))
    assert added.item() == pytest.approx(DIVERGENCE * float(expected), rel=1e-5)
