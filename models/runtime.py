"""Score batches of windows: the artifact's network run by onnxruntime. Neither torch nor safetensors is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from models.artifact import ONNX, ArtifactError, Header, load_header, read_weights
from models.residual import energies, judge
from models.scaling import network_input

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Float32 = npt.NDArray[np.float32]

ERRORS_ONLY = 3  # onnxruntime's log level


class RuntimeModel:
    """A model that scores; satisfies `Model` of the monitor's records.

    `reconstruct` runs the network on its input (b, T, C); it is never called with more than `batch_size` windows.
    """

    def __init__(self, header: Header, reconstruct: Callable[[Float32], Float32], *, batch_size: int) -> None:
        self.header = header
        self.reconstruct = reconstruct
        self._scaler = header.scaling()
        self._usual = header.usual()
        self._batch_size = batch_size

    @property
    def window(self) -> int:
        """T, the ticks in a window."""
        return self.header.window

    def score(self, values: Float32) -> tuple[Float32, Float32, Float32]:
        """Score B windows (B, T, C) in the sensors' units, NaN = missing.

        Returns contribution (B, C), the calibrated score of every sensor, NaN where it is missing; expected
        (B, C), the reconstruction of the last tick in the sensors' units; and score (B,), the largest
        contribution of each window, NaN where no sensor contributes. Raises ValueError for another T or C.
        """
        rows, shape = len(values), (self.header.window, len(self.header.sensors))
        if values.shape[1:] != shape:
            raise ValueError(f"windows of shape {values.shape[1:]}, the model takes {shape}")
        contribution = np.empty((rows, shape[1]), np.float32)
        expected = np.empty((rows, shape[1]), np.float32)
        score = np.empty(rows, np.float32)
        for start in range(0, rows, self._batch_size):
            part = slice(start, start + self._batch_size)
            scaled = self._scaler.scaled(values[part])  # (b, T, C)
            reconstruction = self.reconstruct(network_input(scaled))  # (b, T, C)
            contribution[part], score[part] = judge(energies(scaled, reconstruction), self._usual)
            expected[part] = self._scaler.unscaled(reconstruction[:, -1])
        return contribution, expected, score


def load_model(folder: Path, *, threads: int = 1, batch_size: int = 256) -> RuntimeModel:
    """Load an artifact to be run on `threads` threads. Raises ArtifactError where it cannot be used."""
    header = load_header(folder)
    weights = read_weights(folder, header, ONNX)
    try:
        session = onnxruntime.InferenceSession(weights, _options(threads), providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors share no other base
        raise ArtifactError(f"{folder / ONNX} cannot be run: {str(error).splitlines()[0]}") from error
    ports = [port.shape[1:] for port in (*session.get_inputs(), *session.get_outputs())]
    if ports != [[header.window, len(header.sensors)]] * 2:
        raise ArtifactError(f"{folder / ONNX} takes and gives {ports}, not what header.json says")
    name = session.get_inputs()[0].name

    def reconstruct(windows: Float32) -> Float32:
        output: Float32 = session.run(None, {name: windows})[0]
        return output

    return RuntimeModel(header, reconstruct, batch_size=batch_size)


def _options(threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Idle threads sleep: the daemon shares its machine, and spinning would look like load.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = ERRORS_ONLY
    return options
