"""Commands that come over MQTT: which of them are taken, and the replies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import structlog

from config.secret import secret
from monitor.door import CommandError, check, unwrap
from monitor.records import DeadLetter
from monitor.schema import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    from config.settings import CommandSettings
    from monitor.records import Command, Message
    from monitor.store import Store

log = structlog.get_logger()

KEPT = 1024  # bytes of a refused command


class Remote:
    """Reads and answers; `publish` gets a topic and a payload."""

    def __init__(
        self, settings: CommandSettings, store: Store, topic: str, publish: Callable[[str, bytes], None]
    ) -> None:
        """`topic` is the daemon's own, above `command` and `reply`. Raises OSError for a key that is gone."""
        key = secret(None, settings.hmac_key_file)
        self._key = None if key is None else key.encode()
        self._trust = settings.trust_broker_acl
        self._store = store
        self._publish = publish
        self._reply_topic = f"{topic}/reply"
        self.topic = f"{topic}/command"

    @property
    def way(self) -> str:
        """Which commands are taken, in words. A key goes before trust."""
        if self._key is not None:
            return "signed with commands.hmac_key_file"
        return "all that the broker lets through (commands.trust_broker_acl)" if self._trust else "off"

    def read(self, message: Message) -> Command | None:
        """A command to be carried out; what is refused is answered and kept as a dead letter."""
        now = message.arrival
        try:
            return check(unwrap(message.payload, self._key, trust=self._trust, now=now), self._store, now)
        except CommandError as error:
            letter = DeadLetter(now, message.topic.decode(errors="replace"), message.payload[:KEPT], str(error), 0)
            try:
                self._store.add_dead_letters([letter])
            except StoreError as trouble:
                log.warning("dead_letter_not_kept", letter=letter.reason, reason=str(trouble))
            self.reply("", False, str(error))
            return None

    def reply(self, command_id: str, done: bool, text: str) -> None:
        """Publish what became of a command; best effort."""
        self._publish(self._reply_topic, msgspec.json.encode({"id": command_id, "done": done, "reply": text}))
