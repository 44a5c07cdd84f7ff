"""Where the data stopped: each place has its sentence, told once it lasts and then ever more rarely."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from monitor.books import books
from monitor.records import Outcome, Status
from monitor.watch import LONGEST_PAUSE_S, PATIENCE_S, Facts, Place, Watch, stopped
from tests.line_samples import Line, pump, quick, shipped, telemetry

NO_ROWS = {status.name.lower(): 0 for status in Status}
QUIET = Facts(
    broker="",
    topics=("enginewatch/v1/+/+/telemetry",),
    disk_full=False,
    messages=0,
    behind=0,
    values=0,
    refused=0,
    too_late=0,
    first_refusal=None,
    streams=0,
    warmest=None,
    rows=NO_ROWS,
    unmodelled=(),
)
REFUSAL = ("plant/a", "ts is missing")
TOPICS = "connected to the broker, but 0 readings for 12 s on "
REJECTED = "3 values rejected, the first on plant/a: ts is missing"
COMPARE = "compare the names in the messages with those of the asset file"
LEARNING = (
    "no model yet, so nothing is scored: class pump is learning: 3 h 20 min of normal running of at least 24 h; "
    "class fan is learning: 25 h of normal running of at least 24 h, enough for a first model "
    "(enginewatch train --from-store)"
)
END = ": is anything published there, and may mqtt.username read it?"


def rows(**counts: int) -> dict[str, int]:
    return NO_ROWS | counts


def coming(**changes: Any) -> Facts:
    """Good readings of two streams."""
    several: dict[str, Any] = {"messages": 9, "values": 18, "streams": 2, "warmest": (0, 60)}
    return replace(QUIET, **several | changes)


CASES: list[tuple[Facts, Place, str]] = [
    (replace(QUIET, broker="nobody listens"), Place.BROKER, "not connected to the broker: nobody listens"),
    (
        coming(warmest=(60, 60), rows=rows(regime=8, blanked=1)),
        Place.REGIME,
        "2 streams in a regime that is not scored, such as off",
    ),
    (
        coming(broker="nobody listens", disk_full=True, warmest=(3, 60)),
        Place.BROKER,
        "not connected to the broker: nobody listens",
    ),
    (
        replace(QUIET, disk_full=True),
        Place.DISK,
        "the disk is full, so nothing is taken in: make room in daemon.state_dir",
    ),
    (QUIET, Place.TOPICS, f"{TOPICS}enginewatch/v1/+/+/telemetry{END}"),
    (replace(QUIET, topics=tuple("abcde")), Place.TOPICS, f"{TOPICS}a, b, c and 2 more{END}"),
    (
        replace(QUIET, messages=4),
        Place.TOPICS,
        f"{TOPICS}enginewatch/v1/+/+/telemetry (4 messages on others){END}",
    ),
    (replace(QUIET, messages=40, behind=30), Place.JOURNAL, "40 messages came, and the line is 30 records behind"),
    (
        replace(QUIET, messages=312, values=312, refused=312, first_refusal=REFUSAL),
        Place.REFUSED,
        "312 messages, 312 values rejected, the first on plant/a: ts is missing",
    ),
    (
        coming(too_late=18),
        Place.TIMES,
        "all of 18 values were there before or came too late: check the publisher's clock",
    ),
    (
        coming(streams=1),
        Place.TICK,
        "18 values of 1 stream came, but no score row is due yet: a tick must close first",
    ),
    (
        coming(warmest=(41, 60), rows=rows(warming_up=70)),
        Place.WARMING_UP,
        "warming up: 41/60 ticks in the fullest window of 2 streams",
    ),
    (
        coming(warmest=(5, 60), rows=rows(gap=5)),
        Place.WARMING_UP,
        "warming up again after a silence: 5/60 ticks in the fullest window of 2 streams",
    ),
    (
        coming(refused=3, first_refusal=REFUSAL, warmest=(1, 60), rows=rows(warming_up=2)),
        Place.WARMING_UP,
        f"warming up: 1/60 ticks in the fullest window of 2 streams; {REJECTED}",
    ),
    (
        coming(warmest=(60, 60), rows=rows(warming_up=118, too_few_sensors=4)),
        Place.SENSORS,
        f"too few sensors report for window.min_coverage, in 2 streams: {COMPARE}",
    ),
    (
        coming(
            warmest=None,
            rows=rows(learning=4),
            learning={"pump": (12_000_000, 86_400_000), "fan": (90_000_000, 86_400_000)},
        ),
        Place.LEARNING,
        LEARNING,
    ),
    (
        coming(warmest=None, rows=rows(no_model=4), unmodelled=("pump", "fan")),
        Place.MODEL,
        "no model for class pump, fan: set classes.model",
    ),
]


@pytest.mark.parametrize(("facts", "place", "sentence"), CASES, ids=[str(place) for _, place, _ in CASES])
def test_each_place_has_its_sentence(facts: Facts, place: Place, sentence: str) -> None:
    """And only what came since counts: the same on top of a long history."""
    quiet = 0.0 if facts.values else 12.0
    assert stopped(facts, QUIET, quiet) == (place, sentence)
    past = coming(messages=1000, values=5000, refused=70, too_late=8, rows=rows(scored=900, too_few_sensors=3))
    later = replace(
        facts,
        messages=facts.messages + 1000,
        values=facts.values + 5000,
        refused=facts.refused + 70,
        too_late=facts.too_late + 8,
        rows={name: count + past.rows[name] for name, count in facts.rows.items()},
    )
    assert stopped(later, past, quiet) == (place, sentence)


def test_values_that_no_longer_come_are_a_silence() -> None:
    """Not a tick that is slow to close."""
    assert stopped(coming(), QUIET, 12.0) == (Place.TOPICS, f"{TOPICS}enginewatch/v1/+/+/telemetry{END}")


def told(watch: Watch, facts: Facts, moments: range) -> list[int]:
    """The moments at which there is something to tell, where nothing changes."""
    return [now for now in moments if watch.look(now, facts)]


def test_a_place_is_told_once_it_lasts_then_at_doubling_pauses() -> None:
    """After 10 s, then 20 s later, 40 s later …, and at the least every ten minutes."""
    watch = Watch(0, QUIET)
    moments = told(watch, QUIET, range(4000))
    pauses = [later - earlier for earlier, later in zip([0, *moments], moments, strict=False)]
    assert pauses == [10, 20, 40, 80, 160, 320, 600, 600, 600, 600, 600]
    assert (PATIENCE_S, LONGEST_PAUSE_S) == (10.0, 600.0)


def test_another_place_gets_its_own_time() -> None:
    watch = Watch(0, replace(QUIET, broker="nobody listens"))
    assert told(watch, replace(QUIET, broker="nobody listens"), range(25)) == [10]
    assert watch.sentence.startswith("not connected")
    assert told(watch, QUIET, range(25, 40)) == [35]
    assert "0 readings for 15 s" in watch.sentence


def test_scoring_is_told_once_and_again_after_it_stopped() -> None:
    watch = Watch(0, QUIET)
    assert not watch.look(1, coming(warmest=(9, 10)))
    assert watch.passes
    first = coming(rows=rows(scored=1))
    assert watch.look(4, first)
    assert (watch.sentence, watch.seconds) == ("", 4)
    assert not watch.look(5, coming(values=20, rows=rows(scored=2)))
    stands = coming(values=20, rows=rows(scored=2))
    assert told(watch, stands, range(6, 40)) == [15, 25 + 10]
    assert watch.sentence.startswith("connected to the broker, but 0 readings for 34 s")
    assert not watch.passes
    assert watch.look(50, coming(values=22, rows=rows(scored=2, relearning=1)))
    assert (watch.sentence, watch.seconds) == ("", 45)


def test_rare_rows_are_not_a_stop() -> None:
    """A class with a row each minute is scoring all the time."""
    watch = Watch(0, QUIET, slowest_row_s=60.0)
    scored = 0
    for now in range(1, 600):
        scored += now % 60 == 0
        assert watch.look(now, coming(values=now, rows=rows(scored=scored))) == (now == 60)


def test_scores_of_an_earlier_run_are_not_scoring() -> None:
    """The line's counts survive a restart."""
    before = coming(rows=rows(scored=1000))
    assert told(Watch(0, before), before, range(12)) == [10]


