"""The canary: an engine that is none, with faults that are known, through the whole line and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitor.synthetic import SITE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from config.classes import ResolvedClass
    from config.settings import Settings
    from monitor.canary.run import Canary
    from monitor.store import Store


def canary_of(
    settings: Settings, classes: Sequence[ResolvedClass], client_id: str, store: Store, away: Callable[[], str]
) -> Canary | None:
    """The canary of a daemon; None where it is to have none. Raises MqttError."""
    own = next((each for each in classes if each.name == SITE), None)
    if own is None:
        return None
    from monitor.canary.run import Canary, Grid  # noqa: PLC0415 - the simulator, for those who ask for it

    return Canary(
        settings.canary,
        settings.mqtt,
        client_id,
        asset=settings.daemon.id,
        grid=Grid(own.period_ms, own.window or 1),
        store=store,
        away=away,
    )
