"""Who looks on tells a thread that is stuck from one that waits, and from one that is dead."""

from __future__ import annotations

import threading

import pytest

from monitor.stages import Pulse, Stage, Stages, Worker


@pytest.fixture
def pulse() -> Pulse:
    return Pulse()


def looking(pulse: Pulse) -> Stages:
    """Two stages, of which the other turns at every look; ten seconds of patience."""
    other = Pulse()

    class Looking(Stages):
        def look(self, now: float) -> dict[str, float]:
            other.turn()
            return super().look(now)

    idle = Worker("idle", lambda: None)
    return Looking([Stage("one", idle, pulse), Stage("other", idle, other)], patience_s=10.0, now=0.0)


def test_stuck_is_told_once_and_again_after_it_turned(pulse: Pulse) -> None:
    """Beyond the patience, not at it; a turn ends it."""
    stages = looking(pulse)
    assert [stages.look(float(second)) for second in range(11)] == [{}] * 11
    assert stages.look(11.0) == {"one": 11.0}
    assert stages.look(12.0) == {}
    assert stages.stuck == {"one": 12.0}
    pulse.turn()
    assert stages.look(13.0) == {}
    assert stages.stuck == {}
    assert [bool(stages.look(13.0 + second)) for second in range(1, 12)] == [False] * 10 + [True]


def test_a_channel_that_is_stuck_is_told_and_keeps_nobody_from_working(pulse: Pulse) -> None:
    idle, line = Worker("idle", lambda: None), Pulse()
    stages = [Stage("line", idle, line), Stage("channel", idle, pulse, needed=False)]
    looks = Stages(stages, patience_s=1.0, now=0.0)
    for second in range(8):
        line.turn()
        looks.look(second / 4)
    assert (list(looks.stuck), looks.works) == (["channel"], True)
    for second in range(8, 16):
        looks.look(second / 4)
    assert (list(looks.stuck), looks.works) == (["line", "channel"], False)


def test_what_may_take_longer_is_stuck_later(pulse: Pulse) -> None:
    """A connection that is being made, for example; the turn after it has no such right."""
    stages = looking(pulse)
    pulse.turn(may_take_s=5.0)
    assert not any(stages.look(second / 2) for second in range(31))
    assert stages.look(15.5)
    pulse.turn()
    told = [second for second in range(17, 40) if stages.look(float(second))]
    assert told == [28]  # it was seen to turn at 17


def test_time_that_nobody_looked_at_does_not_count(pulse: Pulse) -> None:
    """The process was stopped for an hour: all threads stood still, none is stuck."""
    stages = looking(pulse)
    stages.look(1.0)
    assert stages.look(3600.0) == {}
    assert stages.stuck == {}


def test_a_dead_thread_is_found_with_what_ended_it(pulse: Pulse) -> None:
    def fail() -> None:
        raise ValueError("no more")

    go = threading.Event()
    alive, dead, quiet = Worker("alive", go.wait), Worker("dead", fail), Worker("quiet", lambda: None)  # type: ignore[arg-type]
    for each in (alive, dead, quiet):
        each.start()
    dead.join()
    quiet.join()

    def found(*workers: Worker) -> tuple[str, Exception] | None:
        return Stages([Stage(each.name, each, pulse) for each in workers], patience_s=1.0, now=0.0).dead()

    assert found(alive) is None
    name, error = found(alive, dead) or ("", None)
    assert (name, str(error)) == ("dead", "no more")
    name, error = found(alive, quiet) or ("", None)
    assert (name, str(error)) == ("quiet", "the thread has ended by itself")
    go.set()
