"""The live page over what a fleet found: mirror, store and HTTP port, and what they say of themselves."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from dataclasses import replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import structlog

from config.secret import secret
from monitor.assemble import line_spec
from monitor.exposition import Metric
from monitor.fleet_page.influxql import InfluxReader
from monitor.fleet_page.mirror import Mirror
from monitor.fleet_page.mirroring import Mirroring
from monitor.fleet_page.orders import Orders
from monitor.health import Figures, Ready, Thread, Vitals, livez
from monitor.hops import Beside, Hop, HopState
from monitor.rate import Rate
from monitor.shelf import Shelf
from monitor.stages import Stage, Stages, Worker
from monitor.store import Store
from monitor.upkeep import Upkeep
from monitor.web.asked import Asked
from monitor.web.server import HttpPort

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from starlette.routing import Route

    from config.classes import ResolvedClass
    from config.settings import Settings

log = structlog.get_logger()

TURN_S = 0.5
END_S = 5.0  # for a thread to end
BEHIND = 20  # assets with rows that are not here yet, of which nothing is said


class FleetPage:
    """One page, and the folder of its store, which whoever makes it holds."""

    def __init__(
        self, settings: Settings, classes: Sequence[ResolvedClass], folder: Path, *, since_ms: int
    ) -> None:
        """Take settings that were checked. Raises StoreError, ArtifactError, ValueError and OSError."""
        self._settings = settings
        self._classes = classes
        self._folder = folder
        self._stop = threading.Event()
        self._started = time.time()
        self._errors: dict[str, tuple[str, int]] = {}
        self._stages: Stages | None = None
        self._rate = Rate()
        self._spec = line_spec(settings, classes)
        self._shelf = Shelf(folder / "models", threads=1, batch_size=1)
        for each in classes:
            if each.model is not None and each.model_hash is not None:
                self._shelf.put(each.model, each.model_hash)
        reader = InfluxReader(settings.influx, secret(settings.influx.token, settings.influx.token_file))
        self._store = Store(folder / "store.db", dead_letters=settings.store.dead_letters)
        self._store.note({"line": self._spec.encode().decode()})
        self._mirror = Mirror(
            store=self._store,
            reader=reader,
            spec=self._spec,
            since=time.time_ns() // 1_000_000 - since_ms,
            readings=settings.influx.write_readings,
        )
        self._mirroring = Mirroring(self._mirror, self._store, self._spec, reader.close)
        self._orders = Orders(settings.fleet, self._store)
        # Nothing is sent from here: no row has to wait for InfluxDB before it may go.
        alone = settings.model_copy(update={"influx": settings.influx.model_copy(update={"url": ""})})
        self._upkeep = Upkeep(alone, self._store, folder, backlog=lambda: 0)
        self._http = HttpPort(
            settings.http,
            secret(settings.http.token, settings.http.token_file),
            Asked(
                live=lambda: livez(self.vitals()),
                ready=lambda: self._ready(self.vitals()),
                metrics=self._metrics,
                command=self._orders.command,
                phase=str,
                further=self._routes,
            ),
            told=lambda said: self._store.note({"http": said}),
        )

    def run(self) -> int:
        """Serve until `stop`; 1 where a thread failed."""
        http = Worker("http", self._http.run)
        threads = [(self._mirroring.thread, self._mirroring.pulse), (http, self._http.pulse)]
        with closing(self._store):
            for thread, _ in threads:
                thread.start()
            self._stages = Stages(
                [Stage(thread.name, thread, pulse) for thread, pulse in threads],
                patience_s=self._settings.daemon.stuck_after_s,
                now=time.monotonic(),
            )
            code = self._supervise(self._stages)
            self._mirroring.stop()
            self._http.stop()
            for thread, _ in threads:
                thread.join(END_S)
        return code

    def stop(self) -> None:
        """End in order; for any thread."""
        self._stop.set()

    def _supervise(self, stages: Stages) -> int:
        while not self._stop.wait(TURN_S):
            if (dead := stages.dead()) is not None:
                name, error = dead
                log.error("thread_failed", thread=name, reason=str(error), exc_info=error)
                return 1
            for stuck, seconds in stages.look(time.monotonic()).items():
                log.error("stage_stuck", stage=stuck, for_s=round(seconds), remedy="start the page again")
            self._upkeep.turn(time.monotonic())
            now = time.time_ns() // 1_000_000
            troubles = {
                "influx": self._mirroring.trouble,
                "store": self._mirroring.store_trouble,
                "kafka": self._orders.trouble,
            }
            self._errors |= {hop: (error, now) for hop, error in troubles.items() if error}
        return 0

    # -- what the page asks ---------------------------------------------------------------------------------------

    def _routes(self) -> Sequence[Route]:
        from monitor.page.routes import routes  # noqa: PLC0415 - with the server, where its port can be had
        from monitor.page.sources import Sources  # noqa: PLC0415 - as above

        return routes(
            Sources(
                store=self._store,
                assets=self._mirror.assets,
                vitals=self,
                spec=lambda: self._spec,
                model_folder=self._shelf.place,
                folder=self._folder,
                beside=self._beside,
                models=self._models,
                ready=self._ready,
                hops=self._hops,
                letters=f"Kafka's topic {self._settings.fleet.dead_letter_topic}",
            )
        )

    def vitals(self) -> Vitals:
        """Waits for nothing."""
        vital = [] if self._stages is None else self._stages.vital()
        return Vitals(
            threads=[Thread(each.name, alive, stuck, each.needed) for each, alive, stuck in vital],
            store=self._mirroring.store_trouble,
            http=self._http.trouble,
        )

    def figures(self) -> Figures:
        """Reads the store, on a connection that it closes again."""
        try:
            incidents, _, size = self._store.counts()
        finally:
            self._store.leave()
        return Figures(
            influx_rows=self._mirror.rows,
            open_incidents=incidents,
            store_bytes=size,
            started=self._started,
            version=version("enginewatch"),
        )

    def standing(self) -> dict[str, Any]:
        """Whether the page is ready, why not, and how fast scored rows come. One thread calls this."""
        rate = self._rate.take(time.monotonic(), self._mirror.scored)
        rates = {} if rate is None else {"scored rows": rate}
        return {**self._ready(self.vitals())[1], "alone": True, "rates": rates}

    def errors(self) -> dict[str, tuple[str, int]]:
        """Of every hop its last error, and when it was last seen in epoch ms."""
        return self._errors.copy()

    def _ready(self, vitals: Vitals) -> tuple[bool, dict[str, object]]:
        """Whether what the fleet finds is shown."""
        _, live = livez(vitals)
        grave: list[object] = [*live["reasons"]]  # type: ignore[misc]  # they are a list
        grave += [f"the store cannot be written: {vitals.store}"] if vitals.store else []
        trouble = self._mirroring.trouble
        light = [f"what the fleet finds is not read: {trouble}"] if trouble else []
        status = Ready.NOT_READY if grave else Ready.DEGRADED if light else Ready.READY
        return not grave, {"status": str(status), "reasons": [*grave, *light]}

    def _beside(self) -> Beside:
        levels = {name: level for name, level in self._upkeep.levels.items() if name != "journal"}
        return Beside(http=self._http.address, levels=levels)

    def _models(self) -> list[dict[str, Any]]:
        return [
            {"class": each.name, "model": each.model_name or None, "hash": each.model_hash, "window": each.window}
            for each in self._classes
        ]

    def _hops(self, vitals: Vitals, figures: Figures, beside: Beside) -> list[Hop]:
        """From the fleet to the page."""
        del figures
        mirror, foreign = self._mirror, list(self._mirror.foreign)
        trouble, orders = self._mirroring.trouble, self._orders.trouble
        still = "" if trouble else beside.not_scoring
        others = f"{len(foreign)} assets are of no class of these settings, as {foreign[0]}" if foreign else ""
        behind = mirror.behind > BEHIND
        slow = f"the live stream has told nothing for {beside.still_s:.0f} s" if beside.still_s else ""
        rate = beside.rates.get("lines")
        fleet = self._settings.fleet
        made = [
            Hop("fleet", "scores readings, and writes what it finds", _state(light=still), still),
            Hop("influx", "has it for whoever asks", _state(wrong=trouble), trouble or self._settings.influx.url),
            Hop(
                "mirror",
                "brings it here",
                _state(light=others or ("behind" if behind else "")) if rate != 0 or behind else HopState.IDLE,
                others,
                rate,
                "lines",
                mirror.behind,
                "assets",
            ),
            Hop("store", "keeps it for this page", _state(wrong=vitals.store), vitals.store),
            Hop(
                "kafka",
                "takes to the fleet what is said here",
                _state(light=orders) if self._orders.told else HopState.IDLE,
                orders or f"topic {fleet.control_topic} at {fleet.brokers}",
            ),
            Hop("http", "serves this page", _state(light=slow), slow or beside.http),
        ]
        none = ("", None)
        return [_with_error(hop, *beside.errors.get(hop.name, none)) for hop in made]

    def _metrics(self) -> Iterator[Metric]:
        """In Prometheus' base units."""
        vitals, figures = self.vitals(), self.figures()
        good, said = self._ready(vitals)
        newest = self._mirror.newest
        yield Metric.gauge("enginewatch_live", "1 while every thread turns", int(livez(vitals)[0]))
        yield Metric.gauge("enginewatch_ready", "1 while what the fleet finds is shown", int(good))
        degraded = int(said["status"] == Ready.DEGRADED)
        yield Metric.gauge("enginewatch_degraded", "1 while InfluxDB cannot be read", degraded)
        yield Metric.counter(
            "enginewatch_mirror_rows_total", "score rows brought from InfluxDB", figures.influx_rows
        )
        yield Metric.gauge("enginewatch_mirror_behind", "assets with rows not brought yet", self._mirror.behind)
        if newest is not None:
            yield Metric.gauge("enginewatch_mirror_newest_seconds", "time of the newest row here", newest / 1000)
        yield Metric.gauge("enginewatch_incidents_open", "fired and not over", figures.open_incidents)
        yield Metric.gauge("enginewatch_store_bytes", "of the store in use", figures.store_bytes)
        yield Metric.gauge("enginewatch_start_time_seconds", "when the page started", figures.started)
        yield Metric.gauge("enginewatch_info", "always 1", 1, version=figures.version)


def _state(*, wrong: str = "", light: str = "") -> HopState:
    return HopState.FAILED if wrong else HopState.DEGRADED if light else HopState.GOOD


def _with_error(hop: Hop, error: str, at: int | None) -> Hop:
    return replace(hop, error=error, error_at=at)
