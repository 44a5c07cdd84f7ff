"""What those who look at a daemon are given: its fleet as it stands, and the routes of its live page."""

from __future__ import annotations

import time
from functools import cached_property
from typing import TYPE_CHECKING, Any

from monitor import calibration
from monitor.door import CommandError
from monitor.hops import Beside

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.routing import Route

    from config.settings import Settings
    from monitor.canary.run import Canary
    from monitor.line import Line
    from monitor.overview import Fleet
    from monitor.page.simulator import Simulator
    from monitor.promotion import Promotion
    from monitor.questions import Questions
    from monitor.shelf import Shelf
    from monitor.store import Store
    from monitor.upkeep import Upkeep
    from monitor.vitals import Gatherer


class Showing:
    """Loads what it shows by when somebody wants to see it."""

    def __init__(
        self,
        settings: Settings,
        *,
        client_id: str,
        store: Store,
        line: Line,
        shelf: Shelf,
        questions: Questions,
        promotion: Promotion,
        upkeep: Upkeep,
        vitals: Gatherer,
        canary: Canary | None,
    ) -> None:
        """Nothing is asked of these before `routes` is called, or `fleet`."""
        self._settings = settings
        self._client_id = client_id
        self._store = store
        self._line = line
        self._shelf = shelf
        self._questions = questions
        self._promotion = promotion
        self._upkeep = upkeep
        self._vitals = vitals
        self._canary = canary
        self._simulator: Simulator | None = None  # a fleet that takes faults from the page, where there is one

    @cached_property
    def _fleet(self) -> Fleet:
        from monitor.overview import Fleet  # noqa: PLC0415 - only where somebody wants to see it

        return Fleet(self._store)

    def fleet(self) -> list[dict[str, Any]] | None:
        """Every asset as it stands; None where the line is busy. One thread calls this."""
        try:
            return self._fleet.look(self._questions.assets(fits=False), time.monotonic()).assets
        except CommandError:
            return None

    def routes(self, address: Callable[[], str]) -> Sequence[Route]:
        """Those of the live page, which is served at this address."""
        from monitor.page.routes import routes  # noqa: PLC0415 - with the server, where there is one
        from monitor.page.simulator import Simulator  # noqa: PLC0415 - as above
        from monitor.page.sources import Sources  # noqa: PLC0415 - as above

        topic = self._settings.http.simulator_topic
        if topic:
            self._simulator = Simulator(self._settings.mqtt, f"{self._client_id}-page", topic)
            self._simulator.start()
        sources = Sources(
            store=self._store,
            assets=self._questions.assets,
            vitals=self._vitals,
            spec=lambda: self._line.state.spec,
            model_folder=self._shelf.place,
            folder=self._settings.daemon.state_dir,
            beside=lambda: self._beside(address()),
            models=self._models,
            simulator=self._simulator,
            sections=self._sections(),
        )
        return routes(sources)

    def stop(self, seconds: float) -> None:
        """Let go of what was started for the page."""
        if self._simulator is not None:
            self._simulator.stop(seconds)

    def _sections(self) -> dict[str, Callable[[Store], object]]:
        """Further parts of what health tells."""
        canary = self._canary
        promised: dict[str, Callable[[Store], object]] = {"false_alarms": calibration.report}
        return promised if canary is None else {"canary": lambda _: canary.report(), **promised}

    def _beside(self, address: str) -> Beside:
        """What health tells of the hops."""
        mqtt = self._settings.mqtt
        return Beside(
            broker=f"{mqtt.host}:{mqtt.port}",
            http=address,
            influx=bool(self._settings.influx.url),
            levels=self._upkeep.levels,
        )

    def _models(self) -> list[dict[str, Any]]:
        """The model of every class."""
        return [
            {"class": each.name, "model": each.model_name or None, "hash": each.model_hash, "window": each.window}
            for each in self._promotion.classes
        ]
