"""Transitions from the store's outbox to one channel: at least once, by its rules, however long it takes.

* Its position in the outbox and what it remembers are written in one transaction. What was sent and not remembered
  is sent again with the same key.
* A channel that is new begins with the incidents that are open, and not with the history.
* What does not get through is kept and tried again for ever, with a pause that grows up to notify.retry_max_s,
  whatever the other side asks for; the reason is told once. A message that is refused by itself holds up no other.
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Protocol

import msgspec
import structlog

from monitor.channels import rules as by
from monitor.channels.memory import Memory
from monitor.channels.way import Undelivered
from monitor.mqtt_alive import Backoff
from monitor.records import OutboxError
from monitor.stages import Pulse, Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from monitor.channels.rules import Plant, Rules
    from monitor.channels.way import Other, Way
    from monitor.records import AlertEvent

BATCH = 500  # transitions that are taken in at once
MOST_HELD = 10_000  # incidents that a channel remembers while nothing gets through
IDLE_S = 5.0  # it looks again by itself this often
FIRST_PAUSE_S = 1.0
LOOKED_UP_S = 60.0  # that a resolver without an answer takes, and more
FEW = 5  # messages that are refused by themselves, before the others wait for the next round

log = structlog.get_logger()


class Ledger(Protocol):
    """The store, as channels use it."""

    def position(self, sink: str) -> int:
        """The last position this sink has delivered, 0 at first."""

    def remembered(self, sink: str) -> str | None:
        """What a sink remembers; None where it is new."""

    def remember(self, sink: str, position: int, memory: str) -> None:
        """Note both in one transaction. Raises OutboxError."""

    def events_after(self, position: int, limit: int) -> list[tuple[int, AlertEvent]]:
        """Up to `limit` transitions after `position`, oldest first, each with its position."""

    def open_incidents(self, stream: str | None = None) -> list[AlertEvent]:
        """Every incident that is not over, as it stands."""

    def incident(self, incident_id: str) -> AlertEvent | None:
        """An incident as it stands, open or over."""

    def history(self, incident_id: str) -> list[AlertEvent]:
        """Every transition of an incident, the oldest first."""

    def forget_channels(self, but: Collection[str]) -> None:
        """Forget the positions and memories of channels that are no longer there. Raises OutboxError."""

    def note(self, facts: Mapping[str, str]) -> None:
        """Keep facts by name. Raises OutboxError."""

    def heads(self) -> tuple[int, int]:
        """The newest position of score batches, and that of transitions."""


class Channel(ABC):
    """What every channel has in common: a thread, a position, its error in words. `name` is the settings'."""

    def __init__(self, name: str, other: Other, ledger: Ledger, *, retry_max_s: float, timeout_s: float) -> None:
        """Nothing is read or sent before `start`."""
        self.name = name
        self.sink = f"channel:{name}"
        self._other = other
        self.sent = 0  # messages that got through
        self.failures = 0  # attempts that did not
        self.waiting = 0  # incidents that were taken in, of which there is something to tell
        self.last_error = ""  # in words, until one gets through
        self.thread = Worker(self.sink, self._run)
        self.pulse = Pulse()
        self._ledger = ledger
        self._timeout_s = timeout_s
        self._retry_max_s = retry_max_s
        self._retry = Backoff(FIRST_PAUSE_S, retry_max_s)
        self._again_at = 0.0  # time.monotonic(): when what was refused is tried again
        self._wake = threading.Event()
        self._stopping = threading.Event()

    @property
    def lag(self) -> int:
        """Transitions that are stored and not taken in, and incidents that wait to be told of. Reads the store."""
        _, newest = self._ledger.heads()
        return max(0, newest - self._ledger.position(self.sink)) + self.waiting

    def start(self) -> None:
        """Begin."""
        self.thread.start()

    def wake(self) -> None:
        """There is something new in the outbox."""
        self._wake.set()

    def ask_to_stop(self) -> None:
        """End after what is being sent; what was not sent is sent after the next start."""
        self._stopping.set()
        self._wake.set()

    def stop(self, timeout_s: float) -> None:
        """The same, and wait for it."""
        self.ask_to_stop()
        if self.thread.ident is not None:
            self.thread.join(timeout_s)

    @abstractmethod
    def round(self) -> float:
        """One turn; returns for how many seconds there is nothing to do. Raises Undelivered and OutboxError."""

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._turn()
        finally:
            self._other.close()

    def _refusing(self) -> bool:
        """Whether something was refused by itself and waits to be tried again, while all else gets through."""
        return False

    def _turn(self) -> None:
        self.pulse.turn()
        bell = self._wake
        try:
            pause = min(self.round(), IDLE_S)
        except Undelivered as trouble:
            self.failures += 1
            pause = max(self._retry.next(), min(trouble.retry_after, self._retry_max_s))
            self._again_at = time.monotonic() + pause
            self._tell(str(trouble))
            bell = self._wake if trouble.alone else self._stopping
        except OutboxError as error:
            pause = min(self._retry.next(), IDLE_S)
            self._tell(str(error))
        except Exception as error:  # noqa: BLE001 - a dead thread would end the daemon; the next round tries again
            self.failures += 1
            pause = min(self._retry.next(), IDLE_S)
            self._tell(f"channel {self.name} failed by itself: {type(error).__name__}: {error}")
        else:
            if not self._refusing():
                self._retry.reset()
                self._tell("")
        self.pulse.turn(pause)
        bell.wait(pause)
        self._wake.clear()

    def _sending(self) -> None:
        """Before a request: it may take its time."""
        self.pulse.turn(4 * self._timeout_s + LOOKED_UP_S)

    def _tell(self, error: str) -> None:
        if error != self.last_error and error:
            log.warning("channel_put_off", channel=self.name, reason=error)
        elif error != self.last_error:
            log.info("channel_ok", channel=self.name)
        self.last_error = error


