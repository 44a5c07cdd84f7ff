"""Two models on the same rows, each through a whole line: recordings, or what the daemon has stored."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar, cast

import msgspec
import numpy as np

from monitor import rescored
from monitor.commands.as_published import of_recordings, records
from monitor.decode import TELEMETRY_TOPIC, ClassRoute
from monitor.payloads.times import in_range
from monitor.pipeline import step
from monitor.records import Status
from monitor.side_by_side import SideBySide, Tally, incidents, rank_correlation, side_by_side
from monitor.state import LineState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from models.artifact import Header
    from monitor.records import AlertEvent, CarryingModel, Float32, Int64, Model, StepResult, StoredScores
    from monitor.side_by_side import Found
    from monitor.spec import LineSpec
    from monitor.store import Store
    from simulator.recording import Recording

Answer = TypeVar("Answer")
SITE = "compare"
BEGINNING = 1_600_000_000_000  # about: epoch ms at which rows without a time begin
SLICE = 32  # ticks in one record of the journal
ROWS_AT_ONCE = 4_000  # of the store
MOST_ROWS = 1_000_000  # of the store, of all assets together; the oldest are left out


class _Timed:
    """A model that is timed; else it is the other. Satisfies `CarryingModel` where that does."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self.seconds = 0.0
        self.windows = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def score(self, *given: Any) -> tuple[Float32, Float32, Float32]:
        """As the model's: of rows one by one."""
        return self._of_rows(self._model.score, *given)

    def judge(self, *given: Any) -> tuple[Float32, Float32, Float32]:
        """As the model's: of rows of which `predict` has seen no more than their latest ticks."""
        return self._of_rows(cast("CarryingModel", self._model).judge, *given)

    def predict(self, *given: Any) -> tuple[Float32, Float32]:
        """As the model's."""
        return self._timed(cast("CarryingModel", self._model).predict, *given)

    def _of_rows(self, asks: Callable[..., Answer], values: Float32, *more: Any) -> Answer:
        self.windows += len(values)
        return self._timed(asks, values, *more)

    def _timed(self, asks: Callable[..., Answer], *given: Any) -> Answer:
        began = time.perf_counter()
        answer = asks(*given)
        self.seconds += time.perf_counter() - began
        return answer


@dataclass(slots=True)
class Judge:
    """One of the two, and what the line made of the rows with it."""

    header: Header
    spec: LineSpec
    model: Model
    events: list[AlertEvent] = field(default_factory=list)
    statuses: Int64 = field(default_factory=lambda: np.zeros(len(Status), np.int64))  # rows by `Status`

    def __post_init__(self) -> None:
        """The clock runs while it scores."""
        self.model = cast("Model", _Timed(self.model))

    @property
    def models(self) -> dict[str, Model]:
        """As the line asks for them."""
        return {self.header.hash: self.model}

    def keep(self, result: StepResult) -> list[StoredScores]:
        """Note what a record brought about; its score rows."""
        self.events += result.events
        for each in result.scores:
            self.statuses += np.bincount(each.rows.status, minlength=len(Status))
        return result.scores

    def facts(self) -> dict[str, Any]:
        """What is of this one alone."""
        timed, rows = cast("_Timed", self.model), int(self.statuses.sum())
        scored = int(self.statuses[Status.SCORED])
        return {
            "windows_scored": scored,
            "coverage": scored / rows if rows else None,
            "seconds_per_1000_windows": 1000 * timed.seconds / timed.windows if timed.windows else None,
        }


@dataclass(frozen=True, slots=True)
class Both:
    """What came of it."""

    judges: tuple[Judge, Judge]
    found: SideBySide
    rank_correlation: float | None


