"""A plant with all that belongs to it: pumps, broker, daemon, InfluxDB, and somebody who listens to alerts."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from monitor.records import Transition
from monitor.store import Store
from tests import recordings
from tests.faults.oracle import INCIDENT, Oracle
from tests.faults.plant import CLEARED_BY, Plant
from tests.rig import COMMAND, Daemon, until
from tests.servers.influxd import DATABASE
from tests.servers.peers import Peer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.faults.oracle import Verdict
    from tests.faults.proxy import Proxy
    from tests.servers.brokers import Broker
    from tests.servers.influxd import Influxd

FRESH_LIMIT_S = 10.0  # within which a fresh reading must be stored after a fault is mended
SETTLE_S = 120.0
LOST_S = 5.0  # what a broker has not brought by then it has lost, where it may

SETTINGS = """
[mqtt]
host = "{host}"
port = {port}
reconnect_min_s = {reconnect[0]}
reconnect_max_s = {reconnect[1]}
{mqtt}
[[classes]]
name = "machine"
file = "{model}/asset.toml"
model = "{model}"
[threshold]
floor = 2.0
{alert}
[store]
checkpoint_s = {checkpoint_s}
{store}
[influx]
url = "{url}"
bucket = "{bucket}"
write_readings = true
retry_min_s = 0.1
retry_max_s = 0.5
{influx}
[log]
format = "json"
{extra}
"""


class House:
    """A running plant. The daemon may reach the broker and InfluxDB through proxies, everybody else does not."""

    def __init__(
        self,
        folder: Path,
        model: Path,
        broker: Broker,
        database: Influxd | None,
        *,
        ticks: int = 400,
        pumps: int = 3,
        spool_s: float = 0.0,
        in_flight: int = 1000,
        every: int = 0,
        began: int | None = None,
        reconnect_s: tuple[float, float] = (0.1, 0.5),
        broker_proxy: Proxy | None = None,
        influx_url: str | None = None,
        alert: str = "[alert]\nstale_after_s = 3600",
        checkpoint_s: float = 2.0,
        mqtt: str = "",
        store: str = "",
        influx: str = "",
        extra: str = "",
        command: Sequence[str] = COMMAND,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        """`mqtt`, `store` and `influx` are further lines of those sections, `extra` further sections.

        `alert` is its section, where silence of less than an hour is no alert of its own. `ticks`, `pumps`,
        `spool_s`, `in_flight`, `every` and `began` are for the plant, `command` and `variables` for the daemon;
        `reconnect_s` are the bounds of its pauses between attempts at the broker.
        """
        way = broker_proxy or broker
        url = influx_url if influx_url is not None else database.url if database else ""
        settings = SETTINGS.format(
            host=way.host,
            port=way.port,
            model=model,
            reconnect=reconnect_s,
            url=url,
            bucket=DATABASE,
            alert=alert,
            checkpoint_s=checkpoint_s,
            mqtt=mqtt,
            store=store,
            influx=influx,
            extra=extra,
        )
        self.broker, self.database = broker, database
        self.daemon = Daemon(folder, settings, command=command, **(variables or {}))
        self.plant = Plant(
            host=broker.host,
            port=broker.port,
            pumps=pumps,
            ticks=ticks,
            spool_s=spool_s,
            in_flight=in_flight,
            every=every,
            began=began,
        )
        self.listener = Peer(broker, "enginewatch/v1/+/+/alert/event", session="listener")

    def __enter__(self) -> Self:
        self.listener.__enter__()
        self.daemon.start()
        self.plant.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.plant.close()
        self.daemon.close()
        self.listener.__exit__(*_)

    def restart(self) -> float:
        """Start the daemon again; returns the seconds until it listened."""
        began = time.monotonic()
        self.daemon.start()
        return time.monotonic() - began

    def logged(self, event: str) -> int:
        """How often the daemon has said something so far."""
        return self.daemon.log.read_text().count(f'"event":"{event}"')

    def rss_mb(self) -> float:
        """The memory that the daemon holds."""
        assert self.daemon.process is not None
        status = Path(f"/proc/{self.daemon.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024

    @property
    def heard(self) -> dict[str, Any]:
        """The transitions that the listener has heard, by their idempotency key."""
        transitions = (json.loads(payload) for _, payload, _ in list(self.listener.messages))
        return {each["event_id"]: each for each in transitions}

    def begin(self) -> None:
        """Run until the second pump's incident is open."""
        self.plant.publish(120)
        until(lambda: self._transitions() == [Transition.FIRED], why="the incident before the fault")

    def fresh(self, limit_s: float = SETTLE_S) -> float:
        """Publish a reading of every pump and wait until it is stored; returns the seconds that took."""
        began = time.monotonic()
        assert self.plant.publish(1), "the plant has no more ticks"
        newest = self.plant.at(self.plant.sent - 1)
        until(lambda: self._is_stored(newest), seconds=limit_s, why="a fresh reading stored")
        return time.monotonic() - began

    def finish(self, *, whole: bool = True) -> Verdict:
        """Publish on until the incident must be over, wait until everything has arrived, and ask the oracle."""
        begun = self.plant.faults_begun()
        self.plant.publish(max(0, begun[-1] + CLEARED_BY - self.plant.sent))
        self.fresh()
        self.settle(whole=whole)
        oracle = Oracle(self.plant, self.daemon.state, self.database, self.heard)
        verdict = oracle.ask(whole=whole)
        wanted, told = [Transition.FIRED, Transition.CLEARED] * len(begun), self._transitions()
        if whole:  # each value has one outcome: counted in a row once, however often its message came
            in_rows = self.daemon.books()["outcomes"]["in_row"]
            values = len(self.plant.pumps) * self.plant.sent * len(recordings.SENSORS)
            verdict.count(verdict.doubled, "values in rows", range(in_rows - values))
        kind = verdict.missing if len(told) < len(wanted) else verdict.doubled
        verdict.count(kind, INCIDENT, [] if told == wanted else [told])
        return verdict

    def settle(self, *, whole: bool = True) -> None:
        """Wait until everything that was handed over is where it belongs; only as long as something changes."""
        assert self.plant.publisher.wait_delivered(SETTLE_S), self.plant.publisher.problem
        rows = len(self.plant.pumps) * self.plant.sent
        if whole:
            values = rows * len(recordings.SENSORS)
            until(
                lambda: self.daemon.books().get("outcomes", {}).get("in_row", 0) >= values,
                seconds=SETTLE_S,
                why="all values in rows",
            )
        until(self._is_sent, seconds=SETTLE_S, why="all rows in InfluxDB, all transitions sent")
        end = time.monotonic() + (SETTLE_S if whole else LOST_S)
        while not self._is_heard() and time.monotonic() < end:
            time.sleep(0.05)

    def _is_heard(self) -> bool:
        """Whether the listener has all transitions."""
        store = Store(self.daemon.state / "store.db")
        try:
            return len(self.heard) >= len(store.events_after(0, 1_000_000))
        finally:
            store.close()

    def _is_sent(self) -> bool:
        """Whether the sinks are where the store is."""
        store = Store(self.daemon.state / "store.db")
        try:
            scores, events = store.heads()
            told = store.position("notify") == events
            sent = store.position("influx") == scores and store.position("influx-events") == events
        finally:
            store.close()
        return told and (sent or self.database is None)

    def _transitions(self) -> list[Transition]:
        """What happened to incidents of the model, oldest first."""
        store = Store(self.daemon.state / "store.db")
        try:
            return [event.transition for _, event in store.events_after(0, 1_000_000) if event.kind == "anomaly"]
        finally:
            store.close()

    def _is_stored(self, time: int) -> bool:
        """Whether the rows of all pumps at an event time are in InfluxDB, or without one in the store."""
        if self.database is not None:
            try:
                found = self.database.query(f"SELECT status FROM anomaly WHERE time = {time}ms", DATABASE)  # noqa: S608
            except OSError:
                return False  # it is busy: the disk, most likely
            return len(found) == len(self.plant.pumps)
        store = Store(self.daemon.state / "store.db")
        batches = store.latest_scores()
        try:
            latest = [next(batches, None) for _ in range(4)]
        finally:
            batches.close()
            store.close()
        return sum(int((batch.time == time).sum()) for batch in latest if batch) == len(self.plant.pumps)
