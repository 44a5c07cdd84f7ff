"""A stopped daemon's state into a checkpoint that is new, and a stopped job's state into a folder for a daemon.

Between the two lies the state itself, whole or cut into shards, with the models that it needs: nothing warms up.
"""

from __future__ import annotations

import shutil
import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from monitor import checkpoint
from monitor.checkpoint import CheckpointError
from monitor.durable import sync
from monitor.fleet import carried, control, job
from monitor.fleet.checkpoint_folder import IMPORTED, QUERY
from monitor.fleet.packed import shard_of
from monitor.fleet.processor import MODELS, STATE, grown, pack_models, unpack_models
from monitor.journal import Journal, JournalError
from monitor.pipeline import step
from monitor.records import Change, Record, StepResult
from monitor.schema import StoreError
from monitor.shelf import Shelf
from monitor.state_folder import InUseError, hold
from monitor.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pyspark.sql import SparkSession

    from config.fleet import FleetSettings
    from monitor.checkpoint import Checkpoint
    from monitor.fleet.control import Artifact
    from monitor.spec import LineSpec
    from monitor.state import LineState

COLUMNS = "shard int, shards int, blob binary, models binary"  # of what a job begins with
SHELF = "models"  # in the state folder


class TakeoverError(Exception):
    """Nothing was taken over: the sentence says what to do."""


class Kept(NamedTuple):
    """A state, how far it is, and the models that it needs by hash."""

    position: int
    state: LineState
    models: dict[str, Artifact]


# -- a daemon's state folder ------------------------------------------------------------------------------------


def of_daemon(folder: Path) -> Kept:
    """The state of a daemon that was stopped in order. Raises TakeoverError and OSError."""
    if not checkpoint.saved(folder):
        raise TakeoverError(f"{folder} holds no checkpoint of a daemon: --state names another folder")
    try:
        with closing(hold(folder)):
            found = _newest(folder)
            _nothing_behind(folder, found.position)
            return Kept(found.position, found.state, _of_shelf(folder / SHELF, found.state.spec))
    except InUseError as error:
        raise TakeoverError(f"a daemon is running in {folder}: stop it first") from error


def _newest(folder: Path) -> Checkpoint:
    try:
        return checkpoint.load(checkpoint.saved(folder)[0])
    except CheckpointError as error:
        raise TakeoverError(f"{error}: start the daemon once more, and stop it in order") from error


def _nothing_behind(folder: Path, position: int) -> None:
    """Raises TakeoverError where the daemon has taken something that is not in its checkpoint."""
    if not (folder / "journal.db").exists():
        return
    try:
        with closing(Journal(folder / "journal.db")) as journal:
            behind = journal.last() - position
    except JournalError as error:
        raise TakeoverError(str(error)) from error
    if behind > 0:
        raise TakeoverError(
            f"the journal in {folder} goes on behind the checkpoint, by {behind} records: start the daemon once"
            " more, and stop it in order"
        )


def _of_shelf(shelf: Path, spec: LineSpec) -> dict[str, Artifact]:
    hashes = {each.model_hash: each.model for each in spec.classes if each.model_hash}
    try:
        return {name: control.artifact(shelf / name) for name in hashes}
    except FileNotFoundError as error:
        raise TakeoverError(f"{error.filename} is missing, and the state needs that model") from error


def into_folder(kept: Kept, folder: Path) -> None:
    """A new state folder from which a daemon goes on; it appears whole or not at all.

    Raises TakeoverError and OSError.
    """
    if folder.exists():
        raise TakeoverError(f"{folder} exists already: name a folder that does not")
    growing = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(growing, ignore_errors=True)
    growing.mkdir(mode=0o700, parents=True)
    try:
        _fill_shelf(growing / SHELF, kept.models)
        # Journal and store begin where the state is, so that nothing seems to be lost.
        with closing(Journal(growing / "journal.db")) as journal:
            journal.go_on_after(kept.position)
        with closing(Store(growing / "store.db")) as store:
            store.write(kept.position, StepResult([], [], []))
            store.sync()
        checkpoint.save(growing, kept.position, kept.state)
        growing.rename(folder)
        sync(folder.parent)
    except (JournalError, StoreError, ValueError) as error:
        raise TakeoverError(str(error)) from error
    finally:
        shutil.rmtree(growing, ignore_errors=True)


def _fill_shelf(folder: Path, models: Mapping[str, Artifact]) -> None:
    shelf = Shelf(folder, threads=1, batch_size=1)
    for model_hash, files in models.items():
        with tempfile.TemporaryDirectory(prefix="enginewatch-") as name:
            for file, content in files.items():
                (Path(name) / file).write_bytes(content)
            shelf.put(Path(name), model_hash)


# -- a job's checkpoint -----------------------------------------------------------------------------------------


def into_job(spark: SparkSession, fleet: FleetSettings, kept: Kept) -> None:
    """Have a job that is new begin with this state. Raises TakeoverError."""
    if job.is_there(spark, f"{fleet.checkpoint}/{QUERY}/offsets"):
        raise TakeoverError(f"{fleet.checkpoint} holds the state of a job already: name a new fleet.checkpoint")
    ids = job.shard_ids(spark, fleet.shards)
    try:
        homes = {key: shard_of(place, ids) for key, place in carried.places_of(kept.state).items()}
    except carried.CarriedError as error:
        raise TakeoverError(str(error)) from error
    state, position = kept.state, kept.position
    if state.listening_since is None:  # Kafka is heard as long as the job runs
        position += 1
        step(state, Record(position, state.swept_at, Change(listening=True)), {})
    models = pack_models(kept.models)
    rows = [
        (shard, fleet.shards, checkpoint.encode(position, part), models)
        for shard, part in carried.split(state, lambda key: homes.get(key, ids[0]), ids).items()
    ]
    spark.createDataFrame(rows, COLUMNS).write.mode("overwrite").parquet(f"{fleet.checkpoint}/{IMPORTED}")


def of_job(spark: SparkSession, fleet: FleetSettings) -> Kept:
    """The state of a job that was stopped, as of its last batch. Raises TakeoverError."""
    if not job.is_there(spark, f"{fleet.checkpoint}/{QUERY}/commits"):
        raise TakeoverError(f"{fleet.checkpoint} holds no state of a job: fleet.checkpoint names another folder")
    try:
        found = [checkpoint.decode(grown(blob)) for blob in _values(spark, fleet, STATE)]
        packed = [unpack_models(each) for each in _values(spark, fleet, MODELS)]
        if not found:
            raise TakeoverError(f"no batch of the job in {fleet.checkpoint} has come to its end")
        state = carried.merge([each.state for each in found])
    except (CheckpointError, carried.CarriedError) as error:
        raise TakeoverError(f"{fleet.checkpoint}: {error}") from error
    wanted = {each.model_hash for each in state.spec.classes}
    models = {name: files for each in packed for name, files in each.items() if name in wanted}
    return Kept(max(each.position for each in found), state, models)


def _values(spark: SparkSession, fleet: FleetSettings, variable: str) -> Iterator[bytes]:
    """What each shard keeps under a name."""
    reader = spark.read.format("statestore").option("stateVarName", variable)
    for row in reader.load(f"{fleet.checkpoint}/{QUERY}").select("value.*").toLocalIterator():
        yield bytes(row[0])
