"""What the HTTP port asks whoever opened it. Importing this loads no server."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from monitor.health import livez, metrics, readyz

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from starlette.routing import Route

    from monitor.exposition import Metric
    from monitor.health import Figures, Vitals

Judged = tuple[bool, dict[str, object]]  # whether all is well, and what is said: the status and its reasons


@dataclass(frozen=True, slots=True)
class Asked:
    """`live`, `ready` and `phase` wait for nothing; the others may wait, and are called on threads of their own.

    While there is a `phase` no command is taken; without `command` none ever is. `further` makes the routes beside
    the port's own once it listens.
    """

    live: Callable[[], Judged]
    ready: Callable[[], Judged]
    metrics: Callable[[], Iterable[Metric]]
    command: Callable[[bytes], dict[str, object]] | None = None
    phase: Callable[[], str] = str
    further: Callable[[], Sequence[Route]] = field(default=tuple)


def asked_of(
    vitals: Callable[[], Vitals],
    figures: Callable[[], Figures],
    command: Callable[[bytes], dict[str, object]],
    further: Callable[[], Sequence[Route]],
) -> Asked:
    """What a daemon is asked: `vitals` waits for nothing, `figures` may."""
    return Asked(
        live=lambda: livez(vitals()),
        ready=lambda: readyz(vitals()),
        metrics=lambda: metrics(vitals(), figures()),
        command=command,
        phase=lambda: vitals().phase,
        further=further,
    )
