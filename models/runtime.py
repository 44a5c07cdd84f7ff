"""Score batches of windows: the artifact's network run by onnxruntime. Neither torch nor safetensors is needed."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

# Else onnxruntime (from 1.29 on) gathers reports for its maker, in a file in the user's cache.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
import onnxruntime  # reads that when it is loaded

from models.artifact import ONNX, ArtifactError, Header, load_header, read_weights
from models.level import Level, level_of, moments
from models.residual import energies_of, judge
from models.scaling import network_input

if TYPE_CHECKING:
    from pathlib import Path

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

JUDGED_AT_ONCE = 1_024  # windows; bounds the memory, and keeps it in the processor's caches
ERRORS_ONLY = 3  # onnxruntime's log level


GoOn = Callable[[Float32, Float32], tuple[Float32, Float32]]


class RuntimeModel:
    """A model that scores; satisfies `CarryingModel` of the monitor's records.

    `go_on` runs the network on its input, ticks (b, n, C), behind those that made memory (b, D): it returns what
    is predicted of them (b, n, C), and the memory they leave. It is never called with more cells than `batch_size`
    windows have.
    """

    def __init__(self, header: Header, go_on: GoOn, *, batch_size: int) -> None:
        self.header = header
        self._go_on = go_on
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

    @property
    def memory(self) -> int:
        """D, the numbers that the network carries from tick to tick; 0 = it takes whole windows only."""
        return self.header.network.memory

    @property
    def judged(self) -> int:
        """J, the ticks at the end of a window that are judged."""
        return self.header.judged

    def reconstruct(self, windows: Float32) -> Float32:
        """Run the network on its input, whole windows (B, T, C)."""
        return self._go_on(windows, np.zeros((len(windows), self.memory), np.float32))[0]

    def predict(
        self,
        values: Float32,
        level: tuple[Float32, Float32] | None = None,
        memory: Float32 | None = None,
    ) -> tuple[Float32, Float32]:
        """What the other sensors say of every sensor, in n ticks (B, n, C) in the sensors' units, NaN = missing.

        `memory` (B, D) is what the ticks before have left; None = there are none. `level` is as in `score`.
        Returns the prediction (B, n, C) in scaled units, for `judge`, and the memory behind it (B, D).
        """
        rows, ticks, sensors = values.shape
        memory = np.zeros((rows, self.memory), np.float32) if memory is None else memory
        of_rows = self._level_of_rows(rows, level)
        predicted = np.empty((rows, ticks, sensors), np.float32)
        after = np.empty_like(memory)
        at_once = max(self._batch_size * self.window // max(ticks, 1), 1)
        for start in range(0, rows, at_once):
            part = slice(start, start + at_once)
            shown = network_input(self._scaled(values[part], of_rows, part))
            predicted[part], after[part] = self._go_on(shown, memory[part])
        return predicted, after

    def judge(
        self, values: Float32, predicted: Float32, level: tuple[Float32, Float32] | None = None
    ) -> tuple[Float32, Float32, Float32]:
        """Judge the last J ticks (B, J, C) of windows by what is predicted of them; returns what `score` does."""
        rows, _, sensors = values.shape
        of_rows = self._level_of_rows(rows, level)
        contribution = np.empty((rows, sensors), np.float32)
        expected = np.empty((rows, sensors), np.float32)
        score = np.empty(rows, np.float32)
        for start in range(0, rows, JUDGED_AT_ONCE):
            part = slice(start, start + JUDGED_AT_ONCE)
            found = energies_of(self._scaled(values[part], of_rows, part), predicted[part])
            contribution[part], score[part] = judge(found, self._usual)
            last = self._scaler.unscaled(predicted[part, -1])
            expected[part] = last if of_rows is None else of_rows.of(part).unscaled(last)
        return contribution, expected, score

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
        shape = self.header.window, len(self.header.sensors)
        if values.shape[1:] != shape:
            raise ValueError(f"windows of shape {values.shape[1:]}, the model takes {shape}")
        predicted, _ = self.predict(values, level)
        return self.judge(values[:, -self.judged :], predicted[:, -self.judged :], level)

    def _level_of_rows(self, rows: int, level: tuple[Float32, Float32] | None) -> Level | None:
        """The level (B, C) of every row; None where assets are not compared with themselves."""
        if self.header.levels is None:
            return None
        if level is None:
            raise ValueError("this model compares assets with themselves: say what the level of these is")
        shape = rows, len(self.header.sensors)
        return Level(*(np.broadcast_to(each, shape) for each in level))

    def _scaled(self, values: Float32, level: Level | None, part: slice) -> Float32:
        """Values (b, n, C) of some of the rows that `level` is of, in scaled units."""
        if level is not None:
            own = level.of(part)
            values = Level(own.center[:, None], own.scale[:, None]).scaled(values)
        return self._scaler.scaled(values)


def load_model(folder: Path, *, threads: int = 1, batch_size: int = 32) -> RuntimeModel:
    """Load an artifact to be run on `threads` threads. Raises ArtifactError where it cannot be used."""
    header = load_header(folder)
    weights = read_weights(folder, header, ONNX)
    try:
        session = onnxruntime.InferenceSession(weights, _options(threads), providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors share no other base
        raise ArtifactError(f"{folder / ONNX} cannot be run: {str(error).splitlines()[0]}") from error
    both = session.get_inputs(), session.get_outputs()
    inputs, outputs = ([port.shape[1:] for port in ports] for ports in both)
    sensors, memory = len(header.sensors), header.network.memory
    wanted = [["ticks", sensors], [memory]] if memory else [[header.window, sensors]]
    if inputs != wanted or outputs != wanted:
        raise ArtifactError(f"{folder / ONNX} takes {inputs} and gives {outputs}, not what header.json says")
    names = [port.name for port in session.get_inputs()]

    def go_on(ticks: Float32, before: Float32) -> tuple[Float32, Float32]:
        given = zip(names, (ticks, before), strict=False)  # one of an earlier release takes whole windows alone
        predicted, *after = session.run(None, dict(given))
        return predicted, after[0] if after else before

    windows = network_input(np.zeros((1, header.window, sensors), np.float32))
    try:
        tried = go_on(windows, np.zeros((1, memory), np.float32))
    except Exception as error:  # as above
        raise ArtifactError(f"{folder / ONNX} cannot be run: {str(error).splitlines()[0]}") from error
    shapes = [windows.shape, (1, memory)]
    if [each.shape for each in tried] != shapes or not all(np.isfinite(each).all() for each in tried):
        raise ArtifactError(f"{folder / ONNX} gives no number for a window of zeros: train it again")
    return RuntimeModel(header, go_on, batch_size=batch_size)


def _options(threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Idle threads sleep: the daemon shares its machine, and spinning would look like load.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = ERRORS_ONLY
    return options
