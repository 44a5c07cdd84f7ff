"""A daemon's state goes on in a job on Spark, and a job's state in a daemon, without warming up again."""

from __future__ import annotations

import re
import shutil
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest
from structlog.testing import capture_logs

from config.classes import resolve_classes
from config.load import load
from monitor import checkpoint
from monitor.assemble import line_spec
from monitor.decode import encode_telemetry
from monitor.fleet import control
from monitor.fleet.shard import LINES
from monitor.journal import Journal
from monitor.line import Line
from monitor.lineprotocol import score_lines
from monitor.pipeline import step
from monitor.records import Batch, Change, Message, Record
from monitor.shelf import Shelf
from monitor.state import LineState
from monitor.state_folder import hold
from monitor.store import Store
from simulator.fleet import Fleet
from simulator.records import SENSORS
from tests.servers.kafka import mock_kafka

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from config.settings import Settings
    from monitor.records import Model, StepResult
    from monitor.spec import LineSpec

ENGINES, SHARDS = 6, 2
NOW = 1_700_000_040_000
WARM, MORE = 300, 40  # ticks of the daemon, and of the job behind it


class World(NamedTuple):
    """Settings with a Kafka, what they describe, and the messages of a mixed fleet, a list a tick."""

    settings: Settings
    spec: LineSpec
    message: control.Control
    kafka: Any
    ticks: list[list[Message]]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """At the settings that ship, with the shipped model."""
    folder = tmp_path_factory.mktemp("fleet")
    with mock_kafka() as kafka:
        file = folder / "enginewatch.toml"
        file.write_text(
            f'[fleet]\nbrokers = "{kafka.address}"\nshards = {SHARDS}\ntrigger_s = 0.1\n'
            f'checkpoint = "{folder}/job"\n'
            '[[classes]]\nname = "engine"\nmodel = "pretrained:engine"\n'
        )
        loaded = load(file, environment={})
        classes = resolve_classes(loaded)
        kafka.make("enginewatch", "enginewatch-control", "enginewatch-alerts", "enginewatch-dead-letters")
        message = control.description(loaded.settings, classes)
        yield World(loaded.settings, line_spec(loaded.settings, classes), message, kafka, _ticks())


def _ticks() -> list[list[Message]]:
    block = Fleet(ENGINES, seed=5).block(WARM + 2 * MORE).values  # (T, N, C)
    return [
        [
            _message(tick, number, dict(zip(SENSORS, row, strict=True)))
            for number, row in enumerate(of_all.tolist())
        ]
        for tick, of_all in enumerate(block)
    ]


def _message(tick: int, number: int, values: dict[str, float]) -> Message:
    at = NOW + 500 * tick
    payload = encode_telemetry(time=at, boot="b", seq=tick, values=values)
    return Message(f"enginewatch/v1/plant/e{number}/telemetry".encode(), payload, at + 100, len(payload))


class Reference(NamedTuple):
    """A line in this process that takes the same."""

    state: LineState
    models: Mapping[str, Model]

    def take(self, ticks: list[list[Message]]) -> dict[tuple[str, str], tuple[str, float]]:
        """The rows of these ticks."""
        lines = []
        for messages in ticks:
            record = Record(1, messages[-1].arrival, Batch(messages))
            lines += _lines(step(self.state, record, self.models))
        return rows(lines)


def _lines(result: StepResult) -> list[str]:
    return [line for stored in result.scores for line in score_lines(stored)]


def rows(lines: list[str]) -> dict[tuple[str, str], tuple[str, float]]:
    """By asset and time: the status, and the score where there is one."""
    found = {}
    for line in lines:
        asset, status = re.search(r"asset=([^, ]+)", line), re.search(r'status="([^"]*)"', line)
        score = re.search(r"[ ,]score=([^, ]+)", line)
        if asset and status:
            at = line.rpartition(" ")[2]
            found[asset[1], at] = status[1], float(score[1]) if score else float("nan")
    return found


def assert_same(found: dict[Any, tuple[str, float]], wanted: dict[Any, tuple[str, float]]) -> None:
    """The same rows, and nearly the same scores."""
    assert found.keys() == wanted.keys()
    assert [found[key][0] for key in wanted] == [status for status, _ in wanted.values()]
    scores = np.array([[found[key][1], wanted[key][1]] for key in wanted])
    assert np.allclose(scores[:, 0], scores[:, 1], rtol=0, atol=1e-5, equal_nan=True)


def run_job(spark: Any, world: World, ticks: list[list[Message]], wanted: int) -> list[str]:
    """Run a job on what is in Kafka behind these ticks, until so many rows have left it; the lines."""
    from monitor.fleet import job  # noqa: PLC0415 - the extra may be missing
    from monitor.fleet.processor import lines_of  # noqa: PLC0415 - as above
    from monitor.fleet.service import beginning, publish  # noqa: PLC0415 - as above

    fleet = world.settings.fleet
    for messages in ticks:
        world.kafka.send("enginewatch", [(each.topic, each.payload, each.arrival) for each in messages])
    begin = beginning(fleet, publish(fleet, world.message))
    read = job.rows(spark, fleet, begin, world.spec)
    lines: list[str] = []

    ended = Path(fleet.checkpoint, "query", "commits")
    last = 0

    def sink(batch: Any, number: int) -> None:
        nonlocal last
        last = number
        for row in batch.where(f"kind = '{LINES}'").collect():
            lines.extend(lines_of(row.body, row.size))

    query = job.start(job.judged(read, world.settings), fleet, sink)
    end = time.monotonic() + 120
    while query.isActive and time.monotonic() < end:
        if len(lines) >= wanted and (ended / str(last)).exists():
            break
        time.sleep(0.05)
    assert query.exception() is None
    query.stop()
    return lines


