"""Messages that were captured, in bounded memory, and their form in a file: one JSON object a line.

Pure: whoever listens or reads files hands the messages over.
"""

from __future__ import annotations

import base64
import json
import re
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

TOPICS = 20_000  # kept
A_TOPIC = 200  # latest messages kept of each
PAYLOAD = 64 << 10  # bytes kept of each
TOTAL = 128 << 20  # bytes kept altogether
MESSAGE_COST = 300  # bytes of memory beside topic and payload
REPEATS = 2  # messages that make a topic one that repeats
ENOUGH = 20  # messages of a topic, from which on nothing new is expected of it
# What Enginewatch publishes by itself, and the broker's own.
OURS = re.compile(r"^[^/]+/((_monitor|_publisher)/.*|v1/_canary/.*|v1/.*/alert(/event)?)$")


@dataclass(frozen=True, slots=True)
class Captured:
    """One message."""

    topic: str
    payload: bytes
    arrival: int  # epoch ms
    retained: bool = False
    size: int = -1  # of the payload as it came, where it was cut; else -1

    @property
    def cut(self) -> bool:
        """Whether the payload is longer than what is kept of it."""
        return self.size > len(self.payload)


@dataclass(slots=True)
class Capture:
    """Messages by topic. What the limits leave out is counted."""

    topics: dict[str, deque[Captured]] = field(default_factory=dict)
    messages: int = 0
    retained: int = 0
    ours: int = 0  # messages of Enginewatch's own and of the broker
    unreadable: int = 0  # topics that are no UTF-8, lines that are no messages
    further_topics: int = 0  # messages on topics beyond the limit
    forgotten: int = 0  # earlier messages of busy topics
    dropped: int = 0  # messages beyond the limit of memory
    size: int = 0
    first: int | None = None
    last: int | None = None
    fresh_at: int = 0  # arrival of the latest message on a topic that was not there before
    live: dict[str, int] = field(default_factory=dict)  # messages of each topic that were not retained
    waiting: int = 0  # topics that repeat and were not heard ENOUGH times yet

    def add(self, message: Captured) -> None:
        """Keep one more message, as far as there is room."""
        if OURS.match(message.topic) or message.topic.startswith("$"):
            self.ours += 1
            return
        self.messages += 1
        self.retained += message.retained
        self.first = message.arrival if self.first is None else min(self.first, message.arrival)
        self.last = message.arrival if self.last is None else max(self.last, message.arrival)
        kept = self.topics.get(message.topic)
        if kept is None:
            if len(self.topics) >= TOPICS:
                self.further_topics += 1
                return
            kept = self.topics[message.topic] = deque(maxlen=A_TOPIC)
            self.fresh_at = message.arrival
        if len(message.payload) > PAYLOAD:
            message = Captured(
                message.topic, message.payload[:PAYLOAD], message.arrival, message.retained, len(message.payload)
            )
        cost = len(message.payload) + MESSAGE_COST
        if len(kept) == A_TOPIC:
            self.forgotten += 1
            self.size -= len(kept[0].payload) + MESSAGE_COST
        elif self.size + cost > TOTAL:
            self.dropped += 1
            return
        kept.append(message)
        self.size += cost
        if not message.retained:
            count = self.live[message.topic] = self.live.get(message.topic, 0) + 1
            self.waiting += (count == REPEATS) - (count == ENOUGH)

    def enough(self, now: int, quiet_ms: int) -> bool:
        """Whether every topic that repeats was heard often, and nothing new came for a while."""
        repeating = any(count >= REPEATS for count in self.live.values())
        return repeating and not self.waiting and now - self.fresh_at >= quiet_ms

    def left_out(self) -> list[str]:
        """What the limits left out, in words."""
        told = {
            f"{self.further_topics} messages on topics beyond the first {TOPICS}": self.further_topics,
            f"{self.forgotten} earlier messages (the last {A_TOPIC} of each topic are kept)": self.forgotten,
            f"{self.dropped} messages beyond {TOTAL >> 20} MiB": self.dropped,
            f"{self.unreadable} that are no messages": self.unreadable,
        }
        return [words for words, count in told.items() if count]

    def __iter__(self) -> Iterator[Captured]:
        """All that is kept, in the order of arrival."""
        return iter(
            sorted((each for kept in self.topics.values() for each in kept), key=lambda each: each.arrival)
        )


def to_line(message: Captured) -> str:
    r"""One message as a line of a capture file.

    >>> to_line(Captured("a/b", b"21.5", 1790000000000))
    '{"topic": "a/b", "payload": "21.5", "arrival": 1790000000000}'
    """
    entry: dict[str, object] = {"topic": message.topic}
    try:
        entry["payload"] = message.payload.decode()
    except UnicodeDecodeError:
        entry["payload_base64"] = base64.b64encode(message.payload).decode()
    entry["arrival"] = message.arrival
    if message.retained:
        entry["retained"] = True
    if message.cut:
        entry["size"] = message.size
    return json.dumps(entry, ensure_ascii=False)


def from_line(line: str) -> Captured:
    """The message of a line. Raises ValueError with what is wrong.

    A payload that is no text stands as `payload_base64`; one that is an object or a number is taken as its JSON.
    """
    entry = json.loads(line)
    if not isinstance(entry, dict) or not isinstance(entry.get("topic"), str):
        raise ValueError("a line needs a topic, a payload and an arrival")  # noqa: TRY004 - as for all that is wrong
    arrival = entry.get("arrival")
    if isinstance(arrival, bool) or not isinstance(arrival, int) or not 0 <= arrival < 1 << 62:
        raise ValueError("arrival must be epoch milliseconds")
    if "payload_base64" in entry:
        payload = base64.b64decode(str(entry["payload_base64"]), validate=True)
    elif isinstance(entry.get("payload"), str):
        payload = entry["payload"].encode(errors="replace")
    elif "payload" in entry:
        payload = json.dumps(entry["payload"]).encode()
    else:
        raise ValueError("payload is missing")
    size = entry.get("size", -1)
    retained = entry.get("retained") is True
    return Captured(entry["topic"], payload, arrival, retained, size if isinstance(size, int) else -1)
