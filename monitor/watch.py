"""Why nothing is scored: one sentence that names the place where the data stopped. Pure.

The daemon gathers `Facts` and lets `Watch` look at them again and again. What it says is logged and noted in the
store, so that nobody has to guess why a table or a page is empty.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from monitor.wording import duration

if TYPE_CHECKING:
    from collections.abc import Mapping

PATIENCE_S = 10.0  # without a score before that is told
LONGEST_PAUSE_S = 600.0  # between two tellings of the same
PERIODS = 3  # a class that makes a row each minute has not stopped after ten seconds
RECORDS_BEHIND = 5  # the line is never further behind the journal for longer than a moment
TOPICS_TOLD = 3


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known at one moment. Counts grow for ever; what they began with does not matter."""

    broker: str  # why it cannot be heard; empty while it can
    topics: tuple[str, ...]  # where readings are subscribed
    disk_full: bool
    messages: int  # received, of any kind
    behind: int  # records in the journal that the line has not taken
    values: int  # acknowledged values, whatever became of them
    refused: int  # of them, dead letters and quarantined
    too_late: int  # of them, late and duplicates
    first_refusal: tuple[str, str] | None  # topic and reason, of those that go on
    streams: int  # heard lately
    warmest: tuple[int, int] | None  # ticks in the fullest window of those that have a model, and its length
    rows: Mapping[str, int]  # by the name of their status
    unmodelled: tuple[str, ...]  # classes without a model
    learning: Mapping[str, tuple[int, int]] = field(
        default_factory=dict
    )  # class: ms of normal running, and wanted

    @property
    def scored(self) -> int:
        """Rows with a score."""
        return self.rows["scored"] + self.rows["relearning"]

    @staticmethod
    def of_books(books: Mapping[str, Any], **other: Any) -> Facts:
        """What the line's books say, with the facts that they do not hold."""
        outcomes = books["outcomes"]
        return Facts(
            values=sum(outcomes.values()) + books["waiting"] - outcomes["ignored"],
            refused=outcomes["dead_letter"] + outcomes["quarantined"],
            too_late=outcomes["late"] + outcomes["duplicate"],
            first_refusal=books["refused"],
            streams=books["heard"],
            warmest=books["warmest"],
            rows=books["rows"],
            learning={name: (each["normal_ms"], each["wanted_ms"]) for name, each in books["learning"].items()},
            **other,
        )


class Place(StrEnum):
    """Where it stopped, in the order of the line."""

    BROKER = "broker"
    DISK = "disk"
    TOPICS = "topics"
    JOURNAL = "journal"
    REFUSED = "refused"
    TIMES = "times"
    TICK = "tick"
    WARMING_UP = "warming up"
    SENSORS = "sensors"
    REGIME = "regime"
    MODEL = "model"
    LEARNING = "learning"


# By itself: nobody has to do anything.
PASSES = frozenset({Place.TICK, Place.WARMING_UP, Place.REGIME, Place.LEARNING})


def stopped(now: Facts, base: Facts, quiet_s: float, patience_s: float = PATIENCE_S) -> tuple[Place, str]:
    """The first place on the line that nothing has got past, and the sentence that says so.

    What counts is what came since `base`; `quiet_s` is for how long, while connected, no value has come.
    """
    if now.broker:
        return Place.BROKER, f"not connected to the broker: {now.broker}"
    if now.disk_full:
        return Place.DISK, "the disk is full, so nothing is taken in: make room in daemon.state_dir"
    values, refused = now.values - base.values, now.refused - base.refused
    messages = now.messages - base.messages
    if not values and messages and now.behind > RECORDS_BEHIND:
        return Place.JOURNAL, f"{messages} messages came, and the line is {now.behind} records behind"
    if not values or quiet_s >= patience_s:
        place, sentence = Place.TOPICS, _silence(now, 0 if values or now.behind else messages, quiet_s, patience_s)
    elif refused == values:
        return Place.REFUSED, f"{messages} messages, {_refused(now, refused)}"
    elif refused + now.too_late - base.too_late == values:
        place = Place.TIMES
        sentence = f"all of {values} values were there before or came too late: check the publisher's clock"
    else:
        place, sentence = _past_decode(now, base, values)
    return place, f"{sentence}; {_refused(now, refused)}" if refused else sentence


