"""Keeps the store within its bounds, and warns before the disk budget bites: once, with the time that is left.

It also takes new score rows into the history of their assets, a little at a time.

`turn` is called again and again by the thread that looks on, so that no turn may take long.
"""

from __future__ import annotations

import math
import os
import time
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import structlog

from monitor.budget import Gauge
from monitor.schema import StoreError
from monitor.wording import duration

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from config.settings import Settings
    from monitor.budget import Level
    from monitor.store import Store

log = structlog.get_logger()

PRUNE_S = 60.0  # between two prunings
GIVEN_UP_S = 3600.0  # between two alarms of rows that were given up
PRUNING_S = 1.0  # of one; what is left is for the next turn
FOLD_S = 60.0  # between two looks for rows that the history has not
FOLDING_S = 0.25  # of one, likewise: the line has the rest of the processor
LOOK_S = 10.0  # between two looks at the disk
NEAR = 0.8  # of a limit
WAL_LIMIT = 1 << 30  # bytes of the store's write-ahead log, which only a long reader lets grow


class _Limit(NamedTuple):
    used: int
    limit: int
    bound: int  # from here on it is near
    remedy: str


class Upkeep:
    """What is done for the store while the daemon runs."""

    def __init__(self, settings: Settings, store: Store, folder: Path, *, backlog: Callable[[], int]) -> None:
        """`backlog` tells the bytes of the journal that the line has not taken yet."""
        self._settings = settings
        self._store = store
        self._folder = folder
        self._backlog = backlog
        self._prune_at: float | None = None  # a daemon that has just started has other things to do
        self._fold_at: float | None = None
        self._look_at = 0.0
        self._prune_failed = False
        self._fold_failed = False
        self._given_up = 0  # rows that were never sent, and are not told yet
        self._tell_at = 0.0
        self._gauges: dict[str, Gauge] = {}
        self.levels: dict[str, Level] = {}  # "store", "journal", "disk", "wal" -> as it was looked at last

    def turn(self, now: float) -> None:
        """Do what is due; `now` in seconds, of a monotonic clock."""
        if self._prune_at is None or self._fold_at is None:
            self._prune_at, self._fold_at = now + PRUNE_S, now + FOLD_S
        if now >= self._look_at:
            self._look_at = now + LOOK_S
            self._look(now)
        if now >= self._fold_at:
            self._fold_at = now + (FOLD_S if self._fold() else 0.0)
        if now >= self._prune_at:
            self._prune_at = now + (PRUNE_S if self._prune(now) else 0.0)

    def _look(self, now: float) -> None:
        try:
            limits = self._limits()
        except (StoreError, OSError) as error:
            log.warning("disk_not_looked_at", reason=str(error))
            return
        for name, each in limits.items():
            gauge = self._gauges.setdefault(name, Gauge())
            before = self.levels.get(name)
            level = gauge.look(now, each.used, limit=each.limit, bound=each.bound)
            self.levels[name] = level
            if level.tell:
                log.warning(
                    "disk_budget_near",
                    what=name,
                    used_bytes=level.used,
                    limit_bytes=level.limit,
                    full_in=words(level.full_in_s),
                    remedy=each.remedy,
                )
            elif before is not None and before.near and not level.near:
                log.info("disk_budget_well", what=name, used_bytes=level.used, limit_bytes=level.limit)
        facts = {name: level._asdict() for name, level in self.levels.items()}
        try:
            self._store.note({"disk": msgspec.json.encode(facts).decode()})
        except StoreError:
            return  # the line tells that the store cannot be written

    def _limits(self) -> dict[str, _Limit]:
        store = self._settings.store
        disk = os.statvfs(self._folder)
        total, free = disk.f_blocks * disk.f_frsize, disk.f_bavail * disk.f_frsize
        wal = self._folder / "store.db-wal"
        return {
            "store": _Limit(
                self._store.bytes_used(),
                store.max_bytes,
                int(NEAR * store.max_bytes),
                "raise store.max_bytes, lower store.retention_days or mend the way to InfluxDB:"
                " beyond it the oldest score rows go, also those that were not sent",
            ),
            "journal": _Limit(
                self._backlog(),
                store.journal_max_bytes,
                int(NEAR * store.journal_max_bytes),
                "the line is behind: beyond store.journal_max_bytes receiving pauses, the broker keeps what comes",
            ),
            "disk": _Limit(
                total - free,
                total,
                total - store.min_free_bytes,
                "make room on the disk of daemon.state_dir: when it is full nothing is acknowledged",
            ),
            "wal": _Limit(
                wal.stat().st_size if wal.exists() else 0,
                WAL_LIMIT,
                WAL_LIMIT // 4,
                "something has been reading the store for long: end the enginewatch commands that still run",
            ),
        }

    def _fold(self) -> bool:
        """Take new rows into the history; whether all are taken."""
        try:
            done = self._store.fold(FOLDING_S)
        except StoreError as error:
            if not self._fold_failed:
                remedy = "make room in the state folder: until then score rows wait for the history"
                log.error("history_failed", reason=str(error), remedy=remedy)
            self._fold_failed = True
            return True
        self._fold_failed = False
        return done

    def _prune(self, now: float) -> bool:
        """Keep the store within its bounds; whether that is done. Giving up undelivered rows is an alarm.

        It is told when it begins, and then once an hour with the sum.
        """
        store = self._settings.store
        before, minutes_before = (
            int(time.time() * 1000 - days * 86_400_000) for days in (store.retention_days, store.history_days)
        )
        sinks = ["history", "influx"] if self._settings.influx.url else ["history"]
        try:
            pruned = self._store.prune(
                sinks,
                before=before,
                minutes_before=minutes_before,
                max_bytes=store.max_bytes,
                seconds=PRUNING_S,
            )
        except StoreError as error:
            if not self._prune_failed:
                remedy = "make room in the state folder: until then the store grows"
                log.error("prune_failed", reason=str(error), remedy=remedy)
            self._prune_failed = True
            return True
        self._prune_failed = False
        self._given_up += pruned.given_up
        if self._given_up and now >= self._tell_at:
            remedy = "raise store.max_bytes, or mend the way to InfluxDB"
            log.error("score_rows_given_up", rows=self._given_up, remedy=remedy)
            self._given_up, self._tell_at = 0, now + GIVEN_UP_S
        return pruned.done


def words(seconds: float | None) -> str:
    """How long it lasts at the present rate, in words."""
    if seconds is None:
        return "not known yet"
    return "not at the present rate" if math.isinf(seconds) else duration(int(seconds * 1000))
