"""Decoding: what is usable arrives, what is not becomes a dead letter with its reason, and nothing raises."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.decode import (
    KEPT_PAYLOAD,
    TELEMETRY_TOPIC,
    ClassRoute,
    Decoded,
    Decoder,
    encode_status,
    encode_telemetry,
    fill,
    site_of,
    split_key,
    status_template,
    stream_key,
    subscription,
)
from monitor.records import Message
from tests.line_samples import FAST, START

TOPIC = b"plant-root/v1/north/pump-1/telemetry"
STATUS = b"plant-root/v1/north/pump-1/status"
TS = b'"ts":1700000040000'
PUMPS = ClassRoute(("load", "flow"), (TELEMETRY_TOPIC,))
NAMES = ("load", "flow", "oil pressure", "°C")


def decode(payload: bytes, topic: bytes = TOPIC, *routes: ClassRoute) -> Decoded:
    decoder = Decoder(routes or (PUMPS,), root="plant-root")
    return decoder.decode([Message(topic, payload, START + 7, len(payload))])


def reasons(decoded: Decoded) -> list[str]:
    return [letter.reason for letter in decoded.dead_letters]


def values(decoded: Decoded) -> list[list[float | None]]:
    table = decoded.readings[0].values.tolist()
    return [[None if math.isnan(value) else value for value in row] for row in table]


def test_a_reading_has_its_stream_time_arrival_and_values() -> None:
    decoded = decode(b'{"v":1,"ts":1700000040000,"boot":"x","seq":3,"values":{"flow":2.5,"load":1}}')
    found = decoded.readings[0]
    assert found.streams == ["north//pump-1"]
    assert found.time.tolist() == [START]
    assert found.arrival.tolist() == [START + 7]
    assert values(decoded) == [[1, 2.5]]
    assert not decoded.dead_letters


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "payload is empty"),
        (b"{", "not JSON"),
        (b"\xff\xfe\xfa", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"12", "expected an object, got a number"),
        (b"null", "expected an object, got null"),
        (b'"on"', "expected an object, got a string"),
        (b"{%s}" % TS, "values is missing"),
        (b'{%s,"values":[1]}' % TS, "values is a list"),
        (b'{"values":{"load":1}}', "ts is missing"),
        (b'{"ts":null,"values":{"load":1}}', "ts is missing"),
        (b'{"ts":"now","values":{"load":1}}', "ts is a string, expected an integer"),
        (b'{"ts":true,"values":{"load":1}}', "ts is a boolean, expected an integer"),
        (b'{"ts":1700000040.5,"values":{"load":1}}', "ts is a fraction, expected an integer"),
        (b'{"ts":1700000040,"values":{"load":1}}', "ts 1700000040 is not in epoch milliseconds"),
        (b'{"ts":1700000040000000,"values":{"load":1}}', "is not in epoch milliseconds"),
        (b'{"ts":-1,"values":{"load":1}}', "ts -1 is not in epoch milliseconds"),
        (b'{"ts":%s,"values":{"load":1}}' % (b"9" * 4000), "ts (huge) is not in epoch milliseconds"),
        (b'{"v":2,%s,"values":{"load":1}}' % TS, "payload version 2 is unknown"),
        (b'{"v":"1",%s,"values":{"load":1}}' % TS, "v is a string, expected an integer"),
    ],
)
def test_a_message_of_no_use_is_one_dead_letter(payload: bytes, reason: str) -> None:
    """It counts as one in the books, whatever it holds."""
    decoded = decode(payload)
    assert [reason in each for each in reasons(decoded)] == [True], reasons(decoded)
    assert [letter.values for letter in decoded.dead_letters] == [1]
    assert decoded.readings[0].streams == []
    letter = decoded.dead_letters[0]
    assert (letter.time, letter.topic, letter.payload) == (START + 7, TOPIC.decode(), payload[:KEPT_PAYLOAD])


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"NaN", "load: nan is not a number"),
        (b"-Infinity", "load: -inf is not a number"),
        (b"1e999", "load: inf is not a number"),
        (b'"12"', "load: expected a number, got a string"),
        (b"true", "load: expected a number, got a boolean"),
        (b"[1]", "load: expected a number, got a list"),
        (b"{}", "load: expected a number, got an object"),
        (b"1e39", "load: 1e+39 does not fit 32-bit floats"),
        (b"-1e300", "load: -1e+300 does not fit 32-bit floats"),
        (b"9" * 400, "load: number is too large"),
        (b"9" * 5000, "load: inf is not a number"),
    ],
)
def test_a_bad_value_does_not_spoil_its_message(value: bytes, reason: str) -> None:
    decoded = decode(b'{%s,"values":{"load":%s,"flow":2}}' % (TS, value))
    assert reasons(decoded) == [reason]
    assert values(decoded) == [[None, 2]]


def test_a_reading_without_its_time_is_one_dead_letter_also_with_a_bad_value() -> None:
    """The bad value is not counted beside the message that it came in."""
    decoded = decode(b'{"values":{"load":"12","flow":2}}')
    assert reasons(decoded) == ["ts is missing"]


def test_missing_and_null_sensors_are_missing_and_no_mistake() -> None:
    decoded = decode(b'{%s,"values":{"flow":null}}' % TS)
    assert values(decoded) == [[None, None]]
    assert not decoded.dead_letters


def test_every_unknown_sensor_with_a_value_is_a_dead_letter_of_its_own() -> None:
    decoded = decode(b'{%s,"values":{"rpm":1,"load":2,"none":null,"\\ud800":3}}' % TS)
    assert reasons(decoded) == ["unknown sensor rpm", "unknown sensor \\ud800"]
    assert values(decoded) == [[2, None]]


def test_a_gateways_batch_is_taken_apart_and_its_bad_readings_counted_one_by_one() -> None:
    batch = b'[{%s,"values":{"load":1}},7,{"values":{"load":2,"flow":2}},{"ts":1700000041000,"values":{"load":3}}]'
    decoded = decode(batch % TS)
    assert decoded.readings[0].time.tolist() == [START, START + 1000]
    assert values(decoded) == [[1, None], [3, None]]
    assert reasons(decoded) == ["expected an object, got a number", "ts is missing"]


def test_an_over_long_payload_is_refused_by_its_full_length() -> None:
    cut = b'{%s,"values":{"load":1}}' % TS
    decoded = Decoder([PUMPS], root="plant-root").decode([Message(TOPIC, cut, START, 10_000_000)])
    assert reasons(decoded) == ["payload of 10000000 bytes is over the limit"]
    assert len(decoded.dead_letters[0].payload) <= KEPT_PAYLOAD


@pytest.mark.parametrize(
    ("topic", "reason"),
    [
        (b"plant-root/v1/north/\xff/telemetry", "topic is not UTF-8"),
        (b"plant-root/v1/north/pump-1/other", "topic matches no template"),
        (b"plant-root/v1/north/wing/pump-1/telemetry", "topic matches no template"),
        (b"plant-root/v1//pump-1/telemetry", "topic matches no template"),
        (b"", "topic matches no template"),
    ],
)
def test_an_unknown_topic_is_a_dead_letter(topic: bytes, reason: str) -> None:
    assert reasons(decode(b"{}", topic)) == [reason]


def test_the_area_is_part_of_the_stream_where_the_template_has_one() -> None:
    route = ClassRoute(("load", "flow"), ("{root}/{site}/{area}/{asset}",))
    decoded = decode(b'{%s,"values":{}}' % TS, b"plant-root/north/wing/pump-1", route)
    assert decoded.readings[0].streams == ["north/wing/pump-1"]
    assert split_key("north/wing/pump-1") == ("north", "wing", "pump-1")
    assert stream_key("north", "", "pump-1") == "north//pump-1"


def test_a_root_is_taken_literally() -> None:
    """A dot in it is no wild card."""
    route = ClassRoute(("load",), (TELEMETRY_TOPIC,))
    found = Decoder([route], root="a.b").decode([Message(b"axb/v1/s/p/telemetry", b"{}", START, 2)])
    assert reasons(found) == ["topic matches no template"]


def test_the_first_class_that_matches_takes_the_asset() -> None:
    first = ClassRoute(("load", "flow"), (TELEMETRY_TOPIC,), ("north/*",))
    second = ClassRoute(("load", "flow"), (TELEMETRY_TOPIC,), ("*/pump-?",))
    payload = b'{%s,"values":{"load":1}}' % TS
    here = decode(payload, TOPIC, first, second)
    there = decode(payload, TOPIC.replace(b"north", b"south"), first, second)
    nowhere = decode(payload, b"plant-root/v1/south/fan/telemetry", first, second)
    assert [len(each.streams) for each in here.readings] == [1, 0]
    assert [len(each.streams) for each in there.readings] == [0, 1]
    assert reasons(nowhere) == ["no class takes this asset"]


def test_arrival_time_takes_the_place_of_the_readings_own() -> None:
    """Such a class is for publishers whose own time is of no use, so that it need not even be a time."""
    route = ClassRoute(("load", "flow"), (TELEMETRY_TOPIC,), arrival_time=True)
    for ts in (b"", b'"ts":1,', b'"ts":null,', b'"ts":"12:30",'):
        decoded = decode(b'{%s"values":{"load":1}}' % ts, TOPIC, route)
        assert decoded.readings[0].time.tolist() == [START + 7], ts
        assert not decoded.dead_letters


@pytest.mark.parametrize(
    ("payload", "online", "goodbye"),
    [
        (encode_status(online=True, time=START), True, False),
        (encode_status(online=False, time=START), False, False),
        (encode_status(online=False, time=START, reason="shutdown"), False, True),
        (b'{"online":true,"reason":"shutdown"}', True, False),
    ],
)
def test_a_status_report_says_whether_the_stream_is_there(payload: bytes, online: bool, goodbye: bool) -> None:
    (report,) = decode(payload, STATUS).reports
    assert (report.stream, report.arrival) == ("north//pump-1", START + 7)
    assert (report.online, report.goodbye) == (online, goodbye)


@pytest.mark.parametrize("payload", [b"{", b'{"online":1}', b"\xff", b'{"online":true,"x":' + b"[" * 100_000])
def test_a_bad_status_is_a_dead_letter(payload: bytes) -> None:
    """Deep nesting too: a message that raised would stop the daemon at every start, since it is journalled."""
    decoded = decode(payload, STATUS)
    assert not decoded.reports
    assert [reason.startswith("status: ") for reason in reasons(decoded)] == [True]


def test_an_emptied_status_says_nothing() -> None:
    decoded = decode(b"", STATUS)
    assert not decoded.reports
    assert not decoded.dead_letters


def test_templates_make_topics_filters_and_the_status_topic_beside_them() -> None:
    template = "{root}/v1/{site}/{area}/{asset}/telemetry"
    assert fill(template, root="r", site="s", area="", asset="a") == "r/v1/s/a/telemetry"
    assert fill(template, root="r", site="s", area="b", asset="a") == "r/v1/s/b/a/telemetry"
    assert subscription(template, "r") == "r/v1/+/+/+/telemetry"
    assert subscription(template, "r", "north") == "r/v1/north/+/+/telemetry"
    sites = [site_of(glob) for glob in ("north/*", "north//pump-1", "*", "nor?h/*", "[ns]orth/*", "north*")]
    assert sites == ["north", "north", "+", "+", "+", "+"]
    assert status_template(template) == "{root}/v1/{site}/{area}/{asset}/status"
    assert status_template("{root}/{asset}/data") is None


def test_unknown_names_are_not_remembered() -> None:
    """A publisher that makes up names with every message must not fill the memory."""
    decoder = Decoder([PUMPS], root="plant-root")
    made_up = [b'{%s,"values":{"s%d":1}}' % (TS, number) for number in range(50)]
    decoder.decode([Message(TOPIC, payload, START, len(payload)) for payload in made_up])
    assert not any(names._layouts for names in decoder._names)


@FAST
@given(
    times=st.lists(st.integers(START, START + 10**9), min_size=1, max_size=5),
    sent=st.dictionaries(st.sampled_from(NAMES), st.floats(width=32, allow_infinity=False), max_size=4),
)
def test_what_is_encoded_is_decoded_again(times: list[int], sent: dict[str, float]) -> None:
    """Bit for bit, NaN as missing."""
    decoder = Decoder([ClassRoute(NAMES, (TELEMETRY_TOPIC,))], root="plant-root")
    payloads = [encode_telemetry(time=time, boot="b", seq=1, values=sent) for time in times]
    decoded = decoder.decode([Message(TOPIC, payload, START, len(payload)) for payload in payloads])
    wanted = np.array([[sent.get(name, np.nan) for name in NAMES]] * len(times), np.float32)
    np.testing.assert_array_equal(decoded.readings[0].values, wanted)
    assert decoded.readings[0].time.tolist() == times
    assert not decoded.dead_letters


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@FAST
@given(
    payload=st.binary(max_size=60) | JSON.map(lambda made: json.dumps(made).encode()),
    topic=st.sampled_from([TOPIC, STATUS]) | st.binary(max_size=20),
)
def test_arbitrary_bytes_never_raise(payload: bytes, topic: bytes) -> None:
    decode(payload, topic)


@FAST
@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["load", "flow", "rpm", "oil"]),
            st.sampled_from(["1", "2.5", "null", "NaN", '"x"', "1e39", "true", "1e999"]),
            max_size=4,
        ),
        max_size=4,
    )
)
def test_every_value_of_a_message_is_counted_once(batch: list[dict[str, str]]) -> None:
    """Those that are usable are read, every other that is not null is a dead letter of one value."""
    items = []
    for item in batch:
        cells = ",".join(f'"{name}":{text}' for name, text in item.items())
        items.append(f'{{"ts":{START},"values":{{{cells}}}}}')
    decoded = decode(f"[{','.join(items)}]".encode())
    sent = sum(text != "null" for item in batch for text in item.values())
    read = sum(value is not None for row in values(decoded) for value in row)
    assert read == sum(
        name in PUMPS.sensors and text in {"1", "2.5"} for item in batch for name, text in item.items()
    )
    assert read + sum(letter.values for letter in decoded.dead_letters) == sent


NUMBERS = st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.integers(-(10**40), 10**40), st.none())
ODD = st.one_of(st.text(max_size=3), st.booleans(), st.lists(st.integers(), max_size=2))


@given(
    documents=st.lists(
        st.fixed_dictionaries(
            {},
            optional={
                "v": st.sampled_from([1, 1, 1, 2, 1.0, "1"]),
                "ts": st.sampled_from([START, START + 1, START + 2, 7, None, "now", 1.5]),
                "boot": st.text(max_size=3),
                "values": st.dictionaries(st.sampled_from([*NAMES, "strange"]), NUMBERS | ODD, max_size=4),
            },
        ),
        max_size=3,
    ),
    as_list=st.booleans(),
    arrival_time=st.booleans(),
)
@FAST
def test_what_is_read_at_once_is_read_as_by_the_classes_reader(
    documents: list[dict[str, object]], as_list: bool, arrival_time: bool
) -> None:
    """A class that leaves a name out reads everything by its reader: that name never comes here."""
    payloads = [json.dumps(documents)] if as_list else [json.dumps(each) for each in documents]
    messages = [Message(TOPIC, each.encode(), START + 9, len(each.encode())) for each in payloads]
    plain, careful = (
        Decoder(
            [ClassRoute(NAMES, (TELEMETRY_TOPIC,), arrival_time=arrival_time, ignore=left_out)], root="plant-root"
        )
        for left_out in ((), ("never",))
    )
    one, other = plain.decode(messages), careful.decode(messages)
    assert sorted(reasons(one)) == sorted(reasons(other))
    assert one.readings[0].streams == other.readings[0].streams
    assert one.readings[0].time.tolist() == other.readings[0].time.tolist()
    assert one.readings[0].arrival.tolist() == other.readings[0].arrival.tolist()
    np.testing.assert_array_equal(one.readings[0].values, other.readings[0].values)


@pytest.mark.parametrize("strange", ['say "load"', "a\\b", "a\nb"])
def test_a_name_that_json_escapes_is_read_too(strange: str) -> None:
    route = ClassRoute((strange, "flow"), (TELEMETRY_TOPIC,))
    assert values(decode(encode_telemetry(time=START, boot="", seq=0, values={strange: 2.0}), TOPIC, route)) == [
        [2, None]
    ]


def test_of_very_many_sensors_each_is_read_under_its_own_name() -> None:
    names = tuple(f"sensor {number}" for number in range(300))
    sent = {name: float(number) for number, name in enumerate(names) if number % 3}
    payload = encode_telemetry(time=START, boot="", seq=0, values=sent)
    assert values(decode(payload, TOPIC, ClassRoute(names, (TELEMETRY_TOPIC,)))) == [
        [sent.get(name) for name in names]
    ]
