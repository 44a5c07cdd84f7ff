"""Recordings -> the order, the times and the pace in which their rows are published again. Pure.

All recordings are shifted so that they end together, and together so that no reading lies in the future at the
moment it is published: at real time or faster the last row's time is the moment of its publication, slower
than real time the first row's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from monitor.records import Float64, Int64
    from simulator.recording import Recording


@dataclass(frozen=True, slots=True)
class Plan:
    """The rows of all recordings in the order of publication: N of them."""

    recordings: tuple[Recording, ...]
    recording: Int64  # (N,) index of the recording
    row: Int64  # (N,) row in that recording
    time: Int64  # (N,) epoch ms as published
    due: Float64  # (N,) seconds after the start

    def rows(self) -> Iterator[tuple[float, str, int, dict[str, float]]]:
        """Each row that reports anything: when it is due, asset, time, and the values by sensor."""
        for recording, row, time, due in zip(self.recording, self.row, self.time, self.due, strict=True):
            source = self.recordings[recording]
            values = source.values[row]  # (C,)
            if not np.isnan(values).all():
                yield float(due), source.asset, int(time), dict(zip(source.sensors, values.tolist(), strict=True))

    def starts(self) -> list[int]:
        """The published time of each recording's first row."""
        _, first = np.unique(self.recording, return_index=True)  # (recordings,)
        return [int(time) for time in self.time[first]]


def plan(recordings: Sequence[Recording], *, speed: float, start: int) -> Plan:
    """Order the rows of all recordings by their shifted times; equal times keep the recordings' order.

    `speed` is recorded seconds per second (infinite: at once), `start` the epoch ms of the first publication.

    >>> from simulator.recording import Recording
    >>> rows = np.ones((2, 1), np.float32)
    >>> one = Recording("one", ("a",), np.array([0, 4000]), rows)
    >>> two = Recording("two", ("a",), np.array([70_000, 71_000]), rows)
    >>> made = plan([one, two], speed=2.0, start=100_000)
    >>> made.time.tolist(), made.due.tolist(), made.recording.tolist()
    ([98000, 101000, 102000, 102000], [0.0, 1.5, 2.0, 2.0], [0, 1, 0, 1])
    """
    recordings = tuple(recording for recording in recordings if len(recording.time))
    if not recordings:
        empty = np.zeros(0, np.int64)
        return Plan((), empty, empty, empty, np.zeros(0))
    before_end = np.concatenate([recording.time[-1] - recording.time for recording in recordings])  # (N,) ms
    index = np.concatenate([np.full(len(r.time), i, np.int64) for i, r in enumerate(recordings)])  # (N,)
    row = np.concatenate([np.arange(len(r.time), dtype=np.int64) for r in recordings])  # (N,)
    order = np.argsort(-before_end, kind="stable")
    before_end = before_end[order]
    span = float(before_end[0])  # ms
    end = start + int(min(span / speed, span))
    return Plan(recordings, index[order], row[order], end - before_end, (span - before_end) / speed / 1000)


def period_of(recording: Recording) -> int:
    """The usual distance between two rows in ms, 1000 where there are fewer than two."""
    steps = np.diff(recording.time)
    return max(1, int(np.median(steps))) if len(steps) else 1000
