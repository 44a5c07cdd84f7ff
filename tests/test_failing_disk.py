"""A disk that fails, other than one that is full, ends the line: a supervisor starts it anew."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

from monitor.schema import StoreError
from tests.line_house import SCRIPT, SPEC, House

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path / "state")
    yield made
    made.crash()


@pytest.mark.parametrize("where", ["store", "checkpoint"])
def test_a_disk_that_fails_to_keep_something_ends_the_line(
    house: House, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """A sync that failed may seem to succeed at the next try: nothing is forgotten on its word."""

    def fail(*_: object) -> None:
        if where == "checkpoint":
            raise OSError(errno.EIO, "Input/output error")
        raise StoreError("the store cannot be written: disk I/O error", lasting=True)

    house.line.recover(SPEC)
    house.take(SCRIPT[:5])
    if where == "store":
        monkeypatch.setattr(house.store, "sync", fail)
    else:
        monkeypatch.setattr(os, "fsync", fail)
    house.line._checkpoint_s = 0.0
    with pytest.raises((StoreError, OSError), match="error"):
        house.line.run()
    assert house.journal.first() == 1
