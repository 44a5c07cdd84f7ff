"""The maps of models, read when somebody asks for one first; the latest few are kept."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

from models.artifact import Header, load_header
from models.landscape_file import load_landscape

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from models.landscape import Landscape

KEPT = 16


class Landscapes:
    """By the hash of their model, for any thread."""

    def __init__(self, folder: Callable[[str], Path]) -> None:
        """`folder` says where the copy of a model is."""
        self._folder = folder
        self._kept: OrderedDict[str, tuple[Header, Landscape | None]] = OrderedDict()
        self._reading = threading.Lock()

    def of(self, model_hash: str) -> tuple[Header, Landscape | None]:
        """The header of a model, and its landscape where it has one. Raises ArtifactError."""
        with self._reading:
            if model_hash not in self._kept:
                folder = self._folder(model_hash)
                header = load_header(folder)
                self._kept[model_hash] = header, load_landscape(folder, header)
                while len(self._kept) > KEPT:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(model_hash)
            return self._kept[model_hash]
