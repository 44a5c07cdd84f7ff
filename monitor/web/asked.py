"""What the HTTP port asks the daemon. Types, and nothing else: importing this loads no server."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.routing import Route

    from monitor.health import Figures, Vitals


@dataclass(frozen=True, slots=True)
class Asked:
    """`vitals` waits for nothing; the others may wait, and are called on threads of their own.

    `further` makes the routes beside the port's own once it listens.
    """

    vitals: Callable[[], Vitals]
    figures: Callable[[], Figures]
    command: Callable[[bytes], dict[str, object]]
    further: Callable[[], Sequence[Route]] = field(default=tuple)
