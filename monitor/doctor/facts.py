"""What was seen of each hop, for `findings` to judge. Types, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from monitor.records import Message

HOPS = (
    "settings", "model", "connect", "subscribe", "first message", "decode", "tick", "score", "store", "influx",
    "channels", "http", "limits", "clock",
)  # fmt: skip


class State(StrEnum):
    """How a hop does."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: a hop, how it does, what was seen, and what to change (empty where nothing is)."""

    hop: str
    state: State
    said: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """A class's model, loaded and tried with one window."""

    asset_class: str
    model: str = ""  # its name; empty = the class has none
    problem: str = ""  # why it cannot be used
    finite: bool = True  # it gave a number for that window


@dataclass(frozen=True, slots=True)
class BrokerFacts:
    """What a client of our own saw of the broker."""

    place: str  # host:port
    user: str = ""
    problem: str = ""  # why there was no connection, or why it ended, in words
    connected: bool = False
    filters: tuple[str, ...] = ()  # asked for
    refused: tuple[str, ...] = ()  # of them, those that the broker did not grant
    waited_s: float = 0.0
    messages: tuple[Message, ...] = ()  # on our filters and beside them (births, statuses), in order of arrival
    fresh: int = 0  # of those on our filters, how many were published meanwhile
    retained: int = 0  # and how many the broker had kept
    heard: frozenset[str] = frozenset()  # the filters on which something came
    silent: tuple[str, ...] = ()  # classes of which nothing came, while others were heard
    elsewhere: tuple[str, ...] = ()  # topics on which others publish, looked at where ours were silent
    dropped: tuple[int, ...] = ()  # what $SYS said of messages that the broker dropped, first to last
    receive_maximum: int | None = None  # as an MQTT 5 connection is told; None = not told
    is_mosquitto: bool = False  # it told its version


@dataclass(frozen=True, slots=True)
class StreamTimes:
    """The readings of one stream: how its clock stands to ours, and how far its readings are apart."""

    stream: str
    asset_class: str
    skew_ms: float | None  # median of event time less arrival; None where the class takes the arrival
    spacing_ms: float | None  # median distance of two readings; None where there are not two


@dataclass(frozen=True, slots=True)
class OutOfRange:
    """A sensor none of whose values lies where its class says that they lie."""

    asset_class: str
    sensor: str
    lowest: float  # seen
    highest: float
    least: float | None  # as the asset file has it
    most: float | None


@dataclass(frozen=True, slots=True)
class LineFacts:
    """What the pipeline made of the messages that were seen, on a state of its own and without a model."""

    outcomes: Mapping[str, int] = field(default_factory=dict)  # values by the name of their `Outcome`
    waiting: int = 0  # values in ticks that are still open
    ticks: int = 0  # closed
    letters: tuple[tuple[str, str], ...] = ()  # topic and reason of what was refused, in order
    streams: tuple[StreamTimes, ...] = ()
    periods: Mapping[str, int] = field(default_factory=dict)  # class -> period_ms
    max_ahead_ms: int = 0
    holds: Mapping[str, int] = field(default_factory=dict)  # class -> for how long a value stays true, ms
    outside: tuple[OutOfRange, ...] = ()
    unread: tuple[str, ...] = ()  # classes whose topics were heard, and of which nothing could be read


@dataclass(frozen=True, slots=True)
class DaemonFacts:
    """A daemon of these settings, from outside."""

    running: bool
    before: Mapping[str, Any] | None = None  # its books when we began to look, and when we ended
    after: Mapping[str, Any] | None = None
    broker: str = ""  # what it says of its connection: "connected", or why not
    topics: tuple[str, ...] = ()
    unmodelled: tuple[str, ...] = ()
    messages: int = 0  # that we saw meanwhile on its topics
    waited_s: float = 0.0


@dataclass(frozen=True, slots=True)
class StoreFacts:
    """The state folder."""

    folder: str
    problem: str = ""  # why nothing can be written there, or the store not be read
    free: int = 0  # bytes
    used: int = 0  # bytes that journal, store and checkpoints take already
    budget: int = 0  # bytes that the settings allow them


@dataclass(frozen=True, slots=True)
class InfluxFacts:
    """A point written and read back; `url` is empty where InfluxDB is off."""

    url: str = ""
    bucket: str = ""
    write_problem: str = ""
    read_problem: str = ""
    no_query_api: bool = False  # the server has no InfluxQL address, or no mapping for the bucket


@dataclass(frozen=True, slots=True)
class ChannelFacts:
    """A channel of alerts: whether somebody is there. Nothing was sent."""

    name: str
    said: str  # who answers
    problem: str = ""  # or why nobody does


@dataclass(frozen=True, slots=True)
class HttpFacts:
    """The HTTP port of a running daemon, asked for /readyz."""

    enabled: bool
    running: bool = False  # the daemon
    noted: str = ""  # its address, or why it has none, as the daemon has noted it
    problem: str = ""  # why it did not answer
    status: str = ""  # as it says: "ready", "degraded", "not ready"
    reasons: tuple[str, ...] = ()
