"""What is wrong with recordings, or looks wrong, before anything is trained on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from monitor.cli import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from monitor.records import Float32, Float64
    from simulator.recording import Recording

COARSE = 1.5  # ticks between a recording's rows: from here on most of its windows are full of holes
FINE = 1.5  # rows in a tick
OTHER_UNIT = 5.0  # times: two assets whose values never overlap and differ so much may be in different units
QUANTILES = (0.02, 0.5, 0.98)  # by which assets are compared
NO_MEMORY = 0.9  # of the variance of a step against twice the variance: 1.0 is noise, or rows in random order
ROWS_FOR_MEMORY = 100


def check(recordings: Sequence[Recording], *, period_ms: int, hold_ms: int, remedy: str) -> Iterator[str]:
    """Sentences to warn with. Raises UserError for what no model can be made of; `remedy` is for empty sensors."""
    refuse_empty_sensors(recordings, remedy)
    _refuse_coarse(recordings, max(period_ms, hold_ms), period_ms)
    yield from constant_sensors(recordings)
    yield from _fine(recordings, period_ms)
    yield from out_of_order(recordings)
    yield from _no_memory(recordings)
    yield from _other_units(recordings)


def check_rows(recordings: Sequence[Recording], *, remedy: str) -> Iterator[str]:
    """As `check`, for rows without time."""
    refuse_empty_sensors(recordings, remedy)
    yield from constant_sensors(recordings)
    yield from _other_units(recordings)


def refuse_empty_sensors(recordings: Sequence[Recording], remedy: str) -> None:
    """Raises UserError where a sensor has no value at all."""
    present = np.sum([np.count_nonzero(~np.isnan(each.values), axis=0) for each in recordings], axis=0)  # (C,)
    empty = [name for name, count in zip(recordings[0].sensors, present, strict=True) if count == 0]
    if empty:
        rows = sum(len(each.time) for each in recordings)
        raise UserError(f"no value in {rows} rows of {', '.join(empty)}: {remedy}")


def constant_sensors(recordings: Sequence[Recording]) -> Iterator[str]:
    """A sentence for each sensor that never moves. Raises UserError where none does.

    Each has some value.
    """
    sensors = recordings[0].sensors
    lowest, highest = np.full(len(sensors), np.inf), np.full(len(sensors), -np.inf)  # (C,) each
    for each in recordings:
        lowest = np.fmin(lowest, np.fmin.reduce(each.values, axis=0, initial=np.inf))
        highest = np.fmax(highest, np.fmax.reduce(each.values, axis=0, initial=-np.inf))
    still = np.flatnonzero(lowest == highest)
    rows = sum(len(each.time) for each in recordings)
    if len(still) == len(sensors) and rows > 1:
        raise UserError(f"no sensor moves in {rows} rows, {sensors[0]} is always {lowest[0]:g}: nothing to learn")
    if rows == 1:  # whatever moves: one row cannot show it
        return
    for index in still:
        count = sum(np.count_nonzero(~np.isnan(each.values[:, index])) for each in recordings)
        yield (
            f"{sensors[index]} is {lowest[index]:g} in all of its {count} values: any other value will count as"
            " far from normal"
        )


def usual_step(recording: Recording) -> float:
    """The usual time between its rows, ms."""
    return float(np.median(np.diff(recording.time))) if len(recording.time) > 1 else np.nan


def _refuse_coarse(recordings: Sequence[Recording], bridged_ms: int, period_ms: int) -> None:
    coarse = [each for each in recordings if usual_step(each) > COARSE * bridged_ms]
    if coarse:
        others = f", and of {len(coarse) - 1} more" if len(coarse) > 1 else ""
        raise UserError(
            f"the rows of {coarse[0].asset}{others} are {usual_step(coarse[0]):.0f} ms apart, where a tick is"
            f" {period_ms} ms: take a longer --period-ms for all, leave them out with --assets, or bridge"
            " them with --hold-ms"
        )


def _fine(recordings: Sequence[Recording], period_ms: int) -> Iterator[str]:
    fine = [each for each in recordings if usual_step(each) * FINE < period_ms]
    if fine:
        others = f", and of {len(fine) - 1} more," if len(fine) > 1 else ""
        yield (
            f"the rows of {fine[0].asset}{others} are {usual_step(fine[0]):.0f} ms apart, where a tick is"
            f" {period_ms} ms: of each tick the last values are taken, as the daemon does"
        )


def out_of_order(recordings: Sequence[Recording]) -> Iterator[str]:
    """A sentence where rows came before their time."""
    rows = sum(each.out_of_order for each in recordings)
    if rows:
        first = next(each for each in recordings if each.out_of_order)
        everything = sum(len(each.time) for each in recordings)
        yield f"{rows} of {everything} rows came before their time, the first of {first.asset}: sorted by time"


def _no_memory(recordings: Sequence[Recording]) -> Iterator[str]:
    """By von Neumann's ratio (1941): of rows in random order, neighbours are as far apart as any two rows."""
    long = [each.values for each in recordings if len(each.values) >= ROWS_FOR_MEMORY]
    if not long:
        return
    step = np.sum([_squares(np.diff(values, axis=0)) for values in long], axis=0) / 2  # (C,)
    spread = np.sum([_squares(values - _mean(values)) for values in long], axis=0)  # (C,)
    moving = spread > 0
    if moving.any() and (step[moving] / spread[moving]).min() > NO_MEMORY:
        yield (
            f"in {sum(map(len, long))} rows neighbours are no more alike than any two rows are: if they are in no"
            " order of time, take --tabular"
        )


def _squares(values: Float32 | Float64) -> Float64:
    """The sum over the rows (C,), missing cells left out."""
    total: Float64 = np.nansum(np.square(values, dtype=np.float64), axis=0)
    return total


def _mean(values: Float32) -> Float64:
    """The mean over the rows (C,); 0 where there is no value."""
    count = np.maximum(np.count_nonzero(~np.isnan(values), axis=0), 1)
    mean: Float64 = np.nansum(values, axis=0, dtype=np.float64) / count
    return mean


def _other_units(recordings: Sequence[Recording]) -> Iterator[str]:
    """A sentence for each sensor that in some asset lies wholly elsewhere, by a factor, than in most."""
    for index, name in enumerate(recordings[0].sensors):
        columns = [each.values[:, index][~np.isnan(each.values[:, index])] for each in recordings]
        there = [number for number, column in enumerate(columns) if len(column)]
        low, middle, high = np.transpose(
            [np.quantile(columns[number], QUANTILES) for number in there]
        )  # (A,) each
        usual = float(np.median(middle))
        far = (low > OTHER_UNIT * usual) | (high < usual / OTHER_UNIT) & (low > 0)  # (A,)
        if usual > 0 and far.any():
            odd = int(np.argmax(far))
            yield (
                f"{name} is about {middle[odd]:.4g} in {recordings[there[odd]].asset} and about {usual:.4g} in"
                " most others: is it in another unit there?"
            )