class Teller(Channel):
    """A channel whose messages are made by our own rules: people, webhooks."""

    def __init__(
        self,
        name: str,
        way: Way,
        ledger: Ledger,
        *,
        rules: Rules,
        plant: Callable[[], Plant],
        retry_max_s: float,
        timeout_s: float,
    ) -> None:
        """`plant` says what there is beside incidents; it is asked on the channel's thread."""
        super().__init__(name, way, ledger, retry_max_s=retry_max_s, timeout_s=timeout_s)
        self._way = way
        self._rules = rules
        self._plant = plant
        self._memory: Memory | None = None
        self._position = 0
        self._owing = False  # some recipients have a message that others did not take
        self._refused: set[str] = set()  # keys of messages that are due and did not get through

    def round(self) -> float:
        """Take in what is new, and tell what is due."""
        memory = self._memory if self._memory is not None else self._recall()
        # While nothing gets through, what is too much to remember stays in the outbox.
        while not (self.last_error and len(memory.items) >= MOST_HELD) and (
            events := self._ledger.events_after(self._position, BATCH)
        ):
            for _, event in events:
                by.take(memory, self._rules, event, _now())
            self._remember(memory, events[-1][0])
        now_all = time.monotonic() >= self._again_at
        troubles: list[Undelivered] = []
        if self._owing and now_all:
            self._sending()
            try:
                self._way.again()
                self._owing = False
            except Undelivered as trouble:
                troubles.append(trouble)
        idle = not memory.items and not memory.groups
        in_doubt = set(memory.under_way)
        due = [] if idle else by.due(memory, self._rules, self._plant(), _now())
        # One message that the other side does not take must not hold up the others.
        self._refused &= {each.key for each in due}
        for telling in sorted(due, key=lambda each: each.key in self._refused):
            if self._stopping.is_set() or len(troubles) == FEW:
                break
            if telling.key in self._refused and not now_all:
                continue
            by.begun(memory, telling)
            self._remember(memory, self._position)
            self._sending()
            try:
                self._way.tell(telling)
            except Undelivered as trouble:
                if not trouble.partly:
                    self._refused.add(telling.key)
                    # What may have arrived before stays as it was, unless it is just this that is not taken.
                    if trouble.alone or not (trouble.doubt or telling.key in in_doubt):
                        by.refused(memory, telling)
                        self._remember(memory, self._position)
                if not (trouble.alone or trouble.partly):
                    raise
                troubles.append(trouble)
                if not trouble.partly:
                    continue
                self._owing = True
            self._refused.discard(telling.key)
            self.sent += 1
            by.told(memory, telling, _now())
            self._remember(memory, self._position)
        if troubles:
            raise troubles[0]
        if self._refusing():
            return max(0.0, self._again_at - time.monotonic())
        if in_doubt:
            return 0.0  # what has joined those messages can be told now
        soonest = by.next_due(memory)
        return IDLE_S if soonest is None else max(0.0, (soonest - _now()) / 1000)

    def _refusing(self) -> bool:
        return bool(self._refused) or self._owing

    def _recall(self) -> Memory:
        """What was remembered, or what a new channel begins with. Read again after a failure to note it."""
        text = self._ledger.remembered(self.sink)
        if text is not None:
            self._position = self._ledger.position(self.sink)
            self._memory = msgspec.json.decode(text, type=Memory)
            return self._memory
        memory = Memory()
        _, newest = self._ledger.heads()
        # What happens between the two questions comes once more, and is known by then.
        by.begin(memory, self._rules, self._ledger.open_incidents(), _now())
        self._remember(memory, newest)
        return memory

    def _remember(self, memory: Memory, position: int) -> None:
        try:
            self._ledger.remember(self.sink, position, msgspec.json.encode(memory).decode())
        except OutboxError:
            self._memory = None  # what the store holds is what counts
            raise
        self._memory, self._position = memory, position
        self.waiting = by.waiting(memory)


def _now() -> int:
    return int(time.time() * 1000)
