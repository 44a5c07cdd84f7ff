"""What the page asks the daemon. Types, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from monitor.health import readyz
from monitor.hops import Beside, hops

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from monitor.health import Figures, Vitals
    from monitor.hops import Hop
    from monitor.page.simulator import Simulator
    from monitor.spec import LineSpec
    from monitor.store import Store


class Assets(Protocol):
    """The assets as the line knows them now (`monitor.questions`)."""

    def __call__(self, *, fits: bool = True) -> list[dict[str, Any]]:
        """A row for each, on wish without whether models fit. Raises CommandError where the line is busy."""
        ...


class Measures(Protocol):
    """The daemon's vitals and figures (`monitor.vitals`)."""

    def vitals(self) -> Vitals:
        """Waits for nothing."""
        ...

    def figures(self) -> Figures:
        """Reads the store: on a thread of its own."""
        ...

    def standing(self) -> Mapping[str, Any]:
        """Reads the store: on a thread of its own."""
        ...

    def errors(self) -> Mapping[str, tuple[str, int]]:
        """Of every hop its last error, and when it was last seen in epoch ms."""
        ...


@dataclass(frozen=True, slots=True)
class Sources:
    """All but the vitals may wait, and are called on threads of their own."""

    store: Store
    assets: Assets
    vitals: Measures
    spec: Callable[[], LineSpec]  # what the line works by; waits for nothing
    model_folder: Callable[[str], Path]  # where the copy of a model lies, by its hash; waits for nothing
    folder: Path  # the state folder
    beside: Callable[[], Beside] = Beside  # what health tells of the hops beside that
    models: Callable[[], list[dict[str, Any]]] = list  # class, model, hash of each
    # Further parts of /api/v1/health, by name: what can be told as JSON, bounded in size.
    sections: Mapping[str, Callable[[Store], object]] = field(default_factory=dict)
    simulator: Simulator | None = None  # a fleet that takes faults by order
    ready: Callable[[Vitals], tuple[bool, dict[str, object]]] = readyz  # as /readyz says
    hops: Callable[[Vitals, Figures, Beside], Sequence[Hop]] = hops  # the way that a reading takes
    letters: str = ""  # where dead letters are kept, if not in the store
