"""The models that the line may need: copies in the state folder, by hash.

A checkpoint or a journal record may name a model that the settings no longer do. It stays here until none does,
so that a replay scores with the model that scored before.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import structlog

from models.artifact import (
    CARD,
    HEADER,
    MAX_CARD_BYTES,
    MAX_HEADER_BYTES,
    MAX_WEIGHT_BYTES,
    WEIGHT_FILES,
    ArtifactError,
    load_header,
    read_bounded,
    write_whole,
)
from models.landscape_file import LANDSCAPE, MAX_BYTES
from models.runtime import load_model
from monitor.durable import sync

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from monitor.records import Model
    from monitor.spec import LineSpec

log = structlog.get_logger()

FILES = (HEADER, *WEIGHT_FILES)


class Shelf:
    """Models by their hash, loaded when they are first needed."""

    def __init__(self, folder: Path, *, threads: int, batch_size: int) -> None:
        """`threads` and `batch_size` are the runtime's."""
        self._folder = folder
        self._threads = threads
        self._batch_size = batch_size
        self._loaded: dict[str, Model] = {}
        folder.mkdir(exist_ok=True)

    def put(self, artifact: Path, model_hash: str) -> None:
        """Copy an artifact here, unless it is here and as it was. It appears whole or not at all.

        Raises ArtifactError where a file is none of ours, OSError where the disk refuses.
        """
        place = self._folder / model_hash
        if place.exists() and _is_whole(place, model_hash):
            _add_landscape(artifact, place)
            return
        growing = self._folder / f"{model_hash}.new"
        shutil.rmtree(growing, ignore_errors=True)
        growing.mkdir()
        for name in FILES:
            most = MAX_HEADER_BYTES if name == HEADER else MAX_WEIGHT_BYTES
            (growing / name).write_bytes(read_bounded(artifact / name, most))
            sync(growing / name)
        # The card is for people; an artifact may be without it.
        if (artifact / CARD).exists():
            (growing / CARD).write_bytes(read_bounded(artifact / CARD, MAX_CARD_BYTES))
        _add_landscape(artifact, growing)
        sync(growing)  # no power cut leaves a model that is there in part
        if place.exists():
            remedy = "it is copied again from the model of that name; look at the disk"
            log.error("model_copy_damaged", folder=str(place), remedy=remedy)
            shutil.rmtree(place)
        growing.rename(place)
        sync(self._folder)

    def place(self, model_hash: str) -> Path:
        """Where the copy of a model is."""
        return self._folder / model_hash

    def models(self, spec: LineSpec) -> dict[str, Model]:
        """The models that a description names. Raises ArtifactError where one cannot be used."""
        for each in spec.classes:
            if each.model_hash and each.model_hash not in self._loaded:
                folder = self._folder / each.model_hash
                loaded = load_model(folder, threads=self._threads, batch_size=self._batch_size)
                self._loaded[each.model_hash] = loaded
        return {each.model_hash: self._loaded[each.model_hash] for each in spec.classes if each.model_hash}

    def clear_but(self, needed: Iterable[str]) -> None:
        """Delete the copies that nothing names any more."""
        keep = set(needed)
        for place in self._folder.iterdir():
            if place.name not in keep:
                shutil.rmtree(place, ignore_errors=True)
                self._loaded.pop(place.name, None)


def _add_landscape(artifact: Path, place: Path) -> None:
    """Copy the landscape too, where the artifact has one and the copy does not; whoever shows it looks at it."""
    if (artifact / LANDSCAPE).exists() and not (place / LANDSCAPE).exists():
        write_whole(place / LANDSCAPE, read_bounded(artifact / LANDSCAPE, MAX_BYTES))


def _is_whole(place: Path, model_hash: str) -> bool:
    """Whether the files of a copy are those that its hash names."""
    try:
        return load_header(place).hash == model_hash
    except ArtifactError:
        return False
