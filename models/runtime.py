"""Score batches of windows: the artifact's network run by onnxruntime. Neither torch nor safetensors is needed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

# Else onnxruntime (from 1.29 on) gathers reports for its maker, in a file in the user's cache.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
import onnxruntime  # reads that when it is loaded

from models.artifact import ONNX, ArtifactError, Header, load_header, read_weights
from models.level import Level, level_of, moments
from models.residual import energies, judge
from models.scaling import network_input

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

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
        self.lasting = header.lasting_usual()

    @property
    def window(self) -> int:
        """T, the ticks in a window."""
        return self.header.window

    @property
    def level_rows(self) -> int:
        """Rows of a new asset that say what its level is; 0 = assets are not compared with themselves."""
        return 0 if self.header.levels is None else self.header.levels.rows

    def level(self, asset: str) -> tuple[Float32, Float32] | None:
        """Center and scale (C,) of an asset of the training data; None = it is not one."""
        found = self.header.level(asset)
        return None if found is None else (found.center, found.scale)

    def level_from(self, mean: Float64, variance: Float64) -> tuple[Float32, Float32]:
        """Center and scale (…, C) by mean and variance of an asset's rows; only where there are levels."""
        assert self.header.levels is not None
        found = level_of(mean, variance, np.array(self.header.levels.least, np.float32))
        return found.center, found.scale

    def fit_level(self, values: Float32) -> tuple[Float32, Float32] | None:
        """Center and scale (C,) of a new asset by its first rows (N, C); None where there are no levels."""
        return None if self.header.levels is None else self.level_from(*moments(values)[1:])

    def score(
        self, values: Float32, level: tuple[Float32, Float32] | None = None
    ) -> tuple[Float32, Float32, Float32]:
        """Score B windows (B, T, C) in the sensors' units, NaN = missing.

        `level` is the center and the scale of the windows' assets, both (C,) of one asset or (B, C), where assets
        are compared with themselves. Returns contribution (B, C), the calibrated score of every sensor, NaN where
        it is missing; expected (B, C), what the other sensors say of the last tick in the sensors' units; score
        (B,), NaN where no sensor contributes. Raises ValueError for another T or C, and without levels where they
        are needed.
        """
        rows, shape = len(values), (self.header.window, len(self.header.sensors))
        if values.shape[1:] != shape:
            raise ValueError(f"windows of shape {values.shape[1:]}, the model takes {shape}")
        if level is None and self.header.levels is not None:
            raise ValueError("this model compares assets with themselves: say what the level of these is")
        of_rows = None
        if level is not None and self.header.levels is not None:
            of_rows = [np.broadcast_to(each, (rows, shape[1])) for each in level]  # (B, C) each
        contribution = np.empty((rows, shape[1]), np.float32)
        expected = np.empty((rows, shape[1]), np.float32)
        score = np.empty(rows, np.float32)
        for start in range(0, rows, self._batch_size):
            part = slice(start, start + self._batch_size)
            own = None if of_rows is None else Level(of_rows[0][part], of_rows[1][part])
            here = values[part]
            if own is not None:
                here = Level(own.center[:, None], own.scale[:, None]).scaled(here)
            scaled = self._scaler.scaled(here)  # (b, T, C)
            predicted = self.reconstruct(network_input(scaled))  # (b, T, C)
            contribution[part], score[part] = judge(energies(scaled, predicted), self._usual)
            last = self._scaler.unscaled(predicted[:, -1])
            expected[part] = last if own is None else own.unscaled(last)
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

    shape = header.window, len(header.sensors)
    try:
        tried = reconstruct(network_input(np.zeros((1, *shape), np.float32)))  # (1, T, C)
    except Exception as error:  # as above
        raise ArtifactError(f"{folder / ONNX} cannot be run: {str(error).splitlines()[0]}") from error
    if tried.shape != (1, *shape) or not np.isfinite(tried).all():
        raise ArtifactError(f"{folder / ONNX} gives no number for a window of zeros: train it again")
    return RuntimeModel(header, reconstruct, batch_size=batch_size)


def _options(threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Idle threads sleep: the daemon shares its machine, and spinning would look like load.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = ERRORS_ONLY
    return options
