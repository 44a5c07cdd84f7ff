"""Whether the daemon lives, and whether it is ready: facts in, answers in words and metrics out. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from monitor.exposition import Metric

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

STILL_S = 30.0  # the main thread looks at the others twice a second: not for so long, and it hangs itself


class Ready(StrEnum):
    """Whether readings are taken in, scored and kept; degraded: they are, but not all else works."""

    READY = "ready"
    DEGRADED = "degraded"
    NOT_READY = "not ready"


@dataclass(frozen=True, slots=True)
class Thread:
    """A thread of the daemon."""

    name: str
    alive: bool
    stuck_s: float = 0.0  # seconds since its last turn, where that is too long
    needed: bool = True  # readings are not taken in, scored and kept without it


@dataclass(frozen=True, slots=True)
class Vitals:
    """What is known without waiting for anything. Texts are empty where there is nothing to say."""

    phase: str = ""  # "recovering" or "stopping": what it does in place of its work
    threads: Sequence[Thread] = ()
    broker: str = ""  # why it cannot be heard
    disk_full: bool = False  # the journal's, so that nothing is acknowledged
    store: str = ""  # why the store cannot be written
    paused: bool = False  # the line is so far behind that nothing is received
    influx: str = ""  # why InfluxDB gets nothing
    notify: str = ""  # why subscribers get no alerts
    channels: Mapping[str, str] = field(default_factory=dict)  # why a channel gets no messages, by its name
    http: str = ""  # why its port cannot be had
    unmodelled: Sequence[str] = ()  # classes without a model
    canary: str = ""  # what its latest fault says is wrong


@dataclass(frozen=True, slots=True)
class Figures:
    """What is counted. Counts with the ending `_total` begin anew with the daemon, but for the books."""

    books: Mapping[str, Any] = field(default_factory=dict)  # as the line has them; empty before it has any
    messages: int = 0
    records: int = 0  # of the journal, since it was begun
    stale_acks: int = 0
    reconnects: int = 0
    packet_age_s: float | None = None  # None: there is no connection
    backlog_bytes: int = 0  # in the journal, not taken by the line yet
    backlog_records: int = 0
    lag: Mapping[str, int] = field(default_factory=dict)  # sink: batches of rows, or transitions, not delivered
    influx_requests: int = 0
    influx_rows: int = 0
    influx_expired: int = 0
    influx_dead_letters: int = 0
    channel_messages: Mapping[str, int] = field(default_factory=dict)  # that got through, by channel
    channel_failures: Mapping[str, int] = field(default_factory=dict)  # attempts that did not
    open_incidents: int = 0
    dead_letters_kept: int = 0
    store_bytes: int = 0
    canary: Mapping[str, Any] = field(default_factory=dict)  # as it reports; empty where there is none
    started: float = 0.0  # epoch seconds
    version: str = ""


def livez(vitals: Vitals) -> tuple[bool, dict[str, object]]:
    """Whether all threads are there, and those turn that the work needs; else it should be started anew."""
    reasons = [f"the thread {each.name} has ended" for each in vitals.threads if not each.alive]
    reasons += _stuck(vitals, needed=True)
    return not reasons, {"status": "dead" if reasons else "alive", "reasons": reasons}


def _stuck(vitals: Vitals, *, needed: bool) -> list[str]:
    return [
        f"the thread {each.name} has not turned for {each.stuck_s:.0f} s"
        for each in vitals.threads
        if each.alive and each.stuck_s > 0 and each.needed == needed
    ]


def readyz(vitals: Vitals) -> tuple[bool, dict[str, object]]:
    """Whether readings are taken in, scored and kept, and why not; InfluxDB being away is no reason."""
    grave = list(_grave(vitals))
    light = list(_light(vitals))
    status = Ready.NOT_READY if grave else Ready.DEGRADED if light else Ready.READY
    return not grave, {"status": str(status), "reasons": [*grave, *light]}


def _grave(vitals: Vitals) -> Iterator[str]:
    if vitals.phase:
        yield f"the daemon is {vitals.phase}"
    yield from livez(vitals)[1]["reasons"]  # type: ignore[misc]  # they are a list
    if vitals.broker:
        yield f"not connected to the broker: {vitals.broker}"
    if vitals.disk_full:
        yield "the disk is full, so nothing is acknowledged: make room in daemon.state_dir"
    if vitals.store:
        yield f"the store cannot be written: {vitals.store}"
    if vitals.http:
        yield f"there is no page: {vitals.http}"
    if vitals.paused:
        yield "receiving is paused, because the line is too far behind (store.journal_max_bytes)"


def _light(vitals: Vitals) -> Iterator[str]:
    if vitals.influx:
        yield f"InfluxDB gets nothing, the rows are kept: {vitals.influx}"
    if vitals.notify:
        yield f"subscribers get no alerts, they are kept: {vitals.notify}"
    yield from _stuck(vitals, needed=False)
    yield from (f"kept until it gets through: {error}" for error in vitals.channels.values() if error)
    if vitals.unmodelled:
        yield f"no model yet, so nothing is scored of class {', '.join(vitals.unmodelled)}"
    if vitals.canary:
        yield vitals.canary


def metrics(vitals: Vitals, figures: Figures) -> Iterator[Metric]:
    """Everything that is measured, in Prometheus' base units."""
    live, ready = livez(vitals)[0], readyz(vitals)
    yield Metric.gauge("enginewatch_live", "1 while every thread turns that the work needs", int(live))
    yield Metric.gauge("enginewatch_ready", "1 while readings are taken in, scored and kept", int(ready[0]))
    degraded = int(ready[1]["status"] == Ready.DEGRADED)
    yield Metric.gauge("enginewatch_degraded", "1 while ready, but something beside that does not work", degraded)
    yield Metric.gauge("enginewatch_broker_connected", "1 while all subscriptions stand", int(not vitals.broker))
    yield Metric.gauge("enginewatch_disk_full", "1 while nothing is acknowledged", int(vitals.disk_full))
    yield Metric.gauge("enginewatch_influx_degraded", "1 while InfluxDB gets nothing", int(bool(vitals.influx)))
    if vitals.channels:
        degraded_channels = {name: int(bool(error)) for name, error in vitals.channels.items()}
        yield Metric.many(
            "enginewatch_channel_degraded", "1 while a channel gets no messages", degraded_channels, "channel"
        )
    yield Metric.gauge("enginewatch_start_time_seconds", "when the daemon started", figures.started)
    yield Metric.gauge("enginewatch_info", "always 1", 1, version=figures.version)
    yield from of_the_books(figures.books)
    yield from _of_the_ways(figures)
    if figures.canary:
        yield from _of_the_canary(figures.canary)


