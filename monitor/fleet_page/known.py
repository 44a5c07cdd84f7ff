"""What is known of a fleet's assets by their rows: how each stands, and for how long it was scored. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from monitor import ledger
from monitor.records import Kind, Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from monitor.records import AlertEvent, StoredScores, Stretches
    from monitor.spec import ClassSpec, LineSpec

FIRST_ROOM = 64
# How an asset stands by the status of its latest row, in the words of `monitor.roll`; a regime has its own name.
WORDS = {
    Status.SCORED: "watched",
    Status.WARMING_UP: "warming up",
    Status.GAP: "warming up",
    Status.TOO_FEW_SENSORS: "watched",
    Status.NO_MODEL: "no model",
    Status.RELEARNING: "relearning",
    Status.BLANKED: "watched",
    Status.LEARNING: "learning",
    Status.COMMISSIONING: "commissioning",
}
QUIET_MS = 60_000  # for which nothing comes of an asset, beside what makes it silent, while others are heard


@dataclass(slots=True)
class Asset:
    """One of them. Times are epoch ms."""

    key: str
    of: ClassSpec
    read: int  # its rows are known up to here
    heard: int  # when its latest row came
    model: str = ""
    status: int = Status.NO_MODEL
    regime: str = "all"
    threshold: float = math.nan
    newest: int | None = None  # the time of its latest row; None = there is none yet
    measured: bool = True  # its rows have readings beside them
    waits: float | None = None  # since when a row waits for its reading, of a clock that only goes forward

    def stands(self, stored: StoredScores, row: int, of: ClassSpec, heard: int) -> None:
        """Take in a row, unless a later one is known."""
        time = int(stored.time[row])
        if self.newest is None or time >= self.newest:
            self.of, self.model, self.newest, self.heard = of, stored.model, time, heard
            self.status = int(stored.rows.status[row])
            self.regime = stored.regimes[stored.rows.regime[row]]
            self.threshold = float(stored.rows.threshold[row])


@dataclass(slots=True)
class _Class:
    """The ledger of a class."""

    keys: list[str]
    number: dict[str, int]
    state: ledger.LedgerState


class Known:
    """All assets that a class takes."""

    def __init__(self, spec: LineSpec) -> None:
        self._spec = spec
        self._classes: dict[str, _Class] = {}
        self.assets: dict[str, Asset] = {}
        self._homes: dict[tuple[str, str], ClassSpec | None] = {}

    def add(self, new: dict[str, Asset]) -> None:
        """Further ones; whoever looks at the others meanwhile goes on."""
        if new:
            self.assets = self.assets | new

    def class_of(self, key: str, model: str) -> ClassSpec | None:
        """Whose row it is: of the classes that take the asset the one with its model, else the first."""
        if (key, model) not in self._homes:
            taking = [each for each in self._spec.classes if each.route.takes(key)]
            home = next((each for each in taking if each.model == model), taking[0] if taking else None)
            self._homes[key, model] = home
        return self._homes[key, model]

    def take(self, stored: StoredScores, of: ClassSpec, now: int) -> list[Stretches]:
        """Take in rows of a class, each asset's in the order of time; what stretches have ended by them."""
        for row, key in enumerate(stored.streams):
            self.assets[key].stands(stored, row, of, now)
        return self._covered(stored, of)

    def _covered(self, stored: StoredScores, of: ClassSpec) -> list[Stretches]:
        known = self._classes.setdefault(of.name, _Class([], {}, ledger.LedgerState.empty(FIRST_ROOM)))
        for key in stored.streams:
            if key not in known.number:
                known.number[key] = len(known.keys)
                known.keys.append(key)
        _room(known)
        stream = np.array([known.number[key] for key in stored.streams], np.int32)  # (B,)
        order = np.argsort(stream, kind="stable")
        begins = np.searchsorted(stream[order], stream[order])
        turn = np.empty(len(order), np.int64)  # (B,) which row of its asset it is
        turn[order] = np.arange(len(order)) - begins
        found: list[Stretches] = []
        names = ledger.Names(known.keys, stored.regimes)
        for each in range(int(turn.max(initial=-1)) + 1):
            which = turn == each
            rows = stored.where(which).rows
            rows.stream[:] = stream[which]
            ticks = np.full(len(rows.stream), of.window.stride, np.int32)
            found += ledger.rows(known.state, names, rows, ticks, of.align.period_ms)
        return found

    def tell(self, silent: Sequence[str], now: int) -> list[Stretches]:
        """The stretches that go on, every so often; also of those that are silent."""
        found: list[Stretches] = []
        for name, known in self._classes.items():
            names = ledger.Names(known.keys, self._regimes(name))
            quiet = np.zeros(len(known.state.end), np.bool_)
            quiet[[known.number[key] for key in silent if key in known.number]] = True
            found += ledger.quiet(known.state, names, quiet, np.zeros_like(quiet), now)
            found += ledger.tell(known.state, names, now)
        return found

    def cut(self) -> list[Stretches]:
        """All stretches, as far as they have got: who goes on begins new ones there."""
        return [
            stretches
            for name, known in self._classes.items()
            for stretches in ledger.cut(known.state, ledger.Names(known.keys, self._regimes(name)))
        ]

    def _regimes(self, name: str) -> Sequence[str]:
        return next((each.regime.names for each in self._spec.classes if each.name == name), ("all",))

    def roll(self, incidents: Mapping[str, Sequence[AlertEvent]]) -> list[dict[str, Any]]:
        """A row for every asset, by name, as `monitor.roll` has them; `incidents` are the open ones of each.

        What only the line knows is null: whether a model fits, maintenance. An asset of which nothing comes while
        others are heard has said goodbye, or it would be silent.
        """
        assets = [self.assets[key] for key in sorted(self.assets)]
        heard = max((each.heard for each in assets), default=0)
        return [self._row(each, incidents.get(each.key, ()), heard) for each in assets if each.newest is not None]

    def _row(self, asset: Asset, incidents: Sequence[AlertEvent], heard: int) -> dict[str, Any]:
        status = asset.regime if asset.status == Status.REGIME else WORDS[Status(asset.status)]
        if any(each.kind == Kind.STALE for each in incidents):
            status = "silent"
        elif heard - asset.heard > asset.of.alert.stale_after_ms + QUIET_MS:
            status = "offline"
        return {
            "asset": asset.key,
            "class": asset.of.name,
            "model": asset.model,
            "regime": asset.regime,
            "status": status,
            "heard": asset.heard,
            "newest": asset.newest,
            "incidents": len(incidents),
            "threshold": None if math.isnan(asset.threshold) else asset.threshold,
            "creep": None,
            "maintenance": None,
            "drift": None,
            "never": [],
        }


def by_asset(incidents: Iterable[AlertEvent]) -> dict[str, list[AlertEvent]]:
    """Incidents by the asset that they are of."""
    found: dict[str, list[AlertEvent]] = {}
    for each in incidents:
        found.setdefault(each.stream, []).append(each)
    return found


def _room(known: _Class) -> None:
    """Room for all of its assets."""
    missing = len(known.keys) - len(known.state.end)
    if missing > 0:
        more = ledger.LedgerState.empty(max(missing, len(known.keys)))
        joined = (
            np.concatenate([getattr(known.state, each.name), getattr(more, each.name)])
            for each in fields(ledger.LedgerState)
        )
        known.state = ledger.LedgerState(*joined)
