"""A plant of engines, and the real `enginewatch monitor` that watches it with the shipped model."""

from __future__ import annotations

import http.client
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.speed.backlog import BEGINS, BOOT
from benchmarks.speed.figures import CannotRunError
from monitor import damage, score_store
from monitor.decode import TELEMETRY_TOPIC, encode_telemetry, fill
from monitor.journal import Journal
from monitor.records import Batch, Status
from simulator.fleet import Fleet
from simulator.layouts import Laid
from simulator.records import SENSORS
from tests.servers import find, free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from benchmarks.speed.backlog import Holding

SITE = "plant"
LIMIT_S = 60.0  # only ends a run that has failed
LOOKS_S = 0.005  # how often the store is looked at
COMMAND = str(Path(sys.executable).with_name("enginewatch"))


class Plant:
    """N engines at 2 Hz, warm ones, that go on where they were."""

    def __init__(self, engines: int) -> None:
        self._fleet = Fleet(engines)
        self.assets = self._fleet.assets

    def ticks(self, count: int) -> Iterator[tuple[int, list[list[float]]]]:
        """The next ticks: the event time, and the values of all sensors of each engine."""
        block = self._fleet.block(count)
        return zip((BEGINS + block.time).tolist(), block.shortest(), strict=True)

    def messages(self, ticks: int, *, in_one: int = 1) -> list[Laid]:
        """The next ticks as messages, in the order of time; `in_one` readings of an engine are a message."""
        made = []
        for _ in range(0, ticks, in_one):
            here = list(self.ticks(in_one))
            for engine, asset in enumerate(self.assets):
                readings = [reading(moment, rows[engine]) for moment, rows in here]
                payload = readings[0] if in_one == 1 else b"[" + b",".join(readings) + b"]"
                made.append(Laid(topic_of(asset), payload, in_one * len(SENSORS)))
        return made


def topic_of(asset: str) -> str:
    """Where an engine's readings are published."""
    return fill(TELEMETRY_TOPIC, root="enginewatch", site=SITE, area="", asset=asset)


def reading(moment: int, values: Sequence[float]) -> bytes:
    """One reading as our JSON."""
    return encode_telemetry(time=moment, boot=BOOT, seq=moment, values=dict(zip(SENSORS, values, strict=True)))


class Daemon:
    """`enginewatch monitor` with a folder of its own, and what is seen of it from outside."""

    def __init__(self, folder: Path, broker: Holding, settings: str = "") -> None:
        """`settings` are further sections."""
        self.state = folder / "state"
        self._folder = folder
        self._log = folder / "log"
        self._port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        (folder / "enginewatch.toml").write_text(f"""
[mqtt]
host = "{broker.host}"
port = {broker.port}

[http]
port = {self._port}

[[classes]]
name = "engine"
file = ""
model = "pretrained:engine"
{settings}
""")

    def start(self) -> None:
        """Start it, without waiting for anything."""
        plain = {name: value for name, value in os.environ.items() if not name.startswith("ENGINEWATCH_")}
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [COMMAND, "monitor"], cwd=self._folder, env=plain, stdout=log, stderr=log
            )

    def stop(self) -> None:
        """End it in order: it checkpoints."""
        assert self.process is not None
        self.process.terminate()
        self.process.wait(LIMIT_S)
        self.process = None

    def close(self) -> None:
        """End it, if it still runs."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def until(self, what: Callable[[], Any], looks_s: float = LOOKS_S) -> Any:
        """Wait until something is true, and return it. Raises RuntimeError with the log where it does not come."""
        end = time.monotonic() + LIMIT_S
        while time.monotonic() < end and self.process is not None and self.process.poll() is None:
            if found := what():
                return found
            time.sleep(looks_s)
        raise RuntimeError("\n".join(self._log.read_text().splitlines()[-5:]))

    def fact(self, name: str) -> str:
        """What the daemon noted in its store; empty: nothing."""
        try:
            with closing(self.opened("store.db")) as store:
                found = store.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        except sqlite3.OperationalError:  # there is no store yet
            return ""
        return found[0] if found else ""

    def ready(self) -> bool:
        """Whether it says so."""
        asked = http.client.HTTPConnection("127.0.0.1", self._port, timeout=LIMIT_S)
        try:
            asked.request("GET", "/readyz")
            return asked.getresponse().status == http.HTTPStatus.OK
        except OSError:
            return False
        finally:
            asked.close()

    def opened(self, name: str) -> sqlite3.Connection:
        """The store or the journal, to read."""
        return sqlite3.connect(f"file:{self.state / name}?mode=ro", uri=True, timeout=30, isolation_level=None)

    def drained(self, rows: int, *, warm: bool = True) -> float:
        """Start it, and wait until so many score rows more are stored; seconds since the first message came.

        All of them have to be scored, where the engines are `warm`.

        When that came its journal says, when the last row was stored is seen from outside, by the same clock.
        """
        with closing(self.opened("store.db")) as store, closing(Journal(self.state / "journal.db")) as journal:
            (latest,) = store.execute("SELECT coalesce(max(id), 0) FROM score_batch").fetchone()
            position, stored, before = journal.last(), 0, latest
            self.start()

            def look() -> bool:
                nonlocal latest, stored
                found = store.execute("SELECT id, rows FROM score_batch WHERE id > ?", (latest,)).fetchall()
                latest = max([latest, *(number for number, _ in found)])
                stored += sum(count for _, count in found)
                return bool(stored >= rows)

            self.until(look)
            ended = time.time()
            assert stored == rows, f"{stored} rows, not {rows}"
            scored = self._scored_after(before)
            assert scored == rows or not warm, f"of {rows} rows {scored} are scored"
            batches = [each.payload for each in journal.read(position, 64) if isinstance(each.payload, Batch)]
        return ended - batches[0].messages[0].arrival / 1000

    def _scored_after(self, latest: int) -> int:
        """How many rows of the batches behind one were scored."""
        with closing(self.opened("store.db")) as store:
            damage.teach(store)
            batches = map(score_store.read, store.execute(f"{score_store.BATCHES} WHERE b.id > ?", (latest,)))
            return sum(int(np.count_nonzero(each.rows.status == Status.SCORED)) for each in batches)


@contextmanager
def watched(broker: Holding, settings: str = "") -> Iterator[Daemon]:
    """A daemon that has subscribed and is stopped again; what is published from now on waits for it."""
    with TemporaryDirectory(prefix="enginewatch-speed-") as folder:
        daemon = Daemon(Path(folder), broker, settings)
        try:
            daemon.start()
            daemon.until(lambda: daemon.fact("session"))
            daemon.stop()
            yield daemon
        finally:
            daemon.close()


def needs_mosquitto() -> None:
    """Raises CannotRunError where there is none."""
    if find("mosquitto") is None:
        raise CannotRunError("mosquitto is not installed")