class _Compared:
    """Both side by side, while rows go through."""

    def __init__(self, judges: tuple[Judge, Judge]) -> None:
        self._judges = judges
        self._tally = Tally(judges[0].spec.classes[0].align.period_ms)
        self._scores: list[tuple[Float32, Float32]] = []

    def add(self, results: Sequence[StepResult]) -> None:
        """What the same rows brought about in each."""
        one, other = (judge.keep(result) for judge, result in zip(self._judges, results, strict=True))
        pairs = self._tally.add(one, other)
        self._scores.append((pairs.first, pairs.second))

    def done(self) -> Both:
        """All of it."""
        window = max(judge.header.window for judge in self._judges)
        found = side_by_side(
            self._tally,
            incidents(self._judges[0].events),
            incidents(self._judges[1].events),
            slack_ms=window * self._tally.period_ms,
        )
        none = np.zeros(0, np.float32)
        one, other = (np.concatenate([none, *(pair[side] for pair in self._scores)]) for side in (0, 1))
        return Both(self._judges, found, rank_correlation(one, other))


def on_recordings(
    recordings: Sequence[Recording], judges: tuple[Judge, Judge], told: Callable[[int, int | None], None]
) -> Both:
    """Both on recordings, which go side by side as if they had begun together, each as an asset of its own."""
    period = judges[0].spec.classes[0].align.period_ms
    names = [replace(each, asset=each.asset.replace("/", "_")) for each in recordings]
    earliest = min(int(each.time[0]) for each in recordings)
    first = -(-(earliest if in_range(earliest) else BEGINNING) // period) * period
    shifts = [first - int(each.time[0]) // period * period for each in recordings]
    published, total = of_recordings(names, shifts), sum(len(each.time) for each in recordings)
    specs = [_plain(each.spec, len(recordings)) for each in judges]
    states, compared = [LineState.empty(spec) for spec in specs], _Compared(judges)
    for record in records(published, root=specs[0].root, site=SITE, slice_ms=SLICE * period, first=first):
        pairs = zip(states, judges, strict=True)
        compared.add([step(state, record, judge.models) for state, judge in pairs])
        told(len(getattr(record.payload, "messages", ())), total)
    both = compared.done()
    back = {f"{SITE}//{each.asset}": shift for each, shift in zip(names, shifts, strict=True)}
    return replace(both, found=_moved_back(both.found, back))


def _moved_back(found: SideBySide, shifts: Mapping[str, int]) -> SideBySide:
    """Incidents by the names and times of the recordings, each of which has a time of its own."""

    def moved(those: Sequence[Found]) -> list[Found]:
        return [
            msgspec.structs.replace(
                each,
                asset=each.asset.removeprefix(f"{SITE}//"),
                started=each.started - shifts[each.asset],
                ended=None if each.ended is None else each.ended - shifts[each.asset],
            )
            for each in those
        ]

    alone = moved(found.only_first), moved(found.only_second)
    return replace(found, since=None, until=None, only_first=alone[0], only_second=alone[1])


def _plain(spec: LineSpec, streams: int) -> LineSpec:
    """A line of the one class, to which everything comes in our own form."""
    (given,) = spec.classes
    route = ClassRoute(given.route.sensors, (TELEMETRY_TOPIC,))
    return replace(spec, max_streams=max(spec.max_streams, streams), classes=(replace(given, route=route),))


def on_store(
    store: Store, judges: tuple[Judge, Judge], last_ms: int, told: Callable[[int, int | None], None]
) -> Both:
    """Both on what the daemon has stored in the last so many ms before its newest row."""
    classes = {each.name for each in judges[0].spec.classes}
    position, total = _where(store, classes, last_ms)
    states, compared = [rescored.beginning(each.spec) for each in judges], _Compared(judges)
    while batches := store.scores_after(position, ROWS_AT_ONCE):
        position = batches[-1].position
        pairs = zip(states, judges, strict=True)
        compared.add([rescored.take(state, batches, judge.models) for state, judge in pairs])
        told(sum(len(each.streams) for each in batches if each.asset_class in classes), total)
    return compared.done()


def _where(store: Store, classes: set[str], last_ms: int) -> tuple[int, int]:
    """The position behind which these rows are, and how many there are at the most."""
    position, rows, newest = store.heads()[0], 0, None
    with closing(store.latest_scores()) as newest_first:
        for each in newest_first:
            if each.asset_class not in classes:
                continue
            newest = int(each.time.max()) if newest is None else newest
            if int(each.time.max()) <= newest - last_ms or rows >= MOST_ROWS:
                break
            position, rows = each.position - 1, rows + len(each.streams)
    return position, rows
