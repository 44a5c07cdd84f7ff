"""A copy of the state folder from which a daemon can go on, made while one runs or when none does.

What makes it whole is the order: checkpoints, then the store, then the journal. Store and journal are copied as
they are at one moment each. So the store is not behind the checkpoint, and the journal holds every record from the
checkpoint to beyond the store: a daemon that starts on the copy finds what it would find after a crash.
"""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import ExitStack, closing
from pathlib import Path  # noqa: TC003 - of a NamedTuple's field
from typing import NamedTuple

from monitor import checkpoint, damage, models_in_use
from monitor.durable import sync

DATABASES = ("store.db", "journal.db")  # in this order
MODELS = "models"
TRIES = 5
# The last position that was given out, and the first record that is still there.
ENDS = "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'record'), 0), min(position) FROM record"


class BackupError(Exception):
    """There is no backup: the sentence says why."""


class Backup(NamedTuple):
    """What a backup holds."""

    folder: Path
    position: int  # the last journal record that it knows
    bytes: int


class _PassedError(Exception):
    """The daemon has forgotten journal records that the checkpoint needs, between the one and the other."""


def back_up(state: Path, folder: Path) -> Backup:
    """Copy the state folder to a new folder, which appears whole or not at all. Raises BackupError and OSError."""
    if folder.exists():
        raise BackupError(f"{folder} exists already: name a folder that does not")
    if folder.resolve().is_relative_to(state.resolve()):
        raise BackupError(f"{folder} lies in {state} and would be lost with it: name a folder elsewhere")
    growing = folder.with_name(f"{folder.name}.partial")
    try:
        for _ in range(TRIES):
            shutil.rmtree(growing, ignore_errors=True)
            growing.mkdir(mode=0o700, parents=True)
            try:
                position = _copy(state, growing)
            except _PassedError:
                continue
            except sqlite3.Error as error:
                raise BackupError(f"{state} cannot be copied: {error}") from error
            growing.rename(folder)
            sync(folder.parent)
            return Backup(folder, position, sum(each.stat().st_size for each in folder.rglob("*")))
    finally:
        shutil.rmtree(growing, ignore_errors=True)
    raise BackupError(f"{state} changes faster than it can be copied: is store.checkpoint_s very short?")


def _copy(state: Path, growing: Path) -> int:
    """Copy everything; returns the last position. Raises _PassedError."""
    for path in checkpoint.saved(state):
        try:
            shutil.copyfile(path, growing / path.name)
        except FileNotFoundError as error:  # another has just taken its place
            raise _PassedError from error
    kept = checkpoint.saved(growing)
    with ExitStack() as opened:
        sources = [opened.enter_context(closing(_reading(state / name))) for name in DATABASES]
        position, first = sources[1].execute(ENDS).fetchone()
        if kept and first is not None and first > checkpoint.position_of(kept[0]) + 1:
            raise _PassedError
        for name, source in zip(DATABASES, sources, strict=True):
            with closing(sqlite3.connect(growing / name)) as target:
                source.backup(target)
                found = damage.broken(target)
            if found:
                damage.mark(state / name)
                raise BackupError(f"{state / name} is damaged ({found}): {damage.REMEDY}, then make the backup")
    models = state / models_in_use.NAME
    if models.exists():
        shutil.copyfile(models, growing / models_in_use.NAME)
    if (state / MODELS).exists():
        shutil.copytree(state / MODELS, growing / MODELS, ignore=shutil.ignore_patterns("*.new"))
    for path in [*growing.rglob("*"), growing]:
        sync(path)
    return int(position)


def _reading(path: Path) -> sqlite3.Connection:
    """A connection that sees the database as it is now, whatever is written meanwhile."""
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None, timeout=30)
    try:
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # only now it is held
    except sqlite3.Error:
        connection.close()
        raise
    return connection
