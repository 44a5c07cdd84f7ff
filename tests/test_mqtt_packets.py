"""The packets that come by the thousand: what is taken is what was sent; all else is left to paho."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt import _packet
from paho.mqtt.enums import MQTTProtocolVersion
from paho.mqtt.exception import MalformedPacket

from monitor.mqtt_packets import MESSAGE_COST, Publishes, pubacks, read_publishes

ROOM = 1 << 30
NOTHING = Publishes([], [], [], [], 0)


class Sent(NamedTuple):
    """A message as a broker puts it on the wire."""

    topic: bytes
    payload: bytes
    packet_id: int  # 0 = QoS 0
    retained: bool
    again: bool
    properties: bytes

    def packet(self, *, five: bool) -> bytes:
        """By sections 2.2.3 and 3.3 of the specifications."""
        properties = number(len(self.properties)) + self.properties if five else b""
        packet_id = self.packet_id.to_bytes(2) if self.packet_id else b""
        body = len(self.topic).to_bytes(2) + self.topic + packet_id + properties + self.payload
        first = 0x30 | self.again << 3 | bool(self.packet_id) << 1 | self.retained
        return bytes([first]) + number(len(body)) + body


def number(value: int) -> bytes:
    """Seven bits a byte, the lowest first."""
    low, high = value % 128, value // 128
    return bytes([low | 128]) + number(high) if high else bytes([low])


# A user property (38): two texts, each behind its length.
PROPERTIES = st.lists(st.binary(max_size=60)).map(
    lambda values: b"".join(b"\x26\x00\x01k" + len(each).to_bytes(2) + each for each in values)
)
LENGTHS = st.sampled_from([0, 1, 50, 127, 128, 400, 20_000])
SENT = st.builds(
    Sent,
    st.binary(min_size=1, max_size=200),
    st.builds(bytes, LENGTHS),
    st.integers(0, 65535),
    st.booleans(),
    st.booleans(),
    PROPERTIES,
)


@given(st.lists(SENT, max_size=8), st.booleans(), st.data())
def test_whole_packets_are_taken_and_the_cut_one_is_left(
    sent: list[Sent], five: bool, data: st.DataObject
) -> None:
    """However far the stream has come, and wherever in the buffer it begins."""
    packets = [each.packet(five=five) for each in sent]
    stream = b"before" + b"".join(packets)
    cut = data.draw(st.integers(len(b"before"), len(stream)))
    ends = [len(b"before") + sum(map(len, packets[: count + 1])) for count in range(len(packets))]
    whole = sum(end <= cut for end in ends)
    found, stop = read_publishes(stream[:cut], len(b"before"), ROOM, five=five)
    assert stop == (ends[whole - 1] if whole else len(b"before"))
    assert found.topics == [each.topic for each in sent[:whole]]
    assert found.payloads == [each.payload for each in sent[:whole]]
    assert found.packet_ids == [each.packet_id for each in sent[:whole]]
    assert found.retained == [each.retained for each in sent[:whole]]


@given(
    st.lists(SENT, min_size=1, max_size=5),
    st.booleans(),
    st.lists(st.tuples(st.integers(0, 1 << 20), st.binary(min_size=1, max_size=3)), max_size=4),
)
def test_of_a_garbled_stream_nothing_is_taken_that_paho_would_read_otherwise(
    sent: list[Sent], five: bool, garbled: list[tuple[int, bytes]]
) -> None:
    """Only properties that make no sense are passed over, and paho says so."""
    stream = bytearray().join(each.packet(five=five) for each in sent)
    for place, junk in garbled:
        at = place % len(stream)
        stream[at : at + len(junk)] = junk
    found, stop = read_publishes(bytes(stream), 0, ROOM, five=five)
    at, version = 0, MQTTProtocolVersion.MQTTv5 if five else MQTTProtocolVersion.MQTTv311
    for topic, payload, packet_id, retained in zip(*found[:4], strict=True):
        lead = next(place for place in range(1, 5) if stream[at + place] < 128)
        body = at + 1 + lead
        end = body + sum((stream[at + place] & 127) << 7 * (place - 1) for place in range(1, lead + 1))
        try:
            known = _packet.decode_publish(stream[at], bytes(stream[body:end]), version)
        except MalformedPacket:
            assert five
        else:
            assert (topic, payload, packet_id, retained) == (known.topic, known.payload, known.mid, known.retain)
        at = end
    assert at == stop <= len(stream)


@given(st.binary(max_size=40), st.booleans())
def test_whatever_comes_none_of_it_fails(junk: bytes, five: bool) -> None:
    for lead in (b"", b"\x30", b"\x32", b"\x32\x80"):
        assert read_publishes(lead + junk, 0, ROOM, five=five)[1] <= len(lead + junk)


@pytest.mark.parametrize(
    "other",
    [
        b"\xd0\x00",  # PINGRESP
        b"\x40\x02\x00\x01",  # PUBACK
        b"\x34\x05\x00\x01t\x00\x01",  # QoS 2
        b"\x36\x05\x00\x01t\x00\x01",  # QoS 3, which there is not
        b"\x30\x02\x00\x00",  # no topic
        b"\x30\x03\x00\x09t" + bytes(20),  # a topic longer than its packet
        b"\x32\x04\x00\x01t\x00" + bytes(20),  # no room for the packet's id
        b"\x30\x01\x00" + bytes(20),  # none for the topic's length
        b"\x30\x80\x80\x80\x80\x01" + bytes(20),  # a length of five bytes
    ],
)
def test_what_is_no_plain_message_is_left_where_it_is(other: bytes) -> None:
    """And so is what comes after it."""
    plain = b"\x30\x04\x00\x01tx"
    found, stop = read_publishes(plain + other + plain, 0, ROOM, five=False)
    assert (found.topics, found.payloads, found.packet_ids, stop) == ([b"t"], [b"x"], [0], len(plain))


def test_properties_longer_than_their_packet_are_left_to_paho() -> None:
    for properties in (b"\x09", b"\x80\x80\x80\x80\x01", b""):
        body = b"\x00\x01t" + properties
        assert read_publishes(bytes([0x30, len(body)]) + body + bytes(20), 0, ROOM, five=True) == (NOTHING, 0)


def test_it_ends_behind_the_message_with_which_the_room_is_used_up() -> None:
    """The messages' bodies count, and what each costs beside them."""
    packet = Sent(b"t", bytes(95), 1, retained=False, again=False, properties=b"").packet(five=False)
    each = 2 + 1 + 2 + 95 + MESSAGE_COST
    for room, count in ((0, 0), (1, 1), (each, 1), (each + 1, 2), (3 * each, 3), (ROOM, 5)):
        found, stop = read_publishes(packet * 5, 0, room, five=False)
        assert (len(found.topics), stop, found.size) == (count, count * len(packet), count * each)


def test_acknowledgements_are_those_of_the_specification() -> None:
    assert pubacks([7, 300, 65535]) == b"\x40\x02\x00\x07\x40\x02\x01\x2c\x40\x02\xff\xff"
    assert pubacks([]) == b""
