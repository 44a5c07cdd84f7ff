"""The packets of MQTT that come by the thousand, read and made many at a time: PUBLISH and PUBACK. Pure.

Everything else goes the ordinary way, through paho.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

MESSAGE_COST = 300  # bytes of memory that a message takes beside its topic and payload
PLAIN = frozenset(0x30 | again | qos | retained for again in (0, 8) for qos in (0, 2) for retained in (0, 1))
NUMBER_LIMIT = 4  # bytes that a number may have, seven bits of it in each
MORE = 0x80  # the bit that says that another byte follows


class Publishes(NamedTuple):
    """N messages in the order in which they came."""

    topics: list[bytes]  # (N,) not always UTF-8
    payloads: list[bytes]  # (N,)
    packet_ids: list[int]  # (N,) by which to acknowledge each; 0 = QoS 0, there is nothing to acknowledge
    retained: list[bool]  # (N,)
    size: int  # bytes of memory that they take together, about

    @classmethod
    def one(cls, topic: bytes, payload: bytes, packet_id: int, *, retained: bool) -> Publishes:
        """A single message."""
        return cls([topic], [payload], [packet_id], [retained], len(topic) + len(payload) + MESSAGE_COST)


def read_publishes(data: bytes, start: int, room: int, *, five: bool) -> tuple[Publishes, int]:
    """The whole PUBLISH packets of QoS 0 and 1 with which `data` goes on at `start`, and where they end.

    `five`: of MQTT 5, whose packets have properties; they are passed over. Ends before whatever else comes, what
    is cut off at the end of `data` or makes no sense among it, and behind the message with which `room`, bytes of
    memory, is used up.
    """
    topics: list[bytes] = []
    payloads: list[bytes] = []
    packet_ids: list[int] = []
    retained: list[bool] = []
    left, end = room, len(data)
    try:
        while left > 0 and (first := data[start]) in PLAIN:
            length, topic = data[start + 1], start + 4  # where the topic begins
            if length >= MORE:
                if (high := data[start + 2]) < MORE:  # as nearly all are, and a call takes its time
                    length, topic = length - MORE | high << 7, topic + 1
                else:
                    length, topic = _number(data, start + 1)
                    topic += 2
            stop = topic - 2 + length
            here = topic + (data[topic - 2] << 8 | data[topic - 1])
            name = data[topic:here]
            packet_id = 0
            if first & 2:
                packet_id = data[here] << 8 | data[here + 1]
                here += 2
            if five:
                properties, here = _number(data, here)
                here += properties
            if here > stop or stop > end or not name:
                break
            topics.append(name)
            payloads.append(data[here:stop])
            packet_ids.append(packet_id)
            retained.append(first & 1 == 1)
            left -= length + MESSAGE_COST
            start = stop
    except IndexError:
        pass  # cut off within what stands before the payload
    return Publishes(topics, payloads, packet_ids, retained, room - left), start


def pubacks(packet_ids: Iterable[int]) -> bytes:
    """The acknowledgements of messages; those of MQTT 5 look the same where all is well."""
    return b"".join([b"\x40\x02" + packet_id.to_bytes(2) for packet_id in packet_ids])


def _number(data: bytes, at: int) -> tuple[int, int]:
    """A number of one to four bytes, seven bits each, the lowest first, and where it ends. Raises IndexError."""
    value = 0
    for place in range(NUMBER_LIMIT):
        byte = data[at + place]
        value |= (byte & 0x7F) << 7 * place
        if byte < MORE:
            return value, at + place + 1
    raise IndexError
