"""The same scoring with torch, from the artifact's safetensors: what onnxruntime is held against."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import safetensors.torch
from safetensors import SafetensorError

from models.artifact import SAFETENSORS, ArtifactError, load_header, read_weights
from models.autoencoder import AutoencoderConfig, build
from models.masking import HiddenPrediction
from models.runtime import RuntimeModel
from models.training import reconstruct

if TYPE_CHECKING:
    from pathlib import Path


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
    return RuntimeModel(header, partial(reconstruct, predicting), batch_size=batch_size)
