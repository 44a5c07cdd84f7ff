"""Scoring with the shipped model: as the line does it, window by window by onnxruntime, and by torch.

All run the same weights on one thread, from values in the sensors' units to score, contribution and expectation.
The line scores the windows of 256 streams that follow each other by a tick: the network goes on where it was, and
sees each stream's window as a whole now and then (`monitor.carry`). Torch is given as many, all as wholes.
The share of the machine's peak counts the multiplications and additions of the network's matrices alone, against
those of a large matrix product of one thread.
"""

from __future__ import annotations

import time
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.speed.figures import Figure
from models.pretrained import folder
from models.runtime import load_model
from monitor.carry import CarryConfig, CarryState, predict
from monitor.records import Windows
from simulator.fleet import Fleet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from models.artifact import Header
    from models.runtime import Float32, RuntimeModel

BATCH = 256
WINDOWS = 4 * BATCH
MATRIX = 2_048  # rows and columns of the matrix product


def as_the_line_does(repeats: int) -> Iterator[tuple[float, float]]:
    """Windows a second of CPU time: of streams side by side, tick by tick; and as wholes by torch."""
    model, torch_model, values = load_model(folder("engine")), _by_torch(), _windows()
    for _ in range(repeats):
        yield _follow(model, values), _rate(WINDOWS, lambda: torch_model.score(values))


def whole_windows(repeats: int) -> Iterator[tuple[float, float]]:
    """Windows a second of CPU time, nothing of one used for another, by both."""
    model, torch_model, values = load_model(folder("engine")), _by_torch(), _windows()
    for _ in range(repeats):
        yield _rate(WINDOWS, lambda: model.score(values)), _rate(WINDOWS, lambda: torch_model.score(values))


def share_of_the_peak(repeats: int) -> Iterator[tuple[float, float]]:
    """Operations on floats a second, of whole windows and of one large matrix product."""
    model, values = load_model(folder("engine")), _windows()
    work = WINDOWS * operations(model.header)
    matrix = np.random.default_rng(0).normal(size=(MATRIX, MATRIX)).astype(np.float32)
    for _ in range(repeats):
        yield _rate(work, lambda: model.score(values)), _rate(2 * MATRIX**3, lambda: matrix @ matrix)


def operations(header: Header) -> int:
    """Multiplications and additions of the matrices for one window."""
    sensors, size = len(header.sensors), header.network
    assert size.layers == 1, "counted for one layer"
    encoder = 4 * size.hidden * (sensors + size.hidden)
    decoder = 4 * size.hidden * (size.latent + size.hidden)
    between = size.hidden * size.latent + size.hidden * sensors
    passes = max(size.hidden_together, default=0) + 1
    return 2 * header.window * passes * (encoder + decoder + between)


def _follow(model: RuntimeModel, values: Float32) -> float:
    """Rows a second of BATCH streams, each a tick further than the one before, for a window's length."""
    length, sensors = model.window, len(model.header.sensors)
    stream, keys = np.arange(BATCH, dtype=np.int32), [f"plant//engine-{number}" for number in range(BATCH)]
    config = CarryConfig(model.memory, length, model.judged)
    state = CarryState.empty(config, sensors, BATCH)
    past = np.concatenate([values[:BATCH], values[BATCH : 2 * BATCH]], axis=1)  # (B, 2 T, C)
    ready, ones = np.ones(BATCH, np.bool_), np.ones(BATCH, np.int32)

    def row(tick: int) -> None:
        last = past[:, tick - model.judged : tick]
        windows = Windows(
            stream,
            np.full(BATCH, tick),
            last,
            last[:, -1],
            ones.astype(np.uint8),
            ones,
            ones,
            ones.astype(np.uint8),
            ~ready,
        )
        whole = past[:, tick - length : tick]
        predicted = predict(state, config, model, keys, windows, ready, lambda of: whole[of], None)
        model.judge(last, predicted)

    def a_windows_length() -> None:
        for tick in range(length + 1, 2 * length + 1):
            row(tick)

    row(length)  # all begin here with a whole window, which is not the usual
    return _rate(length * BATCH, a_windows_length)


def _by_torch() -> RuntimeModel:
    import torch  # noqa: PLC0415 - it is of the extra `train`

    from models.torch_runtime import load_torch_model  # noqa: PLC0415 - as above

    torch.set_num_threads(1)
    return load_torch_model(folder("engine"))


@cache
def _windows() -> Float32:
    """Of a simulated fleet (B, T, C), in the sensors' units."""
    length = load_model(folder("engine")).window
    values = Fleet(BATCH, seed=5).block(WINDOWS // BATCH * length).values.astype(np.float32)  # (T, N, C)
    parts = [values[start : start + length].transpose(1, 0, 2) for start in range(0, len(values), length)]
    return np.ascontiguousarray(np.concatenate(parts))


def _rate(count: int, work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return count / (time.process_time() - began)


FIGURES = (
    Figure(
        name="scoring",
        ours=f"windows a second, of {BATCH} streams that go on tick by tick as in the line, onnxruntime",
        reference=f"as wholes, {BATCH} at a time, the same weights by torch eager",
        unit="windows/s",
        pairs=as_the_line_does,
        bar=1.5,
        aim=3.0,
    ),
    Figure(
        name="scoring, whole windows",
        ours=f"windows a second, {BATCH} at a time, nothing of one used for another, onnxruntime",
        reference="the same by torch eager",
        unit="windows/s",
        pairs=whole_windows,
        bar=1.5,
        aim=3.0,
    ),
    Figure(
        name="share of the peak",
        ours="operations of the network's matrices a second, whole windows",
        reference=f"those of a product of matrices of {MATRIX:,} by {MATRIX:,}",
        unit="FLOP/s",
        pairs=share_of_the_peak,
    ),
)