def _silence(now: Facts, others: int, quiet_s: float, patience_s: float) -> str:
    """Connected, and nothing comes: not yet, or for so long that somebody should look."""
    topics = ", ".join(now.topics[:TOPICS_TOLD])
    if len(now.topics) > TOPICS_TOLD:
        topics += f" and {len(now.topics) - TOPICS_TOLD} more"
    if quiet_s < patience_s:
        return f"connected to the broker, no readings yet on {topics}"
    beside = f" ({others} messages on others)" if others else ""
    return (
        f"connected to the broker, but 0 readings for {quiet_s:.0f} s on {topics}{beside}: "
        "is anything published there, and may mqtt.username read it?"
    )


def _refused(now: Facts, refused: int) -> str:
    told = f"{refused} values rejected"
    if now.first_refusal is None:
        return told
    topic, reason = now.first_refusal
    return f"{told}, the first on {topic}: {reason}"


def _past_decode(now: Facts, base: Facts, values: int) -> tuple[Place, str]:
    """Good readings come; what became of them."""
    rows = {status: count - base.rows[status] for status, count in now.rows.items()}
    streams = f"{now.streams} stream{'s' if now.streams != 1 else ''}"
    filled, length = now.warmest or (0, 0)
    if 0 < filled < length:
        again = " again after a silence" if rows["gap"] else ""
        return Place.WARMING_UP, f"warming up{again}: {filled}/{length} ticks in the fullest window of {streams}"
    if rows["too_few_sensors"]:
        return Place.SENSORS, (
            f"too few sensors report for window.min_coverage, in {streams}: "
            "compare the names in the messages with those of the asset file"
        )
    if rows["learning"]:
        return Place.LEARNING, "no model yet, so nothing is scored: " + "; ".join(
            f"class {name} is {progress(*far)}" for name, far in now.learning.items()
        )
    if rows["no_model"]:
        return Place.MODEL, f"no model for class {', '.join(now.unmodelled)}: set classes.model"
    if rows["regime"] or rows["blanked"]:
        return Place.REGIME, f"{streams} in a regime that is not scored, such as off"
    return Place.TICK, f"{values} values of {streams} came, but no score row is due yet: a tick must close first"


def progress(normal_ms: int, wanted_ms: int) -> str:
    """How far a class without a model is, in words.

    >>> progress(12_000_000, 86_400_000)
    'learning: 3 h 20 min of normal running of at least 24 h'
    """
    text = f"learning: {duration(normal_ms)} of normal running of at least {duration(wanted_ms)}"
    return f"{text}, enough for a first model (enginewatch train --from-store)" if normal_ms >= wanted_ms else text


class Watch:
    """Looks again and again, and says when there is something to tell."""

    def __init__(self, now: float, facts: Facts, *, slowest_row_s: float = 0.0) -> None:
        """`now` in seconds, of any clock that only goes forward; `slowest_row_s` between two rows of a stream."""
        self._patience = max(PATIENCE_S, PERIODS * slowest_row_s)
        self._base = self._last = facts
        self._since = now  # it began, or the last score came
        self._heard = now  # the last value came, or the broker could be heard
        self._scoring = False
        self._place: Place | None = None
        self._due = now
        self._pause = self._patience
        self.sentence = ""  # where it stopped; empty while scores come
        self.seconds = 0.0  # without a score: until now, or until scoring began

    @property
    def passes(self) -> bool:
        """Whether waiting is all that is needed."""
        return self._place in PASSES

    def look(self, now: float, facts: Facts) -> bool:
        """Look once; True where it is to be told that scoring began, or (`sentence`) where it stopped.

        A place is told once it has lasted, then at pauses that double.
        """
        last, self._last = self._last, facts
        if facts.values > last.values or facts.broker:
            self._heard = now
        if facts.scored > last.scored:
            began, self._scoring = not self._scoring, True
            self.seconds = now - self._since
            self._base, self._since = facts, now
            self._place, self.sentence = None, ""
            return began
        self.seconds = now - self._since
        if self._scoring and self.seconds < self._patience:
            return False
        place, self.sentence = stopped(facts, self._base, now - self._heard, self._patience)
        if place is not self._place:
            self._place, self._pause = place, self._patience
            self._due = now if self._scoring else now + self._patience
        self._scoring = False
        if now < self._due:
            return False
        self._pause = min(2 * self._pause, LONGEST_PAUSE_S)
        self._due = now + self._pause
        return True
