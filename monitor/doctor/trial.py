"""What the pipeline makes of the messages that were seen: the real stages, on a state of their own. Pure."""

from __future__ import annotations

import math
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from monitor.doctor.facts import LineFacts, OutOfRange, StreamTimes
from monitor.pipeline import step
from monitor.records import Batch, Change, Clock, Outcome, Record
from monitor.state import LineState, decoder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from monitor.decode import Decoded
    from monitor.records import Message, Payload
    from monitor.spec import LineSpec


TOGETHER_MS = 100  # messages that come within this are one record, as in the journal


def run(spec: LineSpec, messages: Sequence[Message], now: int) -> LineFacts:
    """Take the messages through the line as they came, without a model, up to `now` (epoch ms).

    Then what is still open is given its time, as it would be were the last message the last one.
    """
    state = LineState.empty(spec)
    began = messages[0].arrival if messages else now
    letters: list[tuple[str, str]] = []
    records: list[tuple[int, Payload]] = [(began, Change(listening=True))]
    for _, together in groupby(messages, key=lambda each: each.arrival // TOGETHER_MS):
        batch = list(together)
        records.append((batch[-1].arrival, Batch(batch)))
    patience = max((each.align.lateness_ms + each.align.period_ms for each in spec.classes), default=0)
    records.append((now + patience, Clock()))
    strides = {each.name: each.window.stride for each in spec.classes}
    ticks = 0
    for position, (at, payload) in enumerate(records, 1):
        found = step(state, Record(position, at, payload), {})
        ticks += sum(len(rows.streams) * strides[rows.asset_class] for rows in found.scores)
        letters += [(letter.topic, letter.reason) for letter in found.dead_letters]
    decoded = decoder(spec).decode(messages)
    return LineFacts(
        outcomes={outcome.name.lower(): int(state.outcomes[outcome]) for outcome in Outcome},
        waiting=state.waiting_values(),
        ticks=ticks,
        letters=tuple(letters),
        streams=tuple(_times(spec, decoded)),
        outside=tuple(_outside(spec, decoded)),
        periods={each.name: each.align.period_ms for each in spec.classes},
        holds={each.name: each.align.hold_ms for each in spec.classes},
        max_ahead_ms=max((each.align.max_ahead_ms for each in spec.classes), default=0),
    )


def _outside(spec: LineSpec, decoded: Decoded) -> Iterator[OutOfRange]:
    """The sensors all of whose values are out of their range: the unit will be another one."""
    for each, readings in zip(spec.classes, decoded.readings, strict=True):
        if each.sensor_check is None:
            continue
        bounds = zip(each.sensor_check.lowest, each.sensor_check.highest, strict=True)
        for column, (least, most) in enumerate(bounds):
            values = readings.values[:, column]
            values = values[np.isfinite(values)]
            low, high = -math.inf if least is None else least, math.inf if most is None else most
            if len(values) and np.all((values < low) | (values > high)):
                sensor = each.sensor_check.sensors[column]
                yield OutOfRange(each.name, sensor, float(values.min()), float(values.max()), least, most)


def _times(spec: LineSpec, decoded: Decoded) -> Iterator[StreamTimes]:
    """The clock and the pace of every stream."""
    for each, readings in zip(spec.classes, decoded.readings, strict=True):
        streams = np.array(readings.streams)
        for stream in dict.fromkeys(readings.streams):
            mine = streams == stream
            time, arrival = readings.time[mine], readings.arrival[mine]
            apart = np.diff(np.unique(time))
            yield StreamTimes(
                stream,
                each.name,
                None if each.route.arrival_time else float(np.median(time - arrival)),
                float(np.median(apart)) if len(apart) else None,
            )
