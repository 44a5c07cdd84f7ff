"""Says of a plant after a fault what is missing, doubled or corrupted, from its state folder and its sinks.

Three sets are held against each other: what the broker acknowledged to the publisher, what the store has scored,
and what was delivered to InfluxDB and to subscribers. The scores are held against those of a line of the same
settings that was given the same rows in their order, and never died.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from monitor.decode import encode_telemetry
from monitor.pipeline import step
from monitor.records import Batch, Change, Clock, Message, Record, Status, Transition
from monitor.shelf import Shelf
from monitor.spec import LineSpec
from monitor.state import LineState
from monitor.store import Store
from tests import recordings
from tests.servers.influxd import DATABASE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from monitor.records import AlertEvent, StoredScores
    from tests.faults.plant import Plant, Row
    from tests.servers.influxd import Influxd

INCIDENT = "one fired and one cleared for each fault"  # what a verdict says of it
PATIENCE = 30  # seconds after the last reading, by when its tick is closed
CLOSE = 1e-4  # how near scores are that differ by the rounding of batches alone


@dataclass(slots=True)
class Verdict:
    """How much is wrong, with a first example of each. All zero is what must hold (C0)."""

    missing: Counter[str] = field(default_factory=Counter)
    doubled: Counter[str] = field(default_factory=Counter)
    corrupted: Counter[str] = field(default_factory=Counter)
    examples: dict[str, Any] = field(default_factory=dict)

    @property
    def clean(self) -> bool:
        """Nothing missing, doubled or corrupted."""
        return not (self.missing.total() or self.doubled.total() or self.corrupted.total())

    def count(self, kind: Counter[str], what: str, found: Iterable[Any]) -> None:
        """Book what was found wrong."""
        listed = list(found)
        if listed:
            kind[what] += len(listed)
            self.examples[what] = listed[:9]


class Oracle:
    """What is asked of a plant, its daemon's state folder, its InfluxDB and the alerts that a subscriber heard."""

    def __init__(self, plant: Plant, state: Path, database: Influxd | None, heard: Mapping[str, Any]) -> None:
        """`heard` holds the transitions by their idempotency key."""
        self._plant = plant
        self._state = state
        self._database = database
        self._heard = heard

    def ask(self, *, whole: bool = True) -> Verdict:
        """Look at everything.

        `whole`: every row that was handed over has come, so that the scores must be those of an undisturbed line;
        else only what was acknowledged must be there.
        """
        verdict = Verdict()
        store = Store(self._state / "store.db")
        try:
            batches = list(store.latest_scores())
            events = [event for _, event in store.events_after(0, 1_000_000)]
        finally:
            store.close()
        expected = self._plant.expected()
        scores = {row: score for batch in batches for row, score in _scores(batch).items()}
        times = Counter(
            (stream.rsplit("/", 1)[1], time)
            for batch in batches
            for stream, time in zip(batch.streams, batch.time.tolist(), strict=True)
        )
        must = expected.keys() if whole else self._plant.acknowledged()
        verdict.count(verdict.missing, "rows", must - times.keys())
        verdict.count(verdict.doubled, "rows", (row for row, number in times.items() if number > 1))
        verdict.count(verdict.corrupted, "rows that nobody sent", times.keys() - expected.keys())
        if whole:
            clean = self._undisturbed()
            unlike = (
                (row, scores[row], clean.get(row)) for row in times if not _alike(scores[row], clean.get(row))
            )
            verdict.count(verdict.corrupted, "scores", unlike)
        self._ask_of_transitions(verdict, events)
        if self._database is not None:
            self._ask_of_influxdb(verdict, scores, events, expected)
        return verdict

    def _ask_of_transitions(self, verdict: Verdict, events: list[AlertEvent]) -> None:
        """One "fired" and at most one "cleared" an incident; each was told, and none that is not stored."""
        told = Counter((event.incident_id, event.transition) for event in events)
        once = {Transition.FIRED, Transition.CLEARED}
        verdict.count(
            verdict.doubled, "transitions", (key for key, count in told.items() if key[1] in once and count > 1)
        )
        fired = {incident for incident, transition in told if transition is Transition.FIRED}
        verdict.count(verdict.missing, "fired", {incident for incident, _ in told} - fired)
        stored = {event.event_id for event in events}
        verdict.count(verdict.missing, "transitions told", stored - self._heard.keys())
        verdict.count(verdict.corrupted, "transitions that are not stored", self._heard.keys() - stored)

    def _ask_of_influxdb(
        self,
        verdict: Verdict,
        scores: Mapping[Row, tuple[float, int]],
        events: list[AlertEvent],
        expected: Mapping[Row, np.ndarray[tuple[int], np.dtype[np.float32]]],
    ) -> None:
        assert self._database is not None
        points: dict[Row, dict[str, Any]] = {}
        for point in self._database.query("SELECT * FROM anomaly", DATABASE):
            row = point["asset"], point["time"]
            verdict.count(verdict.doubled, "points", [row] if row in points else [])
            points[row] = point
        verdict.count(verdict.missing, "points", scores.keys() - points.keys())
        verdict.count(verdict.corrupted, "points of no row", points.keys() - scores.keys())
        unlike = (
            row
            for row, (score, _) in scores.items()
            if row in points and not _same(points[row].get("score"), score)
        )
        verdict.count(verdict.corrupted, "scores in InfluxDB", unlike)
        readings = {
            (point["asset"], point["time"]): np.array([point[name] for name in recordings.SENSORS], np.float32)
            for point in self._database.query("SELECT * FROM engine", DATABASE)
        }
        verdict.count(verdict.missing, "readings", scores.keys() - readings.keys())
        verdict.count(
            verdict.corrupted,
            "readings",
            (row for row, values in readings.items() if row in expected and (values != expected[row]).any()),
        )
        alerts = self._database.query("SELECT incident_id, transition FROM alert_event", DATABASE)
        kept = Counter((alert["incident_id"], alert["transition"]) for alert in alerts)
        wanted = Counter((event.incident_id, event.transition.value) for event in events)
        verdict.count(verdict.missing, "transitions in InfluxDB", (wanted - kept).elements())
        verdict.count(verdict.doubled, "transitions in InfluxDB", (kept - wanted).elements())

    def _undisturbed(self) -> dict[Row, tuple[float, int]]:
        """Score and status of every row, by a line that is given one tick after the other."""
        store = Store(self._state / "store.db")
        spec = LineSpec.decode(store.facts()["line"].encode())
        store.close()
        models = Shelf(self._state / "models", threads=1, batch_size=256).models(spec)
        state = LineState.empty(spec)
        found: dict[Row, tuple[float, int]] = {}
        ticks = range(self._plant.sent)
        records = [Record(tick + 1, self._plant.at(tick), Batch(self._messages(tick))) for tick in ticks]
        # Time passes, and closes the last ticks.
        last = self._plant.sent + 1
        records += [Record(last, self._plant.at(last), Change(listening=True))]
        records += [Record(last + 1, self._plant.at(last + PATIENCE), Clock())]
        for record in records:
            for batch in step(state, record, models).scores:
                found |= _scores(batch)
        return found

    def _messages(self, tick: int) -> list[Message]:
        """What the pumps sent at a tick."""
        messages = []
        for number, pump in enumerate(self._plant.pumps):
            values = dict(zip(recordings.SENSORS, self._plant.values[number, tick].tolist(), strict=True))
            payload = encode_telemetry(time=self._plant.at(tick), boot="b", seq=tick, values=values)
            topic = f"enginewatch/v1/plant/{pump}/telemetry".encode()
            messages.append(Message(topic, payload, self._plant.at(tick), len(payload)))
        return messages


def _scores(batch: StoredScores) -> dict[Row, tuple[float, int]]:
    """Score and status of the rows of a batch."""
    columns = (batch.streams, batch.time.tolist(), batch.rows.score.tolist(), batch.rows.status.tolist())
    return {
        (stream.rsplit("/", 1)[1], time): (score, status)
        for stream, time, score, status in zip(*columns, strict=True)
    }


def _alike(found: tuple[float, int], clean: tuple[float, int] | None) -> bool:
    """The same status, and where it is scored the same score."""
    if clean is None or found[1] != clean[1]:
        return False
    return found[1] != Status.SCORED or abs(found[0] - clean[0]) <= CLOSE * max(1.0, clean[0])


def _same(point: float | None, score: float) -> bool:
    """A point's score is the row's; a row without one has none."""
    return np.isnan(score) if point is None else bool(np.float32(point) == np.float32(score))
