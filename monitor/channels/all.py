"""All channels of a daemon together: started, woken, stopped, and what each says of itself."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from config.addresses import is_loopback
from monitor.channels.census import Census
from monitor.channels.home import FACT, HomeAssistant
from monitor.channels.made import made, plant_of
from monitor.records import OutboxError
from monitor.stages import Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from config.settings import HttpSettings, Settings
    from monitor.channels.census import Asked
    from monitor.channels.sink import Ledger


class ChannelFacts(NamedTuple):
    """What a channel says of itself."""

    name: str
    last_error: str  # in words, empty while all is well
    sent: int  # messages since the daemon started
    failures: int  # attempts that did not get through


class Channels:
    """For any thread."""

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        line: Asked,
        *,
        client_id: str,
        own_topic: str,
        look: Callable[[], Sequence[Mapping[str, Any]] | None],
    ) -> None:
        """Nothing is sent before `start`. `look` gives the rows of `monitor.overview`. Raises MqttError."""
        page = page_of(settings.http)
        self._all = made(settings.notify, page, ledger, Census(line, plant_of))
        self._ledger = ledger
        home = HomeAssistant(
            settings.notify.home_assistant,
            settings.mqtt,
            client_id,
            own_topic=own_topic,
            page=settings.notify.page_url or page,
            look=look,
            note=ledger.note,
            noted=ledger.remembered(FACT) or "",
        )
        self._home = home if home.needed else None

    def start(self) -> None:
        """Begin with all of them."""
        with suppress(OutboxError):  # what is not forgotten now is forgotten at the next start
            self._ledger.forget_channels({each.sink for each in self._all})
        for each in self._all:
            each.start()
        if self._home is not None:
            self._home.start()

    def wake(self) -> None:
        """There is something new in the outbox."""
        for each in self._all:
            each.wake()

    def stop(self, timeout_s: float) -> None:
        """End all of them, within so many seconds."""
        end = time.monotonic() + timeout_s
        for each in self._all:
            each.ask_to_stop()
        for each in self._all:
            each.stop(max(0.0, end - time.monotonic()))
        if self._home is not None:
            self._home.stop(max(0.1, end - time.monotonic()))

    def stages(self) -> list[Stage]:
        """Their threads, which have to go on; while one is stuck all else works."""
        home = [] if self._home is None else [self._home]
        channels = [Stage(each.sink, each.thread, each.pulse, needed=False) for each in self._all]
        return [*channels, *(Stage(each.name, each.thread, each.pulse, needed=False) for each in home)]

    def facts(self) -> list[ChannelFacts]:
        """How each does, without waiting for anything."""
        facts = [ChannelFacts(each.name, each.last_error, each.sent, each.failures) for each in self._all]
        home = self._home
        if home is not None:
            facts.append(ChannelFacts(home.name, home.last_error, home.sent, home.failures))
        return facts

    def lags(self) -> dict[str, int]:
        """Transitions that each has not taken in yet. Reads the store."""
        return {each.sink: each.lag for each in self._all}


def page_of(http: HttpSettings) -> str:
    """The address of the daemon's own page, as far as the settings say it; empty where they do not.

    >>> from config.settings import HttpSettings
    >>> page_of(HttpSettings()), page_of(HttpSettings(port=0)), page_of(HttpSettings(enabled=False))
    ('http://127.0.0.1:8080', '', '')
    """
    if not (http.enabled and http.port and is_loopback(http.host)):
        return ""  # by which name others reach this machine, only notify.page_url can say
    host = f"[{http.host}]" if ":" in http.host else http.host
    return f"http://{host}:{http.port}"
