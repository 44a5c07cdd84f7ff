"""The names of an asset class's sensors in payloads and topics: those it has, and those it leaves out."""

from __future__ import annotations

import re
from fnmatch import translate
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from monitor.payloads.words import short

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from monitor.records import Int64

LEFT_OUT = -1  # the column of a sensor that is left out
MOST_REMEMBERED = 10_000_000  # characters: what is left out may have any name
AN_ENTRY = 100  # characters' worth of memory that a name takes beside its own


class Layout(NamedTuple):
    """What a reading that names these sensors holds."""

    columns: Int64  # (V,) one a value
    left_out: bool  # nothing but what is left out


class Names:
    """Which column a published name has, if any, and whether it is left out. A sensor of the class never is."""

    def __init__(self, published: Sequence[str], ignore: Sequence[str] = ()) -> None:
        """`published` are the sensors' names in their order; `ignore` are globs on names."""
        self._column = {name: index for index, name in enumerate(published)}
        self._ignored = re.compile("|".join(map(translate, ignore)) or "(?!)")
        self._layouts: dict[tuple[str, ...], Layout] = {}
        self._remembered = 0  # characters

    def __contains__(self, name: str) -> bool:
        """Whether the class has a sensor of this name."""
        return name in self._column

    def ignores(self, name: str) -> bool:
        """Whether what comes under this name is left out."""
        return name not in self._column and self._ignored.match(name) is not None

    def refuses(self, name: str, *, number: bool) -> bool:
        """Whether a bad value of this name is a mistake: one of a sensor, or a `number` of nobody knows what."""
        return name in self._column or (number and not self.ignores(name))

    def layout(self, names: tuple[str, ...]) -> Layout | None:
        """What a reading of these names holds; None where one of them is unknown."""
        found = self._layouts.get(names)
        if found is None:
            if not all(name in self._column or self.ignores(name) for name in names):
                return None  # never remembered: unknown names have no bound
            self._remembered += AN_ENTRY + sum(AN_ENTRY + len(name) for name in names)
            if self._remembered > MOST_REMEMBERED:
                self._remembered = 0
                self._layouts.clear()
            columns = np.array([self._column.get(name, LEFT_OUT) for name in names], np.int64)
            found = self._layouts[names] = Layout(columns, len(names) > 0 and bool((columns == LEFT_OUT).all()))
        return found

    def sort_out(
        self, values: Mapping[str, float | None], refused: list[str]
    ) -> tuple[Layout | None, dict[str, float | None]]:
        """A reading without the sensors that nobody knows; a layout of None where nothing else is in it."""
        kept = {name: value for name, value in values.items() if name in self._column or self.ignores(name)}
        strange = [name for name, value in values.items() if name not in kept and value is not None]
        refused += [f"unknown sensor {short(name)}" for name in strange]
        return self.layout(tuple(kept)) if kept else None, kept
