"""What the tests of a fleet's page share: a real InfluxDB, classes, rows of them, and a mirror."""

from __future__ import annotations

import zlib
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from config.classes import resolve_classes
from config.load import load
from monitor.assemble import line_spec
from monitor.fleet_page.influxql import InfluxReader
from monitor.fleet_page.mirror import Mirror
from monitor.influx_client import InfluxClient
from monitor.lineprotocol import event_line, reading_lines, score_lines
from monitor.records import Scores, Status, StoredScores
from monitor.store import Store
from tests.influx_samples import settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from monitor.records import AlertEvent
    from monitor.spec import LineSpec
    from tests.servers.influxd import Influxd

NOW = 1_900_000_000_000  # ms, on the grid of both classes
SENSORS = {"pump": ("flow", 'the "hot" end, 100%25 é'), "mill": ("load", "flow", "torque")}  # fmt: skip
CLASSES = """
[[classes]]
name = "pump"
file = "pump.toml"
assets = ["plant/hall, 1/*", "plant//*"]
[[classes]]
name = "mill"
file = "mill.toml"
assets = ["mills/*"]
"""
Row = tuple[str, int, Status, float]  # asset, seconds after NOW, status, score


def line(folder: Path) -> LineSpec:
    """The description of two classes, whose files are made in the folder."""
    for name, sensors in SENSORS.items():
        named = "".join(f"[[sensors]]\nname = '{each}'\n" for each in sensors)
        (folder / f"{name}.toml").write_text(f"period_ms = 1000\n{named}", encoding="utf-8")
    file = folder / "enginewatch.toml"
    file.write_text(CLASSES, encoding="utf-8")
    loaded = load(file, environment={})
    return line_spec(loaded.settings, resolve_classes(loaded))


def rows(of: str, *given: Row, model: str = "m 1") -> StoredScores:
    """Rows of a class as its line would have made them; every number is another one."""
    count, sensors = len(given), SENSORS[of]
    time = np.array([NOW + 1000 * seconds for _, seconds, _, _ in given], np.int64)
    number = np.arange(count * len(sensors), dtype=np.float32).reshape(count, -1)
    seed = np.array(
        [zlib.crc32(f"{asset} {seconds}".encode()) % 1000 for asset, seconds, _, _ in given], np.float32
    )[:, None]
    keys: dict[str, int] = {}
    contribution = (number + seed) / np.float32(7)
    contribution[:, -1] = np.nan  # of a sensor that is missing
    scores = Scores(
        stream=np.array([keys.setdefault(asset, len(keys)) for asset, *_ in given], np.int32),
        tick=time // 1000,
        status=np.array([status for _, _, status, _ in given], np.uint8),
        score=np.array([score for *_, score in given], np.float32),
        threshold=np.array([np.nan if np.isnan(score) else score * 1.1 for *_, score in given], np.float32),
        contribution=contribution,
        expected=np.full_like(number, np.nan),  # InfluxDB has none of it
        actual=(number + seed) * np.float32(1.37),
        regime=np.zeros(count, np.uint8),
    )
    return StoredScores(0, of, model, sensors, [asset for asset, *_ in given], time, scores)


def by_row(store: Store) -> dict[tuple[str, int], tuple[object, ...]]:
    """Every score row of a store, by asset and time, with all that it says; none is twice."""
    found: dict[tuple[str, int], tuple[object, ...]] = {}
    for batch in store.scores_after(0, 1_000_000):
        columns = [getattr(batch.rows, name) for name in Scores.__slots__ if name not in {"stream", "regime"}]
        for at, (asset, time) in enumerate(zip(batch.streams, batch.time.tolist(), strict=True)):
            assert (asset, time) not in found
            numbers = [column[at].tobytes() for column in columns]
            regime = batch.regimes[batch.rows.regime[at]]
            found[asset, time] = (batch.asset_class, batch.model, batch.sensors, regime, *numbers)
    return found


@dataclass
class House:
    """A database of InfluxDB, what is written to it, and the folder of a mirror."""

    influxd: Influxd
    folder: Path
    name: str
    spec: LineSpec

    def __post_init__(self) -> None:
        self.influxd.create_database(self.name)
        self.settings = settings(self.influxd.url, bucket=self.name, timeout_s=10.0)
        self._client = InfluxClient(self.settings, None)

    def scores(self, *stored: StoredScores) -> None:
        self._client.write([each for batch in stored for each in score_lines(batch)])

    def readings(self, *stored: StoredScores) -> None:
        self._client.write([each for batch in stored for each in reading_lines(batch)])

    def write(self, *stored: StoredScores) -> None:
        self.readings(*stored)
        self.scores(*stored)

    def events(self, *events: AlertEvent) -> None:
        self._client.write([event_line(each) for each in events])

    @contextmanager
    def mirror(self, **changes: Any) -> Iterator[tuple[Mirror, Store]]:
        """A mirror that goes on from where the last one stood."""
        reader = InfluxReader(self.settings, None)
        given: dict[str, Any] = {
            "reader": reader, "spec": self.spec, "since": NOW - 100_000_000, "readings": True,
            "pause": lambda _: None,
        }  # fmt: skip
        with closing(reader), closing(Store(self.folder / "store.db")) as store:
            yield Mirror(store=store, **given | changes), store


def look(mirror: Mirror) -> int:
    """Look until there is nothing more; how many rows came."""
    before = mirror.rows
    while mirror.look():
        pass
    return mirror.rows - before


def batches(given: Sequence[Row], of: str = "pump") -> list[StoredScores]:
    """Rows one by one."""
    return [rows(of, each) for each in given]
