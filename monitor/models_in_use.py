"""Which model every class uses, since when, by whom, and those before it: a small file in the state folder.

The settings name the first model of a class. What an operator promoted since stays in use over restarts, until the
settings name another model than they did then: whoever changes them means it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import msgspec

from monitor.durable import sync

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

NAME = "models.json"
KEPT = 10  # models of a class that can be gone back to, and as many that were left


@dataclass(frozen=True, slots=True)
class Use:
    """A model in use. Without a name and a hash it is none: the class learns."""

    model: str
    hash: str  # as on the shelf
    window: int  # T, ticks; 0 where there is no model
    since: int  # UTC epoch milliseconds
    by: str  # "settings", "promote" or "rollback"
    who: str = ""


@dataclass(frozen=True, slots=True)
class ClassModels:
    """The models of a class. The last of `uses` is in use, the one before it is what rollback goes back to."""

    settings: str  # hash of the model that the settings named at the last start, empty = none
    uses: tuple[Use, ...]
    left: tuple[Use, ...] = field(default=())  # those that were rolled back, the latest last

    @property
    def now(self) -> Use:
        """The model in use."""
        return self.uses[-1]

    def with_use(self, use: Use) -> ClassModels:
        """The next model is in use."""
        return replace(self, uses=(*self.uses, use)[-KEPT:])

    def rolled_back(self, now: int, who: str) -> ClassModels | None:
        """The one before is in use again; None where there is none."""
        if len(self.uses) == 1:
            return None
        before = replace(self.uses[-2], since=now, by="rollback", who=who)
        return replace(self, uses=(*self.uses[:-2], before), left=(*self.left, self.now)[-KEPT:])


def at_start(known: ClassModels | None, settings: Use) -> ClassModels:
    """What a class uses when the daemon starts, where the settings name the model `settings`."""
    if known is None:
        return ClassModels(settings.hash, (settings,))
    if known.settings == settings.hash:
        return known
    changed = replace(known, settings=settings.hash)
    return changed if known.now.hash == settings.hash else changed.with_use(settings)


def load(folder: Path) -> dict[str, ClassModels]:
    """What is known of every class, by its name; nothing where no daemon has been. Raises ValueError, OSError."""
    path = folder / NAME
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, ClassModels])
    except FileNotFoundError:
        return {}
    except msgspec.DecodeError as error:
        raise ValueError(
            f"{path} is damaged ({error}): delete it, then the models of the settings count"
        ) from error


def save(folder: Path, known: Mapping[str, ClassModels]) -> None:
    """Write it so that it is there as a whole after a power cut. Raises OSError."""
    growing = folder / f"{NAME}.new"
    with growing.open("wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(known), indent=1) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    growing.replace(folder / NAME)
    sync(folder)