def test_the_books_say_how_far_the_streams_are() -> None:
    """The fullest window of those heard lately: a stream that fell silent long ago says nothing of today."""
    line = Line(quick(shipped())).listen()
    assert (books(line.state)["heard"], books(line.state)["warmest"]) == (0, None)
    for second in range(5):
        line.send(second * 1000, telemetry("old", second * 1000, pump(50)))
    assert books(line.state)["warmest"] == (5, 5)
    for second in range(100, 103):
        line.send(second * 1000, telemetry("a", second * 1000, pump(50)))
    line.send(103_000, telemetry("b", 103_000, pump(50)))
    assert (books(line.state)["heard"], books(line.state)["warmest"]) == (2, (3, 5))


def test_facts_of_the_books_by_hand() -> None:
    """Values in rows, waiting, refused, late and doubled are told apart."""
    line = Line(quick(shipped())).listen()
    line.send(0, telemetry("a", 0, pump(50)), telemetry("a", 0, pump(50)))
    line.send(100, telemetry("a", 90_000, pump(50), arrival=100), telemetry("a", 100, {"rpm": 1.0}))
    line.send(200, telemetry("b", 200, {"load": 1.0}))
    other: dict[str, Any] = {"broker": "", "topics": (), "disk_full": False, "messages": 5, "behind": 0}
    facts = Facts.of_books(books(line.state) | {"refused": None}, **other, unmodelled=())
    assert int(line.state.outcomes[Outcome.QUARANTINED]) == 2
    assert (facts.values, facts.refused, facts.too_late, facts.streams) == (8, 3, 2, 2)
