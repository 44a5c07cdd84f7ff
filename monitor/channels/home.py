"""To Home Assistant over MQTT: every asset as a device, retained; what is forgotten is taken back.

What is published is noted in the store first, so that it is taken back also where the daemon was killed or the
settings were changed in between.
"""

from __future__ import annotations

import json
import time
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import msgspec
import structlog

from monitor.channels import home_assistant as ha
from monitor.mqtt import Backoff, Link
from monitor.records import OutboxError
from monitor.synthetic import is_synthetic

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from config.notify import HomeAssistantSettings
    from config.settings import MqttSettings

FACT = "home_assistant"  # in the store: the discovery topics that are in use, and the state's beside each
AT_ONCE = 100  # messages in flight together

log = structlog.get_logger()


class HomeAssistant(Link):
    """Looks at the fleet now and then, and publishes what is new, on a thread and a connection of its own.

    `look` gives the rows of `monitor.overview`, None where the line is busy; it is called on this thread. `note`
    keeps a fact in the store, and `noted` is what it was.
    """

    def __init__(
        self,
        settings: HomeAssistantSettings,
        mqtt: MqttSettings,
        client_id: str,
        *,
        own_topic: str,
        page: str,
        look: Callable[[], Sequence[Mapping[str, Any]] | None],
        note: Callable[[Mapping[str, str]], None],
        noted: str,
    ) -> None:
        """Raises MqttError where the settings cannot be used. Where it is off, it takes back what there is."""
        super().__init__(mqtt, f"{client_id}-home")
        self.name = FACT
        self.sent = self.failures = 0
        self._home = settings
        self._own = own_topic
        self._page = page
        self._look = look
        self._note = note
        self._used: dict[str, str] = json.loads(noted) if noted else {}
        self._published: dict[str, bytes] = {}  # on this connection, and taken
        self._wanted: dict[str, bytes] = {}
        self._awaited: dict[int, tuple[str, bytes]] = {}
        self._up = False
        self._refusal = ""
        self._retry = Backoff(mqtt.reconnect_min_s, mqtt.reconnect_max_s)
        self._look_at = 0.0  # time.monotonic(): when to look again

    @property
    def needed(self) -> bool:
        """Whether there is anything to publish or to take back."""
        return self._home.enabled or bool(self._used)

    @property
    def last_error(self) -> str:
        """Why nothing can be published at present, in words; empty while all is well."""
        return self._refusal or self.problem

    def on_up(self, *, session_present: bool) -> None:  # noqa: ARG002 - there is no session to lose
        """A broker may have forgotten what it was told: everything once more."""
        self.forget_published()
        self._awaited.clear()
        self._published.clear()
        self._up = True
        self._look_at = 0.0

    def on_down(self, reason: str) -> None:  # noqa: ARG002 - it stands in `problem`
        """Nothing is in flight any more."""
        self._up = False

    def on_turn(self) -> None:
        """Look when it is time, and publish what is new."""
        if not self._up or self._awaited:
            return
        if time.monotonic() >= self._look_at:
            self._look_at = time.monotonic() + self._home.every_s
            self._refresh()
        news = [(topic, told) for topic, told in self._wanted.items() if self._published.get(topic) != told]
        for topic, told in news[:AT_ONCE]:
            self._awaited[self.publish(topic, told, retain=True)] = topic, told

    def on_delivered(self, packet_id: int, problem: str) -> None:
        """Count off what is in flight."""
        if packet_id not in self._awaited:
            return
        topic, told = self._awaited.pop(packet_id)
        if problem:
            self.failures += 1
            self._refuse(f"the broker refuses {topic} ({problem}): allow mqtt.username to publish there")
            self._look_at = time.monotonic() + self._retry.next()
            self._wanted = {}  # until then
            return
        self.sent += 1
        self._published[topic] = told
        if not self._awaited and self._refusal:
            self._refusal = ""
            self._retry.reset()
        if not told and topic in self._used:
            del self._used[topic]
            self._keep()
        if not self._awaited:
            self.wake()

    def _is_told(self, asset: str) -> bool:
        return not is_synthetic(asset) and not any(fnmatchcase(asset, glob) for glob in self._home.exclude)

    def _refresh(self) -> None:
        found = self._look() if self._home.enabled else []
        if found is None:
            return
        rows = [row for row in found if self._is_told(row["asset"])]
        wanted: dict[str, bytes] = {}
        used: dict[str, str] = {}
        for row in rows:
            topic = ha.config_topic(self._home.prefix, row["asset"])
            state_topic = ha.state_topic(self._own, row["asset"])
            wanted[topic] = msgspec.json.encode(ha.description(row["asset"], row["class"], self._own, self._page))
            wanted[state_topic] = msgspec.json.encode(ha.state(row))
            used[topic] = state_topic
        for topic, state_topic in self._used.items():
            if topic not in used:
                wanted |= {topic: b"", state_topic: b""}
        if not self._used.keys() >= used.keys():
            self._used |= used
            if not self._keep():
                return
        self._wanted = wanted

    def _keep(self) -> bool:
        """Note what is in use; False where the store cannot."""
        try:
            self._note({FACT: json.dumps(self._used)})
        except OutboxError as error:
            self._refuse(str(error))
            return False
        return True

    def _refuse(self, reason: str) -> None:
        if reason != self._refusal:
            self._refusal = reason
            log.warning("channel_put_off", channel=self.name, reason=reason)
