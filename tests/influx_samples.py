"""Score rows, transitions, an outbox in memory and a running sink, for the tests of the InfluxDB room."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from config.settings import InfluxSettings
from monitor.influx import InfluxSink
from monitor.records import AlertEvent, Float32, Scores, SensorFinding, Status, StoredScores, Transition

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from monitor.records import DeadLetter

START = 1_700_000_000_000  # ms
LIMIT_S = 20.0
DATABASE = "engines"  # of the fixture `database`


def until(condition: Callable[[], object], what: str) -> None:
    """Wait for another thread; fails after a time that only a broken one needs."""
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline, f"never came true: {what}"
        time.sleep(0.005)


def stored(
    position: int,
    rows: int,
    *,
    sensors: tuple[str, ...] = ("oil_pressure", "engine_speed"),
    start: int = START,
    stream: str = "plant/hall/pump-1",
) -> StoredScores:
    """`rows` scored rows of one stream, a second apart, every number another."""
    count = len(sensors)
    contribution = np.linspace(0.1, 0.9, rows * count, dtype=np.float32).reshape(rows, count)
    return StoredScores(
        position=position,
        asset_class="pump",
        model="m1",
        sensors=sensors,
        streams=[stream] * rows,
        time=start + 1_000 * np.arange(rows, dtype=np.int64),
        rows=Scores(
            stream=np.zeros(rows, np.int32),
            tick=np.arange(rows, dtype=np.int64),
            status=np.full(rows, Status.SCORED, np.uint8),
            score=contribution.max(axis=1),
            threshold=np.full(rows, 1.25, np.float32),
            contribution=contribution,
            expected=contribution * np.float32(100),
            actual=contribution * np.float32(101),
            regime=np.zeros(rows, np.uint8),
        ),
    )


def floats(*values: float) -> Float32:
    return np.array(values, dtype=np.float32)


def event(**changes: Any) -> AlertEvent:
    """An anomaly that fired, with the changes asked for."""
    given: dict[str, Any] = {
        "event_id": "e1",
        "incident_id": "i1",
        "stream": "plant/hall/pump-1",
        "kind": "anomaly",
        "sensor": "",
        "transition": Transition.FIRED,
        "severity": "warning",
        "started": START,
        "time": START + 5_000,
        "recorded": START + 6_000,
        "score": 2.5,
        "threshold": 1.25,
        "summary": "oil pressure is low",
        "top": (
            SensorFinding("oil_pressure", "kPa", 180.0, 310.25, 2.5),
            SensorFinding("engine_speed", "", float("nan"), 812.0, 0.5),
        ),
    }
    return AlertEvent(**(given | changes))


class MemoryOutbox:
    """The protocol `Outbox` over lists."""

    def __init__(self, scores: Sequence[StoredScores] = (), events: Sequence[AlertEvent] = ()) -> None:
        self.scores = list(scores)
        self.events = list(enumerate(events, start=1))
        self.positions: dict[str, int] = {}
        self.letters: list[DeadLetter] = []

    def position(self, sink: str) -> int:
        return self.positions.get(sink, 0)

    def advance(self, sink: str, position: int) -> None:
        self.positions[sink] = position

    def scores_after(self, position: int, limit: int) -> list[StoredScores]:
        found: list[StoredScores] = []
        for batch in self.scores:
            if batch.position > position and (not found or sum(len(one.time) for one in found) < limit):
                found.append(batch)
        return found

    def events_after(self, position: int, limit: int) -> list[tuple[int, AlertEvent]]:
        return [entry for entry in self.events if entry[0] > position][:limit]

    def open_incidents(self, stream: str | None = None) -> list[AlertEvent]:
        return [one for _, one in self.events if one.stream == stream]

    def add_dead_letters(self, letters: Sequence[DeadLetter]) -> None:
        self.letters += letters

    def delivered(self) -> bool:
        """Whether everything in it was delivered."""
        last_batch = self.scores[-1].position if self.scores else 0
        return self.position("influx") == last_batch and self.position("influx-events") == len(self.events)


def settings(url: str, **changes: Any) -> InfluxSettings:
    given = {"url": url, "org": "plant", "bucket": DATABASE, "timeout_s": 5.0, "retry_min_s": 0.5}
    return InfluxSettings(**(given | changes))


@contextlib.contextmanager
def sending(
    outbox: MemoryOutbox,
    url: str,
    *,
    token: str | None = None,
    health: Callable[[], Sequence[str]] | None = None,
    pauses: list[float] | None = None,
    **changes: Any,
) -> Iterator[InfluxSink]:
    """A running sink whose pauses last 10 ms; what it wanted to wait is noted in `pauses`."""

    def pause(seconds: float) -> None:
        if pauses is not None:
            pauses.append(seconds)
        time.sleep(0.01)

    sink = InfluxSink(settings(url, **changes), outbox, token, health=health, wait=pause)
    sink.start()
    try:
        yield sink
    finally:
        sink.stop()
        sink.thread.join(10)


def deliver(outbox: MemoryOutbox, url: str, **changes: Any) -> InfluxSink:
    """Run a sink until everything was delivered."""
    with sending(outbox, url, **changes) as sink:
        until(outbox.delivered, "everything was delivered")
    return sink
