"""What the demo of a fleet sees of its results: the rows in InfluxDB, counted as anybody could count them."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from monitor.demo.fleet_vehicles import SITE
from monitor.influx_client import TooLarge, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from monitor.fleet_page.influxql import InfluxReader, Series

EVERY_S = 1.0
END_LIMIT_S = 30.0  # for the question that is being asked
SETTLED_MS = 30_000  # rows so far behind the slowest vehicle are counted for good
SAMPLE = 50  # vehicles whose delay is measured
DELAYS = 500  # of the sample that are kept


@dataclass(frozen=True, slots=True)
class Seen:
    """What InfluxDB has, and how late it came. None = not known yet."""

    rows: int = 0  # scored or not
    scored: int = 0
    delay_s: tuple[float, float] | None = None  # from a reading's end to its row: median, and 95 % of the rows
    trouble: str = ""


def rows_of(series: Iterable[Series]) -> list[dict[str, Any]]:
    """The rows of an answer with their tags."""
    return [
        {**each.tags, **dict(zip(each.columns, values, strict=True))} for each in series for values in each.values
    ]


def rows_by_asset(reader: InfluxReader, since: int) -> dict[str, int]:
    """How many rows each vehicle has from a time on (epoch ms). Raises Unavailable and TooLarge."""
    found = reader.ask(f'SELECT count("status") FROM "anomaly" WHERE {_here(since)} GROUP BY "asset"')
    return {row["asset"]: row["count"] for row in rows_of(found)}


class Watch:
    """Looks once a second, in a thread of its own: an InfluxDB that is slow delays nobody's reports."""

    def __init__(self, reader: InfluxReader, names: Sequence[str], *, beginning: int, period_ms: int) -> None:
        """Count rows of times from `beginning` (epoch ms) on; the reader is the watch's own."""
        self._reader = reader
        self._period_ms = period_ms
        self._sample = "|".join(names[:SAMPLE])
        self._since = beginning
        self._settled = np.zeros(2, np.int64)  # rows and scored ones before `_since`
        self._latest: dict[str, int] = {}  # of the sample: the newest row's time
        self._delays: deque[float] = deque(maxlen=DELAYS)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self.seen = Seen()

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._ended.set()
        self._thread.join(END_LIMIT_S)

    def _run(self) -> None:
        while not self._ended.wait(EVERY_S):
            try:
                self.seen = self._look()
            except (Unavailable, TooLarge) as error:
                self.seen = Seen(self.seen.rows, self.seen.scored, self.seen.delay_s, str(error))

    def _look(self) -> Seen:
        self._measure()
        open_rows = self._count(_here(self._since))
        settled = min(self._latest.values(), default=0) - SETTLED_MS
        if len(self._latest) and settled > self._since + SETTLED_MS:
            self._settled += self._count(f"{_here(self._since)} AND time < {settled}ms")
            self._since = settled
            open_rows = self._count(_here(self._since))
        rows, scored = (self._settled + open_rows).tolist()
        delays = tuple(np.quantile(np.array(self._delays), [0.5, 0.95]).tolist()) if self._delays else None
        return Seen(rows, scored, delays)

    def _measure(self) -> None:
        """How long the newest rows of the sample took: from the end of a row's last tick to now."""
        newest = self._reader.ask(
            f'SELECT last("status") FROM "anomaly" WHERE {_here(self._since)} AND "asset" =~ /^({self._sample})$/ '
            'GROUP BY "asset"'
        )
        now = time.time_ns() // 1_000_000
        for row in rows_of(newest):
            if row["time"] > self._latest.get(row["asset"], 0):
                if row["asset"] in self._latest:  # what came before there was a row waited for Spark's start
                    self._delays.append((now - row["time"] - self._period_ms) / 1000)
                self._latest[row["asset"]] = row["time"]

    def _count(self, where: str) -> np.ndarray[Any, np.dtype[np.int64]]:
        found = self._reader.ask(
            f'SELECT count("status") AS "rows", count("score") AS "scored" FROM "anomaly" WHERE {where}'
        )
        first: Mapping[str, Any] = next(iter(rows_of(found)), {})
        return np.array([first.get("rows") or 0, first.get("scored") or 0], np.int64)


def _here(since: int) -> str:
    return f"\"site\" = '{SITE}' AND time >= {since}ms"
