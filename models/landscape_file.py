"""The landscape of a model on disk: landscape.json in the artifact's folder, an optional part of it.

The hash that names a model is that of its header, and what the line has learned of assets depends on it. Where
windows lie on a map changes no score, so this file does not enter that hash: it names the header that it belongs
to instead, and the SHA-256 of itself, and is refused beside any other header. A model of before, without this
file, is read as ever.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta

from models.artifact import ArtifactError, Header, read_bounded, write_whole
from models.landscape import Landscape, learn, mistake
from models.runtime import load_model

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from models.split import Run

LANDSCAPE = "landscape.json"
MAX_BYTES = 1 << 20


class _File(msgspec.Struct, forbid_unknown_fields=True):
    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    landscape: msgspec.Raw  # as it was written, byte for byte


def lay_landscape(folder: Path, runs: Sequence[Run]) -> None:
    """Learn and write the landscape of a model that is there, by the windows it was trained on.

    With too few windows for one there is none, nor one of a model before. Raises ArtifactError, and OSError where
    the disk refuses.
    """
    model = load_model(folder)
    landscape = learn(model, runs, model.header.hash)
    if landscape is None:
        (folder / LANDSCAPE).unlink(missing_ok=True)
    else:
        save_landscape(folder, landscape)


def save_landscape(folder: Path, landscape: Landscape) -> None:
    """Write it beside its model. Raises OSError where the disk refuses."""
    body = msgspec.json.encode(landscape)
    told = {"sha256": hashlib.sha256(body).hexdigest(), "landscape": msgspec.Raw(body)}
    write_whole(folder / LANDSCAPE, msgspec.json.encode(told) + b"\n")


def load_landscape(folder: Path, header: Header) -> Landscape | None:
    """That of a model; None where it has none. Raises ArtifactError where it is not what was written for it."""
    path = folder / LANDSCAPE
    if not path.exists():
        return None
    try:
        file = msgspec.json.decode(read_bounded(path, MAX_BYTES), type=_File)
        landscape = msgspec.json.decode(file.landscape, type=Landscape)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ArtifactError(f"{path}: {error}") from error
    if hashlib.sha256(file.landscape).hexdigest() != file.sha256:
        raise ArtifactError(f"{path} is not what was written: restore it, or delete it")
    if wrong := mistake(landscape, len(header.sensors), header.hash):
        raise ArtifactError(f"{path}: {wrong}")
    return landscape
