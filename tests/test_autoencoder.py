import torch

from models.autoencoder import AutoencoderConfig, LSTMAutoencoder

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