def test_a_daemon_goes_on_as_a_job_and_that_as_a_daemon(spark: Any, world: World, tmp_path: Path) -> None:
    """Each row is scored from the first on, as the daemon would have scored it; open and silent things stay."""
    from monitor.fleet import takeover  # noqa: PLC0415 - as above

    models = Shelf(tmp_path / "shelf", threads=1, batch_size=32)
    for model_hash, files in world.message.models.items():
        (tmp_path / "model").mkdir()
        for name, content in files.items():
            (tmp_path / "model" / name).write_bytes(content)
        models.put(tmp_path / "model", model_hash)
    line = Reference(LineState.empty(world.spec), models.models(world.spec))
    step(line.state, Record(1, NOW, Change(listening=True)), line.models)
    line.take(world.ticks[:WARM])
    kept = takeover.Kept(WARM, checkpoint.decode(checkpoint.encode(1, line.state)).state, world.message.models)
    takeover.into_folder(kept, tmp_path / "daemon")

    takeover.into_job(spark, world.settings.fleet, takeover.of_daemon(tmp_path / "daemon"))
    wanted = line.take(world.ticks[WARM : WARM + MORE])
    assert "warming_up" not in {status for status, _ in wanted.values()}
    assert sum(status == "scored" for status, _ in wanted.values()) > len(wanted) / 2
    assert len(wanted) > ENGINES * MORE / 3
    found = run_job(spark, world, world.ticks[WARM : WARM + MORE], len(wanted))
    assert_same(rows(found), wanted)

    takeover.into_folder(takeover.of_job(spark, world.settings.fleet), tmp_path / "back")
    with pytest.raises(takeover.TakeoverError, match="holds the state of a job already: name a new"):
        takeover.into_job(spark, world.settings.fleet, kept)
    back = of_line(tmp_path / "back", world.spec)
    assert back.spec.encode() == world.spec.encode()
    assert back.rows.tolist() == line.state.rows.tolist()
    shelf = Shelf(tmp_path / "back" / "models", threads=1, batch_size=32)
    later = world.ticks[WARM + MORE :]
    assert_same(Reference(back, shelf.models(world.spec)).take(later), line.take(later))


def of_line(folder: Path, spec: LineSpec) -> LineState:
    """The state as a daemon that starts there has it, with nothing to complain of."""
    journal, store = Journal(folder / "journal.db"), Store(folder / "store.db")
    shelf = Shelf(folder / "models", threads=1, batch_size=32)
    line = Line(journal=journal, store=store, shelf=shelf, folder=folder, checkpoint_s=60)
    with capture_logs() as logs:
        line.recover(spec)
    journal.close()
    store.close()
    assert [each["event"] for each in logs] == ["recovered"]
    return line.state


def stopped(folder: Path, world: World, *, journal: int = 5) -> Path:
    """A daemon's folder with a checkpoint at 5, and a journal up to there or further."""
    from monitor.fleet import takeover  # noqa: PLC0415 - as above

    takeover.into_folder(takeover.Kept(5, LineState.empty(world.spec), world.message.models), folder)
    with closing(Journal(folder / "journal.db")) as log:
        log.go_on_after(journal)
    return folder


def test_a_daemon_that_was_not_stopped_in_order_is_not_taken_over(world: World, tmp_path: Path) -> None:
    """It runs, its journal goes on, it has no state, or a model is gone: one line each with what to do."""
    from monitor.fleet import takeover  # noqa: PLC0415 - as above

    running = stopped(tmp_path / "running", world)
    with closing(hold(running)), pytest.raises(takeover.TakeoverError, match=r"running in .*: stop it first"):
        takeover.of_daemon(running)
    assert takeover.of_daemon(running).position == 5
    behind = stopped(tmp_path / "behind", world, journal=8)
    with pytest.raises(
        takeover.TakeoverError, match="goes on behind the checkpoint, by 3 records: start the daemon"
    ):
        takeover.of_daemon(behind)
    with pytest.raises(takeover.TakeoverError, match="holds no checkpoint of a daemon"):
        takeover.of_daemon(tmp_path)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["behind", "running"], "nothing is made"
    with pytest.raises(takeover.TakeoverError, match="exists already: name a folder that does not"):
        stopped(tmp_path / "running", world)
    (model_hash,) = world.message.models
    shutil.rmtree(running / "models" / model_hash)
    with pytest.raises(takeover.TakeoverError, match="is missing, and the state needs that model"):
        takeover.of_daemon(running)
    damaged = next(behind.glob("checkpoint-*"))
    damaged.write_bytes(damaged.read_bytes()[:-1])
    with pytest.raises(takeover.TakeoverError, match=r"checksum does not fit: start the daemon once more"):
        takeover.of_daemon(behind)


def test_a_state_of_other_shards_is_refused() -> None:
    """Its assets would not be where their messages go."""
    import pandas as pd  # noqa: PLC0415 - as above

    from monitor.fleet.processor import ShardProcessor  # noqa: PLC0415 - as above

    processor = ShardProcessor(shards=4, clock_ms=1000, readings=False, batch_size=1)
    begun = pd.DataFrame([(0, 8, b"", b"")], columns=["shard", "shards", "blob", "models"])
    with pytest.raises(ValueError, match=r"begun with fleet\.shards = 8, and now they are 4: set it back"):
        processor.handleInitialState((0,), begun, None)
