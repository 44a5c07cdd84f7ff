"""The same scoring with torch, from the artifact's safetensors: what onnxruntime is held against."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import safetensors.torch
import torch
from safetensors import SafetensorError

from models.artifact import SAFETENSORS, ArtifactError, load_header, read_weights
from models.autoencoder import AutoencoderConfig, build
from models.masking import HiddenPrediction
from models.runtime import RuntimeModel

if TYPE_CHECKING:
    from pathlib import Path

    from models.runtime import Float32


def go_on(network: HiddenPrediction, ticks: Float32, memory: Float32) -> tuple[Float32, Float32]:
    """Run the network on ticks (B, n, C) behind those that left memory (B, D), which is empty where it begins."""
    with torch.inference_mode():
        before = torch.from_numpy(memory) if memory.shape[1] else torch.zeros(len(memory), network.memory)
        predicted, after = network.go_on(torch.from_numpy(ticks), before)
    return predicted.numpy(), after.numpy() if memory.shape[1] else memory


def load_torch_model(folder: Path, *, batch_size: int = 256) -> RuntimeModel:
    """Load an artifact to be run by torch. Raises ArtifactError where it cannot be used."""
    header = load_header(folder)
    size = header.network
    network = build(
        AutoencoderConfig(len(header.sensors), header.window, size.hidden, size.latent, size.layers, size.kind)
    )
    try:
        network.load_state_dict(safetensors.torch.load(read_weights(folder, header, SAFETENSORS)))
    except (SafetensorError, RuntimeError, ValueError) as error:
        raise ArtifactError(f"{folder / SAFETENSORS} does not fit header.json: {error}") from error
    if not all(bool(weight.isfinite().all()) for weight in network.state_dict().values()):
        raise ArtifactError(f"{folder / SAFETENSORS} holds weights that are no numbers: train it again")
    predicting = HiddenPrediction(network, size.hidden_together).eval()
    return RuntimeModel(header, partial(go_on, predicting), batch_size=batch_size)
