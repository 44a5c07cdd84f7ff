"""A training that was broken off: its options and its state after the last whole epoch, beside the model to be."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.artifact import write_whole
from monitor.cli import UserError

if TYPE_CHECKING:
    import argparse

OPTIONS, STATE = "unfinished.json", "unfinished.safetensors"
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Unfinished:
    """What to go on with."""

    options: dict[str, Any]
    data_sha256: str
    state: bytes | None  # None: not even one epoch was finished


def begin(folder: Path, options: argparse.Namespace, data_sha256: str) -> None:
    """Note with what a training began. Raises UserError where the disk refuses."""
    given = {name: _written(value) for name, value in vars(options).items()}
    content = {"format": FORMAT, "data_sha256": data_sha256, "options": given}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / STATE).unlink(missing_ok=True)
        write_whole(folder / OPTIONS, json.dumps(content, indent=2).encode())
    except OSError as error:
        raise UserError(f"--out {folder} cannot be written: {error.strerror}") from error


def keep(folder: Path, state: bytes) -> None:
    """Note how far it is; the state from before stays until this one is whole. Raises UserError."""
    try:
        write_whole(folder / STATE, state)
    except OSError as error:
        raise UserError(f"--out {folder} cannot be written: {error.strerror}") from error


def load(folder: Path) -> Unfinished:
    """What `begin` and `keep` noted. Raises UserError where there is nothing to go on with."""
    try:
        content = json.loads((folder / OPTIONS).read_bytes())
        state = (folder / STATE).read_bytes() if (folder / STATE).exists() else None
        if content["format"] != FORMAT:
            raise UserError(f"--resume {folder}: begun by another version of enginewatch: train anew with --force")
        options = {name: _read(value) for name, value in content["options"].items()}
        return Unfinished(options, str(content["data_sha256"]), state)
    except FileNotFoundError:
        raise UserError(f"--resume {folder}: there is no unfinished training") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"--resume {folder}: {OPTIONS} cannot be read: {error}") from error


def is_there(folder: Path) -> bool:
    """Whether a training in this folder was broken off."""
    return (folder / OPTIONS).exists()


def clear(folder: Path) -> None:
    """The model is there: nothing is left to go on with."""
    for name in (STATE, OPTIONS):
        (folder / name).unlink(missing_ok=True)


def abandon(folder: Path) -> None:
    """As `clear`, where no model came of it."""
    clear(folder)
    with suppress(OSError):  # it holds the model from before
        folder.rmdir()


def _written(value: Any) -> Any:
    """An option for JSON: a path in full, so that it is found from another folder too."""
    if isinstance(value, Path):
        return {"path": str(value.absolute())}
    return [_written(each) for each in value] if isinstance(value, list | tuple) else value


def _read(value: Any) -> Any:
    if isinstance(value, dict):
        return Path(value["path"])
    return tuple(_read(each) for each in value) if isinstance(value, list) else value