def of_the_books(books: Mapping[str, Any]) -> Iterator[Metric]:
    """Since the state folder was begun: a restart does not reset them."""
    if not books:
        return
    yield Metric.counter(
        "enginewatch_values_total", "acknowledged values by what became of them", books["outcomes"], "outcome"
    )
    yield Metric.counter("enginewatch_rows_total", "score rows by status", books["rows"], "status")
    yield Metric.gauge("enginewatch_values_waiting", "values in ticks that are still open", books["waiting"])
    yield Metric.gauge("enginewatch_streams", "assets that the line knows", books["streams"])
    yield Metric.gauge("enginewatch_streams_heard", "assets that are heard lately", books["heard"])
    yield Metric.gauge(
        "enginewatch_clock_suspect", "1 while the host's clock is blamed", int(books["clock_suspect"])
    )


def _of_the_ways(figures: Figures) -> Iterator[Metric]:
    """In and out."""
    yield Metric.counter(
        "enginewatch_messages_total", "MQTT messages received, repeats included", figures.messages
    )
    yield Metric.counter(
        "enginewatch_stale_acks_total", "acknowledgements whose connection had ended", figures.stale_acks
    )
    yield Metric.counter(
        "enginewatch_reconnects_total", "connections to the broker after the first", figures.reconnects
    )
    if figures.packet_age_s is not None:
        yield Metric.gauge(
            "enginewatch_packet_age_seconds", "since the broker was last heard", figures.packet_age_s
        )
    yield Metric.gauge(
        "enginewatch_backlog_bytes", "in the journal, not taken by the line yet", figures.backlog_bytes
    )
    yield Metric.gauge("enginewatch_backlog_records", "the same in records", figures.backlog_records)
    yield Metric.many(
        "enginewatch_sink_lag",
        "batches of score rows, or transitions, that are not delivered",
        figures.lag,
        "sink",
    )
    yield Metric.counter("enginewatch_influx_requests_total", "requests to InfluxDB", figures.influx_requests)
    yield Metric.counter("enginewatch_influx_lines_total", "lines that InfluxDB took", figures.influx_rows)
    yield Metric.counter(
        "enginewatch_influx_expired_lines_total", "lines beyond the bucket's retention", figures.influx_expired
    )
    yield Metric.counter(
        "enginewatch_influx_refused_lines_total", "lines that became dead letters", figures.influx_dead_letters
    )
    if figures.channel_messages:
        yield Metric.counter(
            "enginewatch_channel_messages_total", "messages taken", figures.channel_messages, "channel"
        )
        yield Metric.counter(
            "enginewatch_channel_failures_total", "attempts that did not pass", figures.channel_failures, "channel"
        )
    yield Metric.gauge(
        "enginewatch_incidents_open", "incidents that fired and are not over", figures.open_incidents
    )
    yield Metric.gauge("enginewatch_dead_letters", "dead letters kept", figures.dead_letters_kept)
    yield Metric.gauge("enginewatch_store_bytes", "of the store in use", figures.store_bytes)


def _of_the_canary(report: Mapping[str, Any]) -> Iterator[Metric]:
    """The counts go on over restarts."""
    yield Metric.gauge(
        "enginewatch_canary_trouble",
        "1 while its latest fault was missed, or was none",
        int(bool(report["trouble"])),
    )
    yield Metric.counter(
        "enginewatch_canary_faults_total", "its faults by what came of them", report["counts"], "result"
    )
    yield Metric.many(
        "enginewatch_canary_delay_seconds",
        "from a fault's first reading until its incident was stored, of those seen lately",
        report["delay_s"],
        "of",
    )
