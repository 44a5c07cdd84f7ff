"""Recorded rows as the journal would hold them, had machines published them: the one room for this.

Every message arrives at its own time. Whoever has ended says goodbye, so that silence behind it is nobody's fault.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from monitor.decode import STATUS_TOPIC, TELEMETRY_TOPIC, encode_status, encode_telemetry, fill
from monitor.records import Batch, Change, Clock, Message, Record

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from monitor.records import Bool, Float32, Int64
    from simulator.recording import Recording

BEHIND_MS = 600_000  # waited at the end, so that every tick closes


@dataclass(frozen=True, slots=True)
class Published:
    """What assets publish: N messages. Of those of one time, the earlier in these columns goes first."""

    assets: Sequence[str]  # by number
    sensors: Sequence[str]  # C, in order
    time: Int64  # (N,) epoch ms, also of its arrival
    asset: Int64  # (N,) the number of who publishes
    values: Float32  # (N, C), NaN = not reported; of a goodbye they mean nothing
    goodbye: Bool  # (N,) no reading, but the word that the asset goes


def of_recordings(
    recordings: Sequence[Recording], shift_ms: Sequence[int] | None = None, *, goodbye: bool = True
) -> Published:
    """Recordings with the same sensors, each an asset and moved in time by `shift_ms`; a goodbye at each end."""
    shifts = [0] * len(recordings) if shift_ms is None else shift_ms
    times = [each.time + shift for each, shift in zip(recordings, shifts, strict=True)]
    lengths = [len(time) for time in times]
    ends = [index for index, length in enumerate(lengths) if length] if goodbye else []
    last = np.array([times[index][-1] for index in ends], np.int64)
    sensors = recordings[0].sensors
    nothing = np.zeros((len(ends), len(sensors)), np.float32)
    return Published(
        assets=[each.asset for each in recordings],
        sensors=sensors,
        time=np.concatenate([*times, last]),
        asset=np.concatenate([np.repeat(np.arange(len(recordings)), lengths), np.array(ends, np.int64)]),
        values=np.concatenate([*(each.values for each in recordings), nothing]),
        goodbye=np.repeat([False, True], [sum(lengths), len(ends)]),
    )


def messages(published: Published, *, root: str, site: str, slice_ms: int, first: int) -> Iterator[list[Message]]:
    """All messages in the order of time: those of each `slice_ms`, counted from the time `first`, together."""
    order = np.argsort(published.time, kind="stable")
    cuts = np.flatnonzero(np.diff((published.time[order] - first) // slice_ms)) + 1
    topics = [
        tuple(
            fill(topic, root=root, site=site, area="", asset=each).encode()
            for topic in (TELEMETRY_TOPIC, STATUS_TOPIC)
        )
        for each in published.assets
    ]
    for rows in np.split(order, cuts):
        columns = (published.asset, published.time, published.goodbye, published.values)
        made = []
        for asset, at, goes, row in zip(*(column[rows].tolist() for column in columns), strict=True):
            if goes:
                payload = encode_status(online=False, time=at, reason="shutdown")
            else:
                values = dict(zip(published.sensors, row, strict=True))
                payload = encode_telemetry(time=at, boot="", seq=0, values=values)
            made.append(Message(topics[asset][goes], payload, at, len(payload)))
        if made:
            yield made


def records(published: Published, *, root: str, site: str, slice_ms: int, first: int) -> Iterator[Record]:
    """The journal of it: listening from `first` on, the messages, and the time behind the last one."""
    yield Record(1, first, Change(listening=True))
    position, last = 1, first
    for together in messages(published, root=root, site=site, slice_ms=slice_ms, first=first):
        position, last = position + 1, together[-1].arrival
        yield Record(position, last, Batch(together))
    yield Record(position + 1, last + BEHIND_MS, Clock())
