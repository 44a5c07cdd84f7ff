"""A trained network as the bytes of the artifact's two weight files."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import safetensors.torch
import torch

if TYPE_CHECKING:
    from models.autoencoder import LSTMAutoencoder
    from models.masking import HiddenPrediction

OPSET = 17  # read by every onnxruntime since 1.13


def onnx_bytes(network: HiddenPrediction) -> bytes:
    """Hidden prediction as ONNX: `windows` (B, T, C) to `reconstruction` (B, T, C), with any B."""
    example = torch.zeros(2, network.config.window, network.config.sensors)  # (2, T, C)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        file = Path(folder) / "model.onnx"
        # The newer exporter needs one more package; this one is exact here, and tests compare the results.
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        # The checks of shapes inside torch's LSTM become constants of the graph: right, its shapes never change.
        warnings.filterwarnings("ignore", category=torch.jit.TracerWarning)  # type: ignore[attr-defined]  # is exported
        # About LSTM with a batch other than 1 and given initial states; ours start from zeros made for the batch.
        warnings.filterwarnings("ignore", message="Exporting a model to ONNX with a batch_size other than 1")
        torch.onnx.export(
            network.eval(),
            (example,),
            file,
            input_names=["windows"],
            output_names=["reconstruction"],
            dynamic_axes={"windows": {0: "batch"}, "reconstruction": {0: "batch"}},
            opset_version=OPSET,
            dynamo=False,
        )
        return file.read_bytes()


def safetensors_bytes(network: LSTMAutoencoder) -> bytes:
    """The weights by name, as safetensors."""
    content: bytes = safetensors.torch.save(
        {name: weight.contiguous() for name, weight in network.state_dict().items()}
    )
    return content
