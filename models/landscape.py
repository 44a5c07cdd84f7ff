"""Where windows lie against those that a model was trained on, and how far those deviate [pure].

A window is told by its last tick, because that is what the store keeps of it: the values (C,), and what the model
expected of them (C,). Two planes are laid through the training windows by principal components (Pearson 1901): one
through the values, which says where a machine runs, and one through what they differ by from what was expected,
which says how it deviates. Both are in units of the training windows' own deviation, sensor by sensor, so that no
sensor counts for more because its unit is smaller.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Meta

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Protocol

    from models.split import Run

    class Scoring(Protocol):
        """What is asked of a model (`models.runtime`)."""

        def level(self, asset: str) -> tuple[Float32, Float32] | None:
            """That of an asset of the training data."""

        def fit_level(self, values: Float32) -> tuple[Float32, Float32] | None:
            """That of another asset, by its rows."""

        def score(
            self, values: Float32, level: tuple[Float32, Float32] | None = None
        ) -> tuple[Float32, Float32, Float32]:
            """Contribution, expected and score of windows."""


Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

WINDOWS = 4_000  # of the training data, that planes are laid through
POINTS = 400  # of them are kept, to be shown
AT_ONCE = 256  # windows scored together
USUAL = 0.99  # of the training windows deviate by no more
PRESENT = 0.5  # of a window's sensors have to be there to place it
DIGITS = 6  # significant ones, that are kept of every number
MAX_SENSORS = 1000  # as models.artifact

Number = Annotated[float, Meta(ge=-3e38, le=3e38)]
Positive = Annotated[float, Meta(gt=0, le=3e38)]
Numbers = Annotated[tuple[Number, ...], Meta(min_length=1, max_length=MAX_SENSORS)]
Scales = Annotated[tuple[Positive, ...], Meta(min_length=1, max_length=MAX_SENSORS)]
Share = Annotated[float, Meta(ge=0, le=1.000001)]


class Plane(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Two principal components, and where the training windows lie on them."""

    center: Numbers  # (C,)
    scale: Scales  # (C,)
    axes: tuple[Numbers, Numbers]  # (2, C) of length 1, at right angles
    shares: tuple[Share, Share]  # of the variance, that each axis explains
    points: Annotated[tuple[tuple[Number, Number], ...], Meta(max_length=10 * POINTS)]


class Landscape(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is kept beside a model. `model` is the hash of the header that it belongs to."""

    format: Literal[1]
    model: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    windows: Annotated[int, Meta(ge=1)]  # that it was made of
    operation: Plane  # where machines run
    deviation: Plane  # how they deviate from what is expected
    usual: Annotated[tuple[Annotated[float, Meta(ge=0, le=3e38)], ...], Meta(min_length=1, max_length=MAX_SENSORS)]
    """(C,) by how much, in the sensor's unit, all but one in a hundred windows deviate at the most."""


def learn(model: Scoring, runs: Sequence[Run], model_hash: str) -> Landscape | None:
    """The landscape of the windows of runs, of some thousand of them; None where there are less than three."""
    told = list(_told(model, runs))
    if not told:
        return None
    actual, expected = (np.concatenate(each) for each in zip(*told, strict=True))  # (N, C)
    return of_windows(actual, expected, model_hash) if len(actual) > 2 else None  # noqa: PLR2004 - a plane's


def _told(model: Scoring, runs: Sequence[Run]) -> Iterator[tuple[Float32, Float32]]:
    """The last values and what was expected of them, of windows that lie evenly among all."""
    every = max(1, sum(len(run.tick) for run in runs) // WINDOWS)
    before = 0
    for run in runs:
        chosen = np.arange(-before % every, len(run.tick), every)
        before += len(run.tick)
        level = model.level(run.name) or model.fit_level(run.rows()) if len(chosen) else None
        for first in range(0, len(chosen), AT_ONCE):
            windows = np.ascontiguousarray(run.windows[chosen[first : first + AT_ONCE]], np.float32)  # (b, T, C)
            yield windows[:, -1], model.score(windows, level)[1]


def of_windows(actual: Float32, expected: Float32, model_hash: str) -> Landscape:
    """The landscape of N windows by their last values and what was expected of them, both (N, C), NaN = none."""
    off = actual.astype(np.float64) - expected  # (N, C)
    usual = [_quantile(np.abs(column)) for column in off.T]
    return Landscape(
        format=1,
        model=model_hash,
        windows=len(actual),
        operation=plane(actual.astype(np.float64)),
        deviation=plane(off),
        usual=tuple(_short(usual)),
    )


def plane(told: Float64) -> Plane:
    """The plane of the largest variance through N points (N, C), each sensor in units of its own deviation."""
    there = ~np.isnan(told)  # (N, C)
    count = np.maximum(there.sum(axis=0), 1)  # (C,)
    center = np.where(there, told, 0).sum(axis=0) / count  # (C,)
    scale = np.sqrt((np.where(there, told - center, 0) ** 2).sum(axis=0) / count)  # (C,)
    scale[~(scale > 1e-9 * np.maximum(np.abs(center), 1e-9))] = 1.0  # it never moved
    scaled = np.where(there, (told - center) / scale, 0)  # (N, C)
    _, singular, components = np.linalg.svd(scaled, full_matrices=False)
    axes = np.zeros((2, told.shape[1]))
    axes[: len(components)] = components[:2]
    axes *= np.where(axes[range(2), np.abs(axes).argmax(axis=1)] < 0, -1, 1)[:, None]  # else either sign would do
    power = singular**2
    shares = np.zeros(2)
    shares[: len(power)] = power[:2] / power.sum() if power.sum() > 0 else 0
    shown = scaled[:: -(-len(scaled) // POINTS)] @ axes.T  # (M, 2)
    return Plane(
        center=tuple(_short(center)),
        scale=tuple(_short(scale)),
        axes=(tuple(_short(axes[0])), tuple(_short(axes[1]))),
        shares=(float(shares[0]), float(shares[1])),
        points=tuple((round(x, 4), round(y, 4)) for x, y in shown.tolist()),
    )


def placed(where: Plane, told: Float32) -> Float64:
    """Where points (N, C) lie on a plane (N, 2); NaN where less than half of the sensors are there.

    A sensor that is missing is taken to be where it usually is.
    """
    scaled = (told - np.array(where.center)) / np.array(where.scale)  # (N, C)
    missing = np.isnan(scaled)
    found: Float64 = np.where(missing, 0, scaled) @ np.array(where.axes).T  # (N, 2)
    found[(~missing).mean(axis=1) < PRESENT] = np.nan
    return found


def mistake(given: Landscape, sensors: int, model_hash: str) -> str:
    """What of a landscape does not fit a model of so many sensors, in words; empty where all does."""
    if given.model != model_hash:
        return "it is of another model"
    planes = (given.operation, given.deviation)
    numbers = [given.usual, *(each for of in planes for each in (of.center, of.scale, *of.axes))]
    wrong = next((len(each) for each in numbers if len(each) != sensors), None)
    return "" if wrong is None else f"it has {wrong} numbers for {sensors} sensors"


def _quantile(values: Float64) -> float:
    there = values[~np.isnan(values)]
    return float(np.quantile(there, USUAL)) if len(there) else 0.0


def _short(values: Any) -> Iterator[float]:
    return (float(f"{value:.{DIGITS}g}") for value in np.asarray(values).tolist())
