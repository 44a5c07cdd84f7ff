"""The store's file: a connection for each thread, what is read and written by it, and its errors in words."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import msgspec

from monitor import damage
from monitor.damage import DamageError
from monitor.schema import StoreError, connect

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class StoreFile:
    """An SQLite file. Each thread that calls has a connection of its own; writers wait for each other."""

    def __init__(self, path: Path) -> None:
        """The file is opened by the first who asks for something."""
        self._path = path
        self._threads = threading.local()
        self._all: list[sqlite3.Connection] = []
        self.damaged = ""  # what was found wrong with the file: it has to be mended before it can be gone on with

    @property
    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._threads, "connection", None)
        if connection is None:
            try:
                connection = self._threads.connection = connect(self._path)
            except (sqlite3.Error, DamageError) as error:
                raise self._failed("opened", error) from error
            self._all.append(connection)
        return connection

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """Raises StoreError where what is read is not what was written."""
        try:
            yield self._connection
        except (sqlite3.Error, DamageError, msgspec.DecodeError) as error:
            raise self._failed("read", error) from error

    @contextmanager
    def _snapshot(self) -> Iterator[sqlite3.Connection]:
        """As `_reading`, of several queries that are to see the same."""
        with self._reading() as connection:
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                connection.execute("ROLLBACK")

    def _failed(self, what: str, error: Exception) -> StoreError:
        lasting = damage.is_lasting(error)
        if damage.is_damage(error):
            self.damaged = str(error)
            damage.mark(self._path)
            return StoreError(f"the store {self._path} is damaged ({error}): {damage.REMEDY}", lasting=lasting)
        why = f"{error} ({damage.FAILING})" if lasting else str(error)
        return StoreError(f"the store {self._path} cannot be {what}: {why}", lasting=lasting)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Everything inside is written, or nothing is. Raises StoreError."""
        connection = self._connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise self._failed("written", error) from error
        finally:
            if connection.in_transaction:
                with suppress(sqlite3.Error):  # SQLite may find that it is rolled back
                    connection.execute("ROLLBACK")

    def bytes_used(self) -> int:
        """The size of what is in use of the file; deleted pages are used again, the file does not shrink."""
        with self._reading() as connection:
            pages, free, size = (
                connection.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("page_count", "freelist_count", "page_size")
            )
            return int((pages - free) * size)

    def leave(self) -> None:
        """Close the connection of the calling thread, which comes to its end."""
        connection = getattr(self._threads, "connection", None)
        if connection is not None:
            del self._threads.connection
            self._all.remove(connection)
            connection.close()

    def close(self) -> None:
        """Close the connections of all threads."""
        for connection in self._all:
            connection.close()
        self._all.clear()
