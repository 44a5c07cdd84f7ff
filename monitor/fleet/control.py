"""What goes to every shard: another description of the line with the models it needs, or a command.

It is JSON on the control topic, so that it is read again after a restart just where it was read before.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from models.artifact import HEADER, WEIGHT_FILES, ArtifactError, load_header
from models.runtime import load_model
from monitor.assemble import line_spec
from monitor.records import Command  # noqa: TC001 - msgspec reads the annotations
from monitor.spec import LineSpec  # noqa: TC001 - msgspec reads the annotations

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from config.classes import ResolvedClass
    from config.settings import Settings
    from monitor.records import Model

FILES = (HEADER, *WEIGHT_FILES)  # of an artifact: its header names them all
Artifact = dict[str, bytes]  # name of a file -> its contents


class Control(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True):
    """One message: a line with its models by hash, or a command."""

    line: LineSpec | None = None
    models: dict[str, dict[str, bytes]] = {}
    command: Command | None = None


class ControlError(ValueError):
    """A control message that cannot be used; what holds goes on."""


def description(settings: Settings, classes: Sequence[ResolvedClass]) -> Control:
    """What the settings say, with the models they name. Raises OSError."""
    spec = line_spec(settings, classes)
    return Control(
        spec, {each.model_hash: artifact(each.model) for each in classes if each.model and each.model_hash}
    )


def artifact(folder: Path) -> Artifact:
    """The files of a model that scoring needs. Raises OSError."""
    return {name: (folder / name).read_bytes() for name in FILES}


def encode(control: Control) -> bytes:
    """As the control topic holds it; equal messages give equal bytes."""
    return msgspec.json.encode(control, order="deterministic")


def decode(value: bytes) -> Control:
    """Raises ControlError."""
    try:
        return msgspec.json.decode(value, type=Control)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ControlError(f"not a control message: {error}") from error


class Shelf:
    """Models by their hash, made of their artifacts when they are first needed; one for each process."""

    def __init__(self) -> None:
        self._loaded: dict[str, Model] = {}

    def has(self, model_hash: str) -> bool:
        """Whether it is there."""
        return model_hash in self._loaded

    def put(self, model_hash: str, files: Mapping[str, bytes], *, batch_size: int = 32) -> None:
        """Make a model. Raises ControlError where it is not the one of that hash, or cannot be used."""
        if self.has(model_hash):
            return
        with tempfile.TemporaryDirectory(prefix="enginewatch-") as name:
            folder = Path(name)
            for file in FILES:
                if file not in files:
                    raise ControlError(f"model {model_hash[:12]} comes without its {file}")
                (folder / file).write_bytes(files[file])
            try:
                found = load_header(folder).hash
                if found != model_hash:
                    raise ControlError(f"model {model_hash[:12]} is not what came under that name ({found[:12]})")
                self._loaded[model_hash] = load_model(folder, batch_size=batch_size)
            except ArtifactError as error:
                raise ControlError(f"model {model_hash[:12]} cannot be used: {error}") from error

    def models(self, spec: LineSpec) -> dict[str, Model]:
        """Those that a description names, as far as they are there."""
        hashes = (each.model_hash for each in spec.classes)
        return {each: self._loaded[each] for each in hashes if each in self._loaded}
