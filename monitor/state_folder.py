"""The state folder as a whole: one daemon in it, and no format that this release does not know."""

from __future__ import annotations

import fcntl
import sqlite3
from contextlib import closing
from typing import IO, TYPE_CHECKING

from monitor import checkpoint, journal, schema
from monitor.damage import FORMATS

if TYPE_CHECKING:
    from pathlib import Path

LOCK = "lock"
DATABASES = {"journal.db": journal.FORMAT, "store.db": schema.FORMAT}


class StartError(Exception):
    """The daemon cannot start: the sentence says what to change."""


class InUseError(StartError):
    """Another daemon has the folder."""


def hold(folder: Path) -> IO[str]:
    """Make the folder and hold it for this daemon alone, until the file that it gives is closed.

    Raises StartError where another has it, or where a newer release has written there; OSError.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # what is there already keeps its mode
    file = (folder / LOCK).open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise InUseError(f"{folder} is in use by another daemon: give each its own daemon.state_dir") from error
    found = newer(folder)
    if found:
        file.close()
        raise StartError(found)
    return file


def newer(folder: Path) -> str:
    """What in the folder was written by a newer release, in a sentence; empty where all can be read.

    Nothing is changed: the newer release goes on with the folder as it left it.
    """
    for name, known in DATABASES.items():
        path = folder / name
        if path.exists() and known < (found := _format(path)) < FORMATS:
            return _words(path, found, known)
    for path in checkpoint.saved(folder):
        found = checkpoint.format_of(path)
        if found > checkpoint.FORMAT:
            return _words(path, found, checkpoint.FORMAT)
    return ""


def _words(path: Path, found: int, known: int) -> str:
    return (
        f"{path} has format {found}, this release reads up to {known}: start the release that made it, or"
        " restore a backup of before; where no release made it, it is damaged: move it aside; nothing was changed"
    )


def _format(path: Path) -> int:
    """The format that a database says it has; 0 where it cannot be asked: whoever opens it will tell."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            return int(connection.execute("PRAGMA user_version").fetchone()[0])
    except sqlite3.Error:
        return 0
