"""Recorded rows through the daemon's own alignment, and cut into windows as the daemon cuts them.

All recordings go side by side, as streams of one class. The windows are views of the aligned ticks: copies, one
for every tick, would take T times the memory. A test holds them against `monitor.window` one by one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from models.split import Run, Taken
from monitor import align
from monitor.records import Outcome, Readings
from monitor.regime import RegimeConfig, first_ticks

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from monitor.records import Bool, Float32, Int64
    from simulator.recording import Recording

END_OF_TIME = 2**60  # ms; closes every tick
PIECE = 2_000  # rows
MIN_COVERAGE = 0.5  # share of a window's cells that must be there to score it: the daemon's default


def windows_of(
    recordings: Sequence[Recording],
    *,
    period_ms: int,
    window: int,
    hold_ms: int = 0,
    regimes: RegimeConfig | None = None,
) -> list[Run]:
    """The windows (B, T, C) that end at each tick of each recording.

    A recording is one run, or several where a gap longer than a window interrupts it. Windows with more than
    half of their cells missing are left out, as they are never scored; so are windows with a tick in a regime that
    is not scored or in the blanking after it, and runs without any window.
    """
    runs = []
    aligned = _ticks(recordings, period_ms=period_ms, window=window, hold_ms=hold_ms, regimes=regimes)
    for recording, (tick, values, gap, first) in zip(recordings, aligned, strict=True):
        for piece in np.split(np.arange(len(tick)), np.flatnonzero(gap)):
            if len(piece) >= window:
                run = cut(recording.asset, tick[piece], values[piece], window, first[piece])
                runs += [run] if len(run.tick) else []
    return runs


def _ticks(
    recordings: Sequence[Recording], *, period_ms: int, window: int, hold_ms: int, regimes: RegimeConfig | None
) -> Iterator[tuple[Int64, Float32, Bool, Int64]]:
    """Of each recording: its ticks (N,), their values (N, C), which of them follow a gap (N,).

    And for each (N,) the first tick that a window which ends there may hold.
    """
    config = align.AlignConfig(
        sensors=len(recordings[0].sensors),
        period_ms=period_ms,
        lateness_ms=0,  # recorded rows are in order
        one_reading_per_tick=False,
        hold_ms=hold_ms,
        max_ahead_ms=0,
        repeat_ticks=1,
        gap_ticks=window,
    )
    pieces = [piece for number, each in enumerate(recordings) for piece in _pieces(number, each, config)]
    state = align.AlignState.empty(config, len(pieces))
    time = np.concatenate([recordings[piece.recording].time[piece.rows] for piece in pieces])
    lengths = [piece.rows.stop - piece.rows.start for piece in pieces]
    readings = Readings(
        stream=np.repeat(np.arange(len(pieces), dtype=np.int32), lengths),
        time=time,
        arrival=time,
        values=np.concatenate([recordings[piece.recording].values[piece.rows] for piece in pieces]),
    )
    frames, _ = align.push(state, config, readings, 0, np.zeros(len(Outcome), np.int64))
    frames += align.tick_over(state, config, END_OF_TIME, 0)
    stream = np.concatenate([each.stream for each in frames])
    tick = np.concatenate([each.tick for each in frames])
    values = np.concatenate([each.values for each in frames])
    gap = np.concatenate([each.gap for each in frames])
    kept = tick > np.array([piece.after for piece in pieces])[stream]
    recording = np.array([piece.recording for piece in pieces])[stream]
    # Pieces are in the order of time, and within one, frames come in the order of their ticks.
    order = np.argsort(stream, kind="stable")
    order = order[kept[order]]
    for rows in np.split(order, np.cumsum(np.bincount(recording[order], minlength=len(recordings)))[:-1]):
        yield tick[rows], values[rows], gap[rows], first_ticks(regimes or RegimeConfig(), tick[rows], values[rows])


@dataclass(frozen=True, slots=True)
class _Piece:
    """Rows of a recording, with as many before them as the alignment remembers."""

    recording: int
    rows: slice
    after: int  # the tick before its first own one: up to it, the ticks are the piece's before


def _pieces(number: int, recording: Recording, config: align.AlignConfig) -> Iterator[_Piece]:
    """A long recording in pieces, which are aligned side by side: each row of one stream is a round of its own."""
    tick = recording.time // config.period_ms  # (N,)
    starts = np.unique(np.searchsorted(tick, tick[::PIECE]))  # at the first row of a tick
    for start, end in zip(starts, [*starts[1:], len(tick)], strict=True):
        if start == 0:
            yield _Piece(number, slice(0, int(end)), int(align.NONE))
            continue
        before = int(tick[start - 1])
        remembered = min(before, int(tick[start]) - config.hold_ms // config.period_ms - 2)
        yield _Piece(number, slice(int(np.searchsorted(tick, remembered)), int(end)), before)


def cut(name: str, tick: Int64, values: Float32, window: int, first: Int64) -> Run:
    """The windows of N ticks without a gap; `first` (N,) is the first tick that one which ends there may hold."""
    windows = sliding_window_view(values, window, axis=0).transpose(0, 2, 1)  # (N-T+1, T, C), a view
    cells = np.concatenate([[0], np.cumsum((~np.isnan(values)).sum(axis=1))])  # (N+1,)
    covered = cells[window:] - cells[:-window] >= MIN_COVERAGE * window * values.shape[1]  # (N-T+1,)
    last = tick[window - 1 :]
    taken = covered & (tick[: len(last)] >= first[window - 1 :])  # (N-T+1,)
    return Run(name, windows if taken.all() else Taken(windows, np.flatnonzero(taken)), last[taken])
