"""What a fleet found, out of InfluxDB into a store of our own: there the page reads it as it does a daemon's.

InfluxDB does not say what is new in it, and rows of a fleet come late and in any order but one: those of an asset
come in the order of their times. So every asset has a position of its own. A look asks for each asset's newest row
first, and then for rows up to there: what is being written meanwhile may be there in part, and is for the next
look. Rows, and how far every asset was read, are written in one transaction: none is missing and none is twice,
however often it ends.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from contextlib import closing
from statistics import median_low
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import msgspec
import numpy as np

from monitor.fleet_page.known import Asset, Known, by_asset
from monitor.fleet_page.mirrored_events import Events
from monitor.fleet_page.read_back import ROW, Columns, stored, stream, tagged
from monitor.records import Kind, StepResult

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from monitor.fleet_page.influxql import InfluxReader
    from monitor.fleet_page.read_back import Cells
    from monitor.records import AlertEvent, StoredScores, Stretches
    from monitor.spec import ClassSpec, LineSpec
    from monitor.store import Store

SETTLED_S = 0.2  # from the newest rows' being seen to their being read: all their fields are there then
ROWS = 20_000  # in an answer
TOGETHER_MS = 10_000  # assets that were read up to about the same time are asked for in one question,
APART = 50  # others by their names, so many in one
QUESTIONS = 20  # of those in a look
BACK_MS = 24 * 3_600_000  # rows that come later than this are not seen
READING_S = 10.0  # for which a row waits for the reading that belongs to it
FACT = "mirror"  # how far every asset was read
LATEST_ROWS = 500_000  # looked through at the start for how assets stood
MOST_FOREIGN = 10_000  # assets of no class that are remembered


class Mirror:
    """`look` again and again, on one thread; any other may ask for the assets."""

    def __init__(
        self,
        *,
        store: Store,
        reader: InfluxReader,
        spec: LineSpec,
        since: int,
        readings: bool,
        pause: Callable[[float], object] = time.sleep,
    ) -> None:
        """Rows before `since` (epoch ms) are passed over. `readings`: the sensors' values are there as well.

        Raises StoreError.
        """
        self._store = store
        self._reader = reader
        self._classes = {each.name: each for each in spec.classes}
        self._since = since
        self._readings = readings
        self._pause = pause
        self._known = Known(spec)
        self._events = Events(store, reader)
        self._open: dict[str, list[AlertEvent]] = by_asset(store.open_incidents())
        self._tags: dict[tuple[Any, Any, Any], str] = {}
        self._unwritten: tuple[StepResult, dict[str, int]] | None = None
        self.most = ROWS
        self.foreign: dict[str, None] = {}
        self.behind = 0  # assets with rows that are not here yet
        self.rows = 0  # that were brought here,
        self.scored = 0  # and those with a score
        self.newest: int | None = None  # the time of the newest of all rows here
        self._go_on()

    def _go_on(self) -> None:
        """From where the last one stood, if that is not too far back."""
        assets = self._known.assets
        position: dict[str, int] = msgspec.json.decode(self._store.facts().get(FACT, "{}"))
        for key, read in position.items():
            of = self._known.class_of(key, "")
            if of is not None:
                assets[key] = Asset(key, of, max(read, self._since), heard=0)
        missing, looked = set(assets), 0
        with closing(self._store.latest_scores()) as newest_first:
            for batch in newest_first:
                if not missing or looked > LATEST_ROWS:
                    break
                looked += len(batch.streams)
                of = self._classes.get(batch.asset_class)
                if of is None:
                    continue
                last = {key: row for row, key in enumerate(batch.streams) if key in missing}
                for key, row in last.items():
                    assets[key].stands(batch, row, of, int(batch.time[row]))
                    missing.discard(key)
        self.newest = max((each.newest for each in assets.values() if each.newest is not None), default=None)

    def assets(self, *, fits: bool = True) -> list[dict[str, Any]]:
        """Every asset, as its latest row says it stands; whether models fit is not known here."""
        del fits
        return self._known.roll(self._open)

    def look(self) -> bool:
        """Bring here what is new; whether there is more already. Raises Unavailable, TooLarge, StoreError."""
        self._write()  # what could not be written before
        heads = self._heads()
        assets = self._known.assets
        due = [assets[key] for key, head in heads.items() if head > assets[key].read]
        if due:
            self._pause(SETTLED_S)
        found: list[tuple[ClassSpec, StoredScores]] = []
        read: dict[str, int] = {}
        more = False
        for number, some in enumerate(_questions(due)):
            if number > QUESTIONS:
                more = True
                break
            more |= self._read(some, heads, found, read)
        events = self._events.new(self._front(), time.monotonic())
        self._take(found, read, events)
        self.behind = sum(head > assets[key].read for key, head in heads.items())
        return more

    def close(self) -> None:
        """Write what is left, so that the next one goes on without a hole. Raises StoreError."""
        self._write()
        self._unwritten = StepResult([], [], [], stretches=self._known.cut()), {}
        self._write()

    # -- what is there --------------------------------------------------------------------------------------------

    def _front(self) -> int:
        """The time that most of the fleet was read up to."""
        return median_low([each.read for each in self._known.assets.values()] or [self._since])

    def _heads(self) -> dict[str, int]:
        """The time of each asset's newest row."""
        after = max(self._since, self._front() - BACK_MS)
        question = f'SELECT last("status") FROM "anomaly" WHERE time > {after}ms GROUP BY "site","area","asset"'  # noqa: S608 - a number of ours
        heads = {}
        for each in self._reader.ask(question):
            key = stream(each.tags.get("site"), each.tags.get("area"), each.tags.get("asset"))
            heads[key] = int(each.values[0][0])
        new = {}
        for key in heads.keys() - self._known.assets.keys():
            of = self._known.class_of(key, "")
            if of is not None:
                new[key] = Asset(key, of, self._since, heard=0)
            elif len(self.foreign) < MOST_FOREIGN:
                self.foreign[key] = None
        self._known.add(new)
        return {key: head for key, head in heads.items() if key in self._known.assets}

    # -- rows -----------------------------------------------------------------------------------------------------

    def _read(
        self,
        due: Sequence[Asset],
        heads: dict[str, int],
        found: list[tuple[ClassSpec, StoredScores]],
        read: dict[str, int],
    ) -> bool:
        """Rows of some assets, and how far these are read by it; whether there are more than one answer has."""
        after, of = min(each.read for each in due), {each.key: each for each in due}
        where = f" AND ({' OR '.join(map(tagged, of))})" if len(of) <= APART else ""
        most = self.most
        own: dict[str, list[Cells]] = defaultdict(list)
        while True:
            names, rows, cut = self._ask(f'{ROW} FROM "anomaly" WHERE time > {after}ms{where} LIMIT {most}', most)
            for key, row in zip(self._keys(names, rows), rows, strict=True):
                asset = of.get(key)
                if asset is not None and asset.read < row[0] <= heads[key]:
                    own[key].append(row)
            if own or not cut:
                break
            most *= 2  # more rows of one moment than an answer had
        end = rows[-1][0] - 1 if cut else max(heads.values())  # others of the last moment may be missing
        readings, reading_names = self._readings_of(own, after, where)
        groups: dict[tuple[str, str], list[tuple[str, Cells]]] = defaultdict(list)
        model = names.index("model") if "model" in names else None
        for asset in due:
            rows_of = own[asset.key]
            upto = min(heads[asset.key], max([end, *(row[0] for row in rows_of[-1:])]))
            if self._readings:
                rows_of, upto = _awaited(asset, rows_of, readings, upto)
            read[asset.key] = max(upto, asset.read)
            for row in rows_of:
                name = "" if model is None else unquote(row[model] or "")
                of_row = self._known.class_of(asset.key, name) or asset.of
                groups[of_row.name, name].append((asset.key, row))
        for (name, of_model), pairs in groups.items():
            pairs.sort(key=lambda pair: pair[1][0])
            keys, cells = [key for key, _ in pairs], [row for _, row in pairs]
            beside = [readings.get((key, row[0])) for key, row in pairs]
            spec = self._classes[name]
            rows_found = stored(spec, of_model, keys, (Columns(names), cells), (Columns(reading_names), beside))
            found.append((spec, rows_found))
        return cut

    def _readings_of(
        self, own: dict[str, list[Cells]], after: int, where: str
    ) -> tuple[dict[tuple[str, int], Cells], list[str]]:
        """The readings beside rows, by asset and time, and the names of their columns.

        There are hardly more than rows were asked for: those of the last moment may be some more.
        """
        if not self._readings or not own:
            return {}, []
        last = max(rows[-1][0] for rows in own.values())
        names, rows, _ = self._ask(f'* FROM "engine" WHERE time > {after}ms AND time <= {last}ms{where}')
        return {(key, row[0]): row for key, row in zip(self._keys(names, rows), rows, strict=True)}, names

    def _ask(self, what: str, most: float = math.inf) -> tuple[list[str], list[Cells], bool]:
        """The rows of a question in the order of time, and whether there are more of them."""
        answer = self._reader.ask(f"SELECT {what}")
        if not answer:
            return [], [], False
        (series,) = answer[:1]
        return series.columns, series.values, series.partial or len(series.values) >= most

    def _keys(self, names: Sequence[str], rows: Sequence[Cells]) -> list[str]:
        """The asset of each row."""
        columns, known = Columns(names), self._tags
        tags = list(zip(*(columns.of(name, rows) for name in ("site", "area", "asset")), strict=True))
        for each in set(tags) - known.keys():
            known[each] = stream(*each)
        return [known[each] for each in tags]

    # -- written --------------------------------------------------------------------------------------------------

    def _take(
        self, found: list[tuple[ClassSpec, StoredScores]], read: dict[str, int], events: list[AlertEvent]
    ) -> None:
        now = time.time_ns() // 1_000_000
        stretches: list[Stretches] = []
        for of, scores in found:
            stretches += self._known.take(scores, of, now)
        silent = [key for key, those in self._open.items() if any(each.kind == Kind.STALE for each in those)]
        stretches += self._known.tell(silent, now)
        for key, upto in read.items():
            self._known.assets[key].read = upto
        self._events.taken(events)
        scores_found = [scores for _, scores in found]
        if scores_found or events or stretches:
            position = {key: each.read for key, each in self._known.assets.items()}
            self._unwritten = StepResult(scores_found, events, [], stretches=stretches), position
            self._write()

    def _write(self) -> None:
        """Write what was found, and how far every asset was read. Raises StoreError, and keeps it then."""
        if self._unwritten is None:
            return
        result, position = self._unwritten
        facts = {FACT: msgspec.json.encode(position).decode()} if position else {}
        self._store.write(self._store.written + 1, result, facts)
        self._unwritten = None
        if result.events:
            self._open = by_asset(self._store.open_incidents())
        self.rows += sum(len(each.streams) for each in result.scores)
        self.scored += sum(int((~np.isnan(each.rows.score)).sum()) for each in result.scores)
        newest = [int(each.time.max()) for each in result.scores]
        self.newest = max([*newest, *([] if self.newest is None else [self.newest])], default=None)


