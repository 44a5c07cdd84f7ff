"""Vehicles as the tests of the line on Spark have them: simulated, faulty at known moments, in order or not."""

from __future__ import annotations

import random
from itertools import cycle
from typing import TYPE_CHECKING

from monitor.decode import encode_telemetry
from simulator.faults import Fault
from simulator.fleet import Fleet
from simulator.records import SENSORS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PERIOD_MS = 500  # of the shipped model
KINDS = ("misfire", "lean_mixture", "stuck", "low_ignition_voltage", "rich_mixture")
FUTURE = 4_102_444_800_000  # the year 2100, epoch ms
SITE = "fleet"

Sent = tuple[bytes, bytes]  # MQTT topic and payload


def faults(engines: int, ticks: int, *, every: int = 4, first: int = 90, lasts: int = 90) -> list[Fault]:
    """A fault of every fourth vehicle, one after the other, again and again: there are always incidents open."""
    found = []
    begins = cycle(range(first, max(first + 1, ticks - lasts), 37))
    for engine, kind, tick in zip(range(1, engines, every), cycle(KINDS), begins, strict=False):
        sensor = "oil_pressure" if kind == "stuck" else ""
        found += [
            Fault(engine, kind, "severe", start * PERIOD_MS, lasts * PERIOD_MS, sensor=sensor)
            for start in range(tick, ticks, 3 * lasts)
        ]
    return found


def drive(
    engines: int, ticks: int, *, began: int, seed: int = 0, wrong: Sequence[Fault] | None = None
) -> list[list[Sent]]:
    """What the vehicles publish, tick for tick from `began` on (epoch ms), each reading at its moment."""
    fleet = Fleet(engines, seed=seed, faults=faults(engines, ticks) if wrong is None else wrong)
    block = fleet.block(ticks)
    values = block.shortest()
    return [
        [
            message(asset, began + tick * PERIOD_MS, tick, dict(zip(SENSORS, values[tick][number], strict=True)))
            for number, asset in enumerate(fleet.assets)
            if block.running[tick, number]
        ]
        for tick in range(ticks)
    ]


def message(asset: str, time: int, seq: int, values: dict[str, float]) -> Sent:
    """One reading of a vehicle."""
    payload = encode_telemetry(time=time, boot="b", seq=seq, values=values)
    return f"enginewatch/v1/{SITE}/{asset}/telemetry".encode(), payload


def badly(engines: int, ticks: int, *, began: int, seed: int = 0) -> list[Sent]:
    """The same over a bad way: shuffled, irregular, late, repeated, missing and bad; the last ticks are whole.

    So every tick is closed by readings that come after it, and nothing waits for the clock.
    """
    chance = random.Random(seed)  # noqa: S311 - mishaps, not secrets
    fleet = Fleet(engines, seed=seed, faults=faults(engines, ticks))
    block = fleet.block(ticks)
    values = block.shortest()
    waiting: dict[int, list[Sent]] = {}  # what comes at a later tick than it should
    found: list[Sent] = []
    for tick in range(ticks):
        now = waiting.pop(tick, [])
        whole = not 70 < tick < ticks - 30
        for number, asset in enumerate(fleet.assets):
            row = dict(zip(SENSORS, values[tick][number], strict=True))
            time = began + tick * PERIOD_MS + (0 if whole else chance.randrange(0, PERIOD_MS, 7))
            if whole:
                now.append(message(asset, time, tick, row))
            else:
                for delay, each in _mishap(chance, asset, time, tick, row):
                    (waiting.setdefault(tick + delay, []) if delay else now).append(each)
        chance.shuffle(now)
        found += now
    return found


def _mishap(
    chance: random.Random, asset: str, time: int, tick: int, row: dict[str, float]
) -> Iterator[tuple[int, Sent]]:
    """What becomes of a reading: messages, and by how many ticks they come too late."""
    sent = message(asset, time, tick, row)
    topic, _ = sent
    match chance.choices(
        ("well", "lost", "partly", "twice", "late", "too late", "text", "future", "junk", "absurd"),
        (80, 4, 4, 3, 3, 2, 1, 1, 1, 1),
    )[0]:
        case "well":
            yield 0, sent
        case "partly":
            kept = chance.sample(list(row), 9)
            yield 0, message(asset, time, tick, {name: row[name] for name in kept})
        case "twice":
            yield 0, sent
            yield chance.randrange(1, 4), sent
        case "late":
            yield chance.randrange(1, 3), sent
        case "too late":
            yield chance.randrange(7, 12), sent
        case "text":
            yield 0, (topic, sent[1].replace(b'"engine_load":', b'"engine_load":"much","x":', 1))
        case "future":
            yield 0, message(asset, FUTURE, tick, row)
        case "junk":
            yield 0, (topic, b"\xff{" + sent[1][:40])
            yield 0, sent
        case "absurd":
            yield 0, message(asset, time, tick, row | {"engine_speed": 1e7, "oil_pressure": -5.0})
