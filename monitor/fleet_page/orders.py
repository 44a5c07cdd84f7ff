"""What operators say at the page of a fleet, passed on to it by the control topic."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from monitor.door import CommandError, check, parse
from monitor.fleet.client import client_options
from monitor.fleet.control import Control, encode

if TYPE_CHECKING:
    from config.fleet import FleetSettings
    from monitor.records import Command
    from monitor.store import Store

PATIENCE_S = 8.0  # for Kafka to take a command
NO_RENAME = (
    "assets of a fleet keep their names, as their state lies where the name says: forget it, and it begins anew"
)
LATER = "the fleet has been told"  # what comes of it is in its next results


class Orders:
    """Commands, for any thread. They are checked by what the store knows, as the daemon's door does."""

    def __init__(self, settings: FleetSettings, store: Store) -> None:
        """Nothing is connected before the first command."""
        self._settings = settings
        self._store = store
        self._producer: Any = None
        self._one = threading.Lock()
        self.told = False  # whether there was one, that Kafka took or not
        self.trouble = ""  # why the last one was not passed on

    def command(self, line: bytes) -> dict[str, object]:
        """Pass a command on; says that it was taken, or why not."""
        try:
            command = check(_kept_its_name(parse(line)), self._store, int(time.time() * 1000))
            body = encode(Control(command=command))
            with self._one:
                self._publish(body)
        except CommandError as error:
            return {"done": False, "reply": str(error)}
        finally:
            self._store.leave()
        return {"done": True, "reply": f"{LATER}: it shows here once it was carried out", "later": LATER}

    def _publish(self, body: bytes) -> None:
        """Wait until Kafka has it. Raises CommandError."""
        settings, failed = self._settings, ["no answer"]

        def delivered(error: object, _: object) -> None:
            failed[:] = [] if error is None else [str(error)]

        try:
            from confluent_kafka import KafkaException, Producer  # noqa: PLC0415 - a page can do without
        except ImportError as error:
            raise CommandError("the fleet is not told without Kafka: pip install 'enginewatch[fleet]'") from error
        try:
            if self._producer is None:
                patience = {"message.timeout.ms": int(PATIENCE_S * 1000), "log_level": 0}
                self._producer = Producer({**client_options(settings), **patience})
            self._producer.produce(settings.control_topic, body, on_delivery=delivered)
            self._producer.flush(PATIENCE_S + 1)
        except (KafkaException, ValueError, OSError) as error:
            failed[:] = [str(error)]
        if failed:
            words = "see fleet.brokers, fleet.options and fleet.control_topic"
            self.told = True
            self.trouble = f"Kafka at {settings.brokers} does not take commands ({failed[0]}): {words}"
            raise CommandError(f"the fleet was not told: {self.trouble}")
        self.told, self.trouble = True, ""


def _kept_its_name(command: Command) -> Command:
    """The command, unless it renames an asset. Raises CommandError."""
    if command.action == "rename":
        raise CommandError(NO_RENAME)
    return command
