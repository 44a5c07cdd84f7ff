"""A trained network as the bytes of the artifact's two weight files."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import safetensors.torch
import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from models.autoencoder import LSTMAutoencoder
    from models.masking import HiddenPrediction

OPSET = 17  # read by every onnxruntime since 1.13
INPUTS, OUTPUTS = ("windows", "memory"), ("reconstruction", "memory_after")


class _GoingOn(nn.Module):
    """Hidden prediction of ticks behind others, as a module to be exported."""

    def __init__(self, network: HiddenPrediction) -> None:
        super().__init__()
        self.network = network

    def forward(self, windows: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        return self.network.go_on(windows, memory)


def onnx_bytes(network: HiddenPrediction) -> bytes:
    """Hidden prediction as ONNX, with any B and n.

    `windows` (B, n, C), of which `memory` (B, D) is what the network carries from the ticks before, zeros where it
    begins, to `reconstruction` (B, n, C) and `memory_after` (B, D).
    """
    config = network.config
    example = torch.zeros(2, config.window, config.sensors), torch.zeros(2, network.memory)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        file = Path(folder) / "model.onnx"
        # The newer exporter needs one more package; this one is exact here, and tests compare the results.
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        # The checks of shapes inside torch's LSTM become constants of the graph: right, they hold for any B and n.
        warnings.filterwarnings("ignore", category=torch.jit.TracerWarning)  # type: ignore[attr-defined]  # is exported
        # About LSTM with a batch other than 1 and initial states of a fixed one; ours come with the batch.
        warnings.filterwarnings("ignore", message="Exporting a model to ONNX with a batch_size other than 1")
        torch.onnx.export(
            _GoingOn(network.eval()),
            example,
            file,
            input_names=list(INPUTS),
            output_names=list(OUTPUTS),
            dynamic_axes={
                "windows": {0: "batch", 1: "ticks"},
                "memory": {0: "batch"},
                "reconstruction": {0: "batch", 1: "ticks"},
                "memory_after": {0: "batch"},
            },
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