def _questions(due: Sequence[Asset]) -> Iterator[Sequence[Asset]]:
    """Assets that are asked for together: most of them, then those that are far behind or ahead by themselves."""
    if not due:
        return
    middle = median_low([each.read for each in due])
    yield [each for each in due if each.read >= middle - TOGETHER_MS]
    late = sorted((each for each in due if each.read < middle - TOGETHER_MS), key=lambda each: each.read)
    for first in range(0, len(late), APART):
        yield late[first : first + APART]


def _awaited(
    asset: Asset, rows: list[Cells], readings: Mapping[tuple[str, int], Cells], upto: int
) -> tuple[list[Cells], int]:
    """The rows of an asset but the last, where their readings may be on their way; and up to when that is."""
    there = [place for place, row in enumerate(rows) if (asset.key, row[0]) in readings]
    asset.measured |= bool(there)
    known = there[-1] + 1 if there else 0  # what is missing before a later one does not come any more
    if known == len(rows) or not asset.measured:
        asset.waits = None
        return rows, upto
    now = time.monotonic()
    asset.waits = now if asset.waits is None else asset.waits
    if now - asset.waits >= READING_S:
        asset.waits, asset.measured = None, False
        return rows, upto
    return rows[:known], rows[known - 1][0] if known else asset.read
