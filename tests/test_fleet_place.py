"""What of an MQTT topic names the asset: all that is said of one asset has one place, and so one shard."""

from __future__ import annotations

import doctest

import pytest

from monitor.decode import ClassRoute, fill
from monitor.fleet import place
from monitor.fleet.packed import shard_of
from monitor.fleet.place import place_of, place_of_stream, places, topic_of

OURS = ClassRoute(("a",), ("{root}/v1/{site}/{asset}/telemetry",))
BY_SENSOR = ClassRoute(("a",), ("plant/{area}/{asset}/{sensor}",))
SPARKPLUG = ClassRoute(("a",), ("spBv1.0/{site}/DDATA/{area}/{asset}",), payload="sparkplug")
IN_PAYLOAD = ClassRoute(("a",), ("trucks/{site}",), payload="paths")


@pytest.mark.parametrize(
    ("topics", "named"),
    [
        (["x/v1/yard/pump/telemetry", "x/v1/yard/pump/status"], "yard/pump"),
        (["plant/hall/pump/flow", "plant/hall/pump/load"], "hall/pump"),
        (
            [
                "spBv1.0/group/DDATA/node/device",
                "spBv1.0/group/DBIRTH/node/other",
                "spBv1.0/group/NBIRTH/node",
                "spBv1.0/group/NDEATH/node",
            ],
            "group/node",
        ),
        (["trucks/north"], "trucks/north"),
        (["something/else"], "something/else"),
        (["x/v1/yard/pump/telemetry/more"], "x/v1/yard/pump/telemetry/more"),
    ],
)
def test_all_topics_of_an_asset_have_one_place(topics: list[str], named: str) -> None:
    """Of Sparkplug all of an edge node; where only the payload names assets, and of strangers, the whole topic."""
    known = places([OURS, BY_SENSOR, SPARKPLUG, IN_PAYLOAD], "x")
    assert {place_of(topic, known) for topic in topics} == {named}


def test_letters_that_mean_something_in_patterns_mean_themselves() -> None:
    known = places([ClassRoute(("a",), ("a.b+/{asset}/(t)",))], "x")
    assert place_of("a.b+/pump/(t)", known) == "pump"
    assert place_of("aXb+/pump/(t)", known) == "aXb+/pump/(t)"


@pytest.mark.parametrize(("route", "key"), [(OURS, "yard//pump"), (SPARKPLUG, "group/node/device")])
def test_the_place_is_told_by_the_name_of_an_asset_too(route: ClassRoute, key: str) -> None:
    """What is imported by name comes to where the messages will come."""
    known = places([route], "x")
    site, area, asset = key.split("/")
    topic = fill(route.topics[0], root="x", site=site, area=area, asset=asset)
    assert place_of_stream(key, route, "x", known) == place_of(topic, known)


def test_a_shard_is_the_same_on_every_machine() -> None:
    """By the first eight bytes of BLAKE2b, as another way to read them has it."""
    import hashlib  # noqa: PLC0415 - the answer is worked out here

    number = int(hashlib.blake2b(b"yard/pump", digest_size=8).hexdigest(), 16)
    ids = (11, 22, 33, 44, 55, 66, 77)
    assert shard_of("yard/pump", ids) == ids[number % 7]


def test_assets_are_spread_evenly() -> None:
    """Ten thousand over sixteen: 625 each, and none further from that than five deviations of 24.2."""
    counts = [0] * 16
    for number in range(10_000):
        counts[shard_of(f"yard/engine-{number}", range(16))] += 1
    assert max(abs(count - 625) for count in counts) < 121


def test_a_template_says_what_a_topic_is_made_of() -> None:
    assert topic_of("{header:mqtt.topic}") == [("header", "mqtt.topic")]
    assert topic_of("{topic}/{key}") == [("topic", ""), ("text", "/"), ("key", "")]
    assert doctest.testmod(place).failed == 0
