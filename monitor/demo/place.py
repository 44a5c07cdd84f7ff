"""The folder that a demo works in, and the log of our own side there."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from monitor.cli import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator

NEEDED_BYTES = 200_000_000


@contextmanager
def log_in(folder: Path) -> Iterator[None]:
    """What our own side of the connections logs goes to a file: on the screen it would tear the live line."""
    before = structlog.get_config()
    with (folder / "demo.log").open("w", encoding="utf-8") as file:
        structlog.configure(
            processors=[
                structlog.processors.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(),
            ],
            logger_factory=structlog.WriteLoggerFactory(file),
        )
        try:
            yield
        finally:
            structlog.configure(**before)


@contextmanager
def work_in(wished: Path | None, needed_bytes: int = NEEDED_BYTES) -> Iterator[Path]:
    """The folder to work in. A temporary one is removed; one of the user's only where the demo could not begin."""
    if wished is None:
        try:
            made = Path(tempfile.mkdtemp(prefix="enginewatch-demo-"))
        except OSError as error:
            raise UserError(
                f"no temporary folder can be made ({error.strerror}): name one with --folder"
            ) from error
        try:
            _check_room(made, needed_bytes)
            yield made
        finally:
            shutil.rmtree(made, ignore_errors=True)
        return
    folder = wished.absolute()
    was_there = folder.exists()
    try:
        folder.mkdir(exist_ok=True)
        if any(folder.iterdir()):
            raise UserError(f"--folder {wished} is not empty: name one that is, or one that is not there yet")
        (folder / "trial").touch()
        (folder / "trial").unlink()
    except OSError as error:
        raise UserError(f"--folder {wished} cannot be used: {error.strerror}") from error
    try:
        _check_room(folder, needed_bytes)
        yield folder
    except UserError:
        shutil.rmtree(folder)
        if was_there:
            folder.mkdir()
        raise


def _check_room(folder: Path, needed_bytes: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed_bytes:
        raise UserError(
            f"the disk of {folder} has {free / 1e6:.0f} MB left and the demo wants {needed_bytes / 1e6:.0f} MB: "
            "make room, or name a folder elsewhere with --folder"
        )
