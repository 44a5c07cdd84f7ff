"""Transitions of incidents from the store's outbox to MQTT: at least once, in order, however long it takes.

Each transition goes to `…/alert/event`; its `event_id` is the idempotency key. After it the asset's open
incidents go, retained, to `…/alert`. The position in the outbox moves on only when the broker has taken
responsibility for both, so a crash or a lost connection costs a repeat and never a transition.

Brokers take responsibility before they save. So after a lost connection what they took in the last seconds of it
is told again, with the same keys; and so are the open incidents, of which a broker without memory knows none.

Some brokers hang up on a topic that others take (nats-server: with a space in it). One asset's name must not hold
up all other alerts: where the connection ends over such topics again and again, stays without them, and ends when
they come again, the others go without.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING

import msgspec
import structlog

from monitor.decode import fill, split_key
from monitor.mqtt import Backoff, Link
from monitor.records import OutboxError

if TYPE_CHECKING:
    from config.notify import NotifySettings
    from config.settings import MqttSettings
    from monitor.records import Outbox

_log = structlog.get_logger()

SINK = "notify"
BATCH = 100  # transitions in flight together
COUNTED = 10_000  # the lag is counted up to here
LONGEST_TOPIC = 65_000  # bytes; MQTT has 65,535, and a level follows
REPEATED_S = 5.0  # that a broker may take from an acknowledgement to its disk
LOSSES = 3  # connections that end over topics which not every broker takes, before the others go without them
REPLIES = 100  # replies kept while there is no connection; older ones give way


class Notifier(Link):
    """Reads the outbox on a thread and a connection of its own. The outbox is called on that thread."""

    def __init__(self, settings: NotifySettings, mqtt: MqttSettings, client_id: str, outbox: Outbox) -> None:
        """Raises MqttError where the settings cannot be used."""
        super().__init__(mqtt, f"{client_id}-notify")
        self._template = settings.topic
        self._enabled = settings.mqtt  # without it only replies to commands are published
        self._outbox = outbox
        self._awaited: set[int] = set()  # packet ids of the batch in flight
        self._batch = 0, 0  # the outbox positions between which the batch in flight lies
        self._batch_refused = False
        self._batch_lists: list[str] = []  # the streams whose open incidents it tells
        self._taken: deque[tuple[float, int]] = deque()  # when batches were taken, and where they began
        self._again: int | None = None  # the position from which is told again; None: nothing is
        self._lists: list[str] = []  # streams whose open incidents have to be told beside the next batch
        self._losses = 0  # in a row, with topics in flight that not every broker takes
        self._trying = False  # the batch in flight leaves them out, to find out whether they are the cause
        self._works_without = False  # it does, on this connection
        self._picky = False  # this broker is known to hang up on them
        self._up = False
        self._refusal = ""  # in words, until a batch gets through
        self._retry = Backoff(mqtt.reconnect_min_s, mqtt.reconnect_max_s)
        self._not_before = 0.0
        self._replies: deque[tuple[str, bytes]] = deque(maxlen=REPLIES)
        self._replies_lock = threading.Lock()

    # For any thread.

    def reply(self, topic: str, payload: bytes) -> None:
        """Publish an answer to a command, once there is a connection; best effort."""
        with self._replies_lock:
            self._replies.append((topic, payload))
        self.wake()

    @property
    def lag(self) -> int:
        """Transitions that are stored and not delivered yet, counted up to 10,000."""
        return len(self._outbox.events_after(self._outbox.position(SINK), COUNTED))

    @property
    def last_error(self) -> str:
        """Why nothing can be delivered at present, in words; empty while all is well."""
        return self._refusal or self.problem

    # Hooks.

    def on_up(self, *, session_present: bool) -> None:  # noqa: ARG002 - there is no session to lose
        """Begin again where the outbox stands, or so much before it as the broker may not have saved."""
        # The position decides what is sent again, not what paho remembers; so the order is kept.
        self.forget_published()
        self._awaited.clear()
        self._up = True
        unsaved = [began for _, began in self._taken]
        self._again = min(unsaved if self._again is None else [self._again, *unsaved], default=None)
        self._lists = [event.stream for event in self._outbox.open_incidents()] if self._enabled else []

    def on_down(self, reason: str) -> None:  # noqa: ARG002 - it stands in `problem`
        """Keep in mind what the broker took shortly before it was last heard."""
        if self._up and self._socket is not None:
            self._forget_taken(before=self._socket.heard - REPEATED_S)
        if self._up and self._awaited:  # without such topics too: then they were not the cause
            doubtful = any(_is_doubtful(self._topic(stream)) for stream in self._batch_lists)
            self._picky |= doubtful and self._works_without and not self._trying
            self._losses = self._losses + 1 if doubtful and not self._trying else 0
        self._trying = self._works_without = False
        self._up = False

    def on_turn(self) -> None:
        """Publish replies, and the next batch when the one before is through."""
        self._publish_replies()
        if self._enabled and not self._awaited and time.monotonic() >= self._not_before:
            self._publish_batch()

    def on_goodbye(self) -> None:
        """Publish the last replies."""
        self._publish_replies()

    def on_delivered(self, packet_id: int, problem: str) -> None:
        """Count off the batch in flight."""
        if packet_id not in self._awaited:
            return
        self._awaited.remove(packet_id)
        if problem:
            self._refuse(problem)
        if not self._awaited:
            self._finish_batch()

    def _publish_replies(self) -> None:
        with self._replies_lock:
            replies = list(self._replies)
            self._replies.clear()
        for topic, payload in replies:
            self.publish(topic, payload)

    def _publish_batch(self) -> None:
        began = self._outbox.position(SINK) if self._again is None else self._again
        events = self._outbox.events_after(began, BATCH)
        self._batch = began, events[-1][0] if events else began
        self._batch_refused = False
        self._batch_lists = list(dict.fromkeys([*self._lists, *(event.stream for _, event in events)]))
        takes = {stream: self._takes(self._topic(stream)) for stream in self._batch_lists}
        good = {stream for stream in self._batch_lists if takes[stream] and not _is_doubtful(self._topic(stream))}
        self._trying = self._losses >= LOSSES and not (self._picky or self._works_without) and bool(good)
        for _, event in events:
            topic = self._topic(event.stream)
            if self._trying and event.stream not in good:
                continue
            if not takes[event.stream]:
                # Publishing there would end the connection, and with it all other alerts, for ever.
                _log.error("alert_without_topic", asset=event.stream, remedy="`enginewatch assets rename` it")
                continue
            self._awaited.add(self.publish(f"{topic}/event", msgspec.json.encode(event)))
        for stream in self._batch_lists:
            if not takes[stream] or (self._trying and stream not in good):
                continue
            incidents = msgspec.json.encode(self._outbox.open_incidents(stream))
            self._awaited.add(self.publish(self._topic(stream), incidents, retain=True))

        if (events or self._batch_lists) and not self._awaited:
            self._finish_batch()

    def _finish_batch(self) -> None:
        began, end = self._batch
        if self._trying and not self._batch_refused:  # it works without them: now the whole batch once more
            self._trying, self._works_without = False, True
            return
        self._losses, self._works_without = 0, False
        if not self._batch_refused:
            try:
                if end > self._outbox.position(SINK):
                    self._outbox.advance(SINK, end)
            except OutboxError as error:  # delivered, but it cannot be remembered: it is delivered again
                self._put_off(str(error))
            else:
                self._again = end if self._again is not None and end < self._outbox.position(SINK) else None
                self._lists = []
                self._taken.append((time.monotonic(), began))
                self._forget_taken(before=time.monotonic() - REPEATED_S)
        if self._batch_refused:
            self._not_before = time.monotonic() + self._retry.next()
        else:
            self._refusal = ""
            self._retry.reset()

    def _forget_taken(self, *, before: float) -> None:
        while self._taken and self._taken[0][0] < before:
            self._taken.popleft()

    def _refuse(self, problem: str) -> None:
        self._put_off(f"the broker refuses alerts ({problem}): allow mqtt.username to publish to notify.topic")

    def _put_off(self, reason: str) -> None:
        """The batch has to be published again; a new reason is told once."""
        self._batch_refused = True
        if reason != self._refusal:
            self._refusal = reason
            _log.error("alerts_put_off", reason=reason)

    def _takes(self, topic: str) -> bool:
        """Whether this broker lets something be published there, as far as is known."""
        return _is_topic(topic) and not (self._picky and _is_doubtful(topic))

    def _topic(self, stream: str) -> str:
        site, area, asset = split_key(stream)
        return fill(self._template, root=self._settings.root, site=site, area=area, asset=asset)


def _is_topic(text: str) -> bool:
    """Whether brokers let something be published there."""
    return text.isprintable() and not set(text) & set("+#") and len(text.encode()) < LONGEST_TOPIC


def _is_doubtful(topic: str) -> bool:
    """Whether some brokers hang up on it: nats-server on a space, mosquitto on the `$` of its own topics."""
    return " " in topic or topic.startswith("$")
