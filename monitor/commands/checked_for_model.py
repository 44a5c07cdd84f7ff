"""What does not fit between recordings and the model that is to judge them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from models.scaling import Scaler
from monitor.cli import UserError
from monitor.commands.checked_recordings import out_of_order, usual_step

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from models.artifact import Header
    from simulator.recording import Recording

FAR = 20.0  # scales of training between the usual value there and here: another unit, or another machine
APART = 1.5  # times the model's period between two rows, or less by so much
SHOWN = 3  # names in a sentence


def check(recordings: Sequence[Recording], header: Header) -> Iterator[str]:
    """Sentences to warn with. Raises UserError where nothing could come of it."""
    if not recordings:
        raise UserError("there are no rows to judge: check the files and --assets")
    values = np.concatenate([each.values for each in recordings])  # (N, C)
    there = ~np.isnan(values)  # (N, C)
    names = [sensor.name for sensor in header.sensors]
    empty = [name for name, some in zip(names, there.any(axis=0), strict=True) if not some]
    if len(empty) == len(names):
        raise UserError(f"no sensor has a value in {len(values)} rows")
    if empty:
        yield f"{_some(empty)} without any value in {len(values)} rows: judged without"
    scaling = usual_scaling(header)
    for index in np.flatnonzero(there.any(axis=0)):
        column = values[there[:, index], index]
        middle, usual, scale = float(np.median(column)), float(scaling.center[index]), float(scaling.scale[index])
        if column.min() == column.max() and len(column) > 1:
            yield f"{names[index]} is {middle:g} in all of its {len(column)} values"
        if abs(middle - usual) > FAR * scale:
            unit = f" {header.sensors[index].unit}" if header.sensors[index].unit else ""
            yield (
                f"{names[index]} is about {middle:.4g} here, and was {usual:.4g} ± {scale:.2g}{unit} in the "
                "model's training: is it in another unit?"
            )
    yield from _times(recordings, header.period_ms)


def usual_scaling(header: Header) -> Scaler:
    """Where the sensors were in training, in their units.

    A model that compares assets with themselves scales each by a level of its own: what is usual is then the
    middle of these levels, and how far they lie apart where that is more than what one asset moves.
    """
    levels = getattr(header, "levels", None)
    if levels is None:
        return header.scaling()
    center = np.array([each.center for each in levels.of.values()], np.float32)  # (A, C)
    scale = np.array([each.scale for each in levels.of.values()], np.float32)  # (A, C)
    return Scaler(np.median(center, axis=0), np.maximum(center.std(axis=0), np.median(scale, axis=0)))


def _times(recordings: Sequence[Recording], period_ms: int) -> Iterator[str]:
    """How far apart rows are, and in which order they came."""
    yield from out_of_order(recordings)
    steps = {each.asset: usual_step(each) for each in recordings if len(each.time) > 1}
    odd = {name: step for name, step in steps.items() if not period_ms / APART <= step <= period_ms * APART}
    if odd:
        name, step = next(iter(odd.items()))
        others = f" (and of {len(odd) - 1} more runs)" if len(odd) > 1 else ""
        yield (
            f"the rows of {name}{others} are {step:g} ms apart, where the model takes a tick each {period_ms} ms: "
            + ("most of its windows lack values" if step > period_ms else "of each tick the last values are taken")
        )


def _some(names: Sequence[str]) -> str:
    """The first names, and how many there are more."""
    more = f" and {len(names) - SHOWN} more sensors" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
