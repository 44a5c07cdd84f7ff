"""The thread of the mirror: looks every two seconds, and says why nothing comes where that is so."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog

from monitor.influx_client import TooLarge, Unavailable
from monitor.schema import StoreError
from monitor.stages import Pulse, Worker

if TYPE_CHECKING:
    from collections.abc import Callable

    from monitor.fleet_page.mirror import Mirror
    from monitor.spec import LineSpec
    from monitor.store import Store

log = structlog.get_logger()

EVERY_S = 2.0  # a look begins so often, at the most
LEAST_ROWS = 100  # in an answer, where larger ones are too large
STILL_S = 30.0  # without a row, after which that is told; slow classes have longer:
SLOW_ROWS = 3  # rows of the slowest
LOOK_S = 120.0  # that a look may take


class Mirroring:
    """`trouble` and `store_trouble` say in words why nothing comes; for any thread."""

    def __init__(self, mirror: Mirror, store: Store, spec: LineSpec, close: Callable[[], None]) -> None:
        """`close` ends the connection to InfluxDB. Raises StoreError."""
        self._mirror = mirror
        self._store = store
        self._close = close
        slowest = max((each.align.period_ms * each.window.stride for each in spec.classes), default=0)
        self._still_s = max(STILL_S, SLOW_ROWS * slowest / 1000)
        self._heard, self._rows = time.monotonic(), 0
        self._said = store.facts().get("not_scoring", "")
        self._stopping = threading.Event()
        self.trouble = ""
        self.store_trouble = ""
        self.thread = Worker("mirror", self._run)
        self.pulse = Pulse()

    def stop(self) -> None:
        """End after the look that is under way."""
        self._stopping.set()

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                began = time.monotonic()
                self.pulse.turn(LOOK_S)
                more = self.turn()
                self.pulse.turn(EVERY_S)
                if not more:
                    self._stopping.wait(max(0.0, EVERY_S - (time.monotonic() - began)))
            self._mirror.close()
        finally:
            self._close()
            self._store.leave()

    def turn(self) -> bool:
        """One look, and what is to be said of it; whether there is more at once."""
        trouble, more = "", False
        try:
            more = self._mirror.look()
            self._tell_store("")
        except Unavailable as error:
            trouble = str(error)
        except TooLarge as error:
            trouble = str(error) if self._mirror.most == LEAST_ROWS else ""
            self._mirror.most = max(LEAST_ROWS, self._mirror.most // 2)
        except StoreError as error:
            self._tell_store(str(error))
        if trouble != self.trouble:
            if trouble:
                log.warning("mirror_degraded", reason=trouble)
            else:
                log.info("mirror_ok", rows=self._mirror.rows)
        self.trouble = trouble
        try:
            self._note()
        except StoreError as error:
            self._tell_store(str(error))
        return more

    def _tell_store(self, trouble: str) -> None:
        if trouble and not self.store_trouble:
            remedy = "make room in the state folder: what was found is kept until then"
            log.error("mirror_not_written", reason=trouble, remedy=remedy)
        self.store_trouble = trouble

    def _note(self) -> None:
        """Tell the page why nothing new comes. Raises StoreError."""
        if self._mirror.rows != self._rows:
            self._heard, self._rows = time.monotonic(), self._mirror.rows
        if self.trouble:
            said = self.trouble
        elif time.monotonic() - self._heard <= self._still_s:
            said = ""
        else:
            newest = self._mirror.newest
            last = "" if newest is None else f" since {datetime.fromtimestamp(newest / 1000, UTC):%H:%M:%S} UTC"
            said = f"nothing new comes to InfluxDB{last}: does `enginewatch fleet run` go on?"
        if said != self._said:
            self._store.note({"not_scoring": said})
            self._said = said
