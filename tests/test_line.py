"""The line over crashes: whatever the moment, the store ends as if nothing had happened."""

from __future__ import annotations

import errno
import os
import shutil
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from monitor import checkpoint
from monitor import line as room
from monitor.records import Batch, Change, Clock, Outcome, Status, Transition
from monitor.schema import StoreError
from monitor.spec import LineSpec
from monitor.store import Store
from tests.line_house import SCRIPT, SECONDS, SPEC, CrashError, House, same
from tests.line_samples import HASH, pump, telemetry
from tests.rig import until
from tests.store_samples import same_scores

if TYPE_CHECKING:
    from pathlib import Path

    from monitor.records import StepResult


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What a run without any crash leaves."""
    house = House(tmp_path_factory.mktemp("undisturbed"))
    house.line.recover(SPEC)
    house.take(SCRIPT)
    told = house.told()
    house.crash()
    return told


@pytest.fixture
def house(tmp_path: Path) -> Any:
    made = House(tmp_path / "state")
    yield made
    made.crash()


def test_the_script_has_everything_in_it(undisturbed: Any) -> None:
    """A crash test on a line where nothing happens would prove nothing."""
    _, events, letters, outcomes, stretches = undisturbed
    told = [(event.stream, event.kind, event.transition) for event in events]
    assert told == [
        ("plant//p0", "anomaly", Transition.FIRED),
        ("plant//p0", "anomaly", Transition.ACKNOWLEDGED),
        ("plant//p0", "anomaly", Transition.CLEARED),
        ("plant//p0", "stale", Transition.FIRED),
    ]
    assert {each.status for each in stretches} == {"warming_up", "scored", "gap", "no_readings", "offline"}
    assert [letter.reason for letter in letters] == ["topic matches no template"]
    assert outcomes[Outcome.LATE] == 2
    # Two values a reading, one letter, two late ones; nothing waits at the end.
    assert sum(outcomes) == 2 * (SECONDS + SECONDS - 6) + 2 + 1


@pytest.mark.parametrize("behind", [False, True])
def test_a_crash_at_every_record(tmp_path: Path, undisturbed: Any, behind: bool) -> None:
    """At each the process ends, before or behind its write, and starts anew; a checkpoint every seventh."""
    house = House(tmp_path / "state")
    house.line.recover(SPEC)
    for number, entry in enumerate(SCRIPT, 1):
        house.store.at, house.store.behind = number, behind
        with pytest.raises(CrashError):
            house.take([entry])
        house.restart()
        if number % 7 == 0:
            house.line.checkpoint()
    assert same(house.told(), undisturbed)
    house.crash()


STEPS = st.lists(
    st.tuples(st.integers(0, len(SCRIPT)), st.sampled_from(["between", "before", "behind"]), st.booleans()),
    max_size=4,
)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_crashes_at_any_points(tmp_path: Path, undisturbed: Any, steps: list[tuple[int, str, bool]]) -> None:
    """Between records, before the store has a record and behind it; checkpoints or none; replays that crash too.

    The journal is ahead of the line by as much as there is between two crashes.
    """
    shutil.rmtree(tmp_path / "state", ignore_errors=True)
    house = House(tmp_path / "state")
    journalled = 0
    for position, how, saved in sorted(steps):
        house.append(SCRIPT[journalled:position])
        journalled = max(journalled, position)
        house.store.at, house.store.behind = (0 if how == "between" else position), how == "behind"
        try:
            house.line.recover(SPEC)
            if saved:
                house.line.checkpoint()
        except CrashError:
            pass
        house.crash()
        house.open()
    house.append(SCRIPT[journalled:])
    house.line.recover(SPEC)
    assert same(house.told(), undisturbed)
    house.crash()


# -- what can be lost of the state folder -----------------------------------------------------------------------


def half(house: House) -> int:
    """Work off a half of the script with two checkpoints on the way; returns how many entries that is."""
    house.line.recover(SPEC)
    for start, end in ((0, 10), (10, 20)):
        house.take(SCRIPT[start:end])
        house.line.checkpoint()
    house.take(SCRIPT[20:25])
    return 25


def test_a_damaged_checkpoint_is_survived(house: House, undisturbed: Any) -> None:
    """The one before it is taken, and the journal still reaches back to it."""
    done = half(house)
    newest = checkpoint.saved(house.folder)[0]
    newest.write_bytes(newest.read_bytes()[:-100])
    with capture_logs() as logs:
        house.restart()
    assert [entry["event"] for entry in logs] == ["checkpoint_unusable", "line_changed", "recovered"][::2]
    assert house.line.position == done
    house.take(SCRIPT[done:])
    assert same(house.told(), undisturbed)


def test_a_replay_that_takes_long_is_not_done_twice(
    house: House, undisturbed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A daemon that dies soon after each start, before its first checkpoint, has less to replay the next time."""
    monkeypatch.setattr(room, "REPLAY_S", 0.0)
    house.line.recover(SPEC)
    house.take(SCRIPT)
    assert checkpoint.saved(house.folder) == []
    house.restart()
    assert checkpoint.position_of(checkpoint.saved(house.folder)[0]) == house.line.position == len(SCRIPT)
    with capture_logs() as logs:
        house.restart()
    assert [entry["replayed"] for entry in logs if entry["event"] == "recovered"] == [0]
    assert same(house.told(), undisturbed)


def test_without_checkpoints_the_journal_begins_at_the_beginning(house: House, undisturbed: Any) -> None:
    """As long as nothing was forgotten it holds the description as well."""
    house.line.recover(SPEC)
    house.take(SCRIPT[:25])
    house.spec = LineSpec("other", 1, ())  # what the settings say now does not matter to the replay
    house.restart()
    assert house.line.state.spec == SPEC
    house.take(SCRIPT[25:])
    assert same(house.told(), undisturbed)


def test_without_checkpoints_behind_a_forgetful_journal_the_state_begins_anew(house: House) -> None:
    """That is said; what is in the store stays, what comes is worked off, and nothing is stored twice."""
    done = half(house)
    before = house.told()
    for path in checkpoint.saved(house.folder):
        path.unlink()
    with capture_logs() as logs:
        house.restart()
    lost = next(entry for entry in logs if entry["event"] == "state_lost")
    assert lost["records"] == 10
    assert house.line.position == done
    house.take(SCRIPT[done:])
    scores, events, *_ = house.told()
    assert all(map(same_scores, scores[: len(before[0])], before[0]))
    assert events[: len(before[1])] == before[1]
    assert len({event.event_id for event in events}) == len(events)
    assert house.line.state.streams() == 2


def test_a_store_that_was_taken_away(house: House) -> None:
    """The line goes on without warming up; the new store gets what comes behind the oldest checkpoint."""
    done = half(house)
    house.store.close()
    for path in house.folder.glob("store.db*"):
        path.unlink()
    house.restart()
    assert house.store.written == done
    house.take(SCRIPT[done:])
    assert set(house.statuses("plant//p0")) == {Status.SCORED}
    assert house.store.written == len(SCRIPT)


def test_a_store_that_has_lost_its_end(house: House, undisturbed: Any) -> None:
    """As after a write-ahead log that cannot be read: what the journal still holds is made again."""
    house.line.recover(SPEC)
    house.take(SCRIPT[:12])
    house.store.sync()
    shutil.copy(house.folder / "store.db", house.folder / "older.db")
    for extra in house.folder.glob("store.db-wal"):
        shutil.copy(extra, house.folder / "older.db-wal")
    house.line.checkpoint()
    house.take(SCRIPT[12:20])
    house.line.checkpoint()
    house.take(SCRIPT[20:25])
    house.crash()
    for end in ("", "-wal"):
        (house.folder / f"older.db{end}").replace(house.folder / f"store.db{end}")
    house.open()
    with capture_logs() as logs:
        house.line.recover(SPEC)
    assert "store_behind" not in [entry["event"] for entry in logs]
    house.take(SCRIPT[25:])
    assert same(house.told(), undisturbed)


def test_a_store_behind_all_checkpoints_is_told(house: House) -> None:
    house.line.recover(SPEC)
    house.take(SCRIPT[:5])
    house.store.close()
    shutil.copy(house.folder / "store.db", house.folder / "older.db")
    house.restart()
    house.take(SCRIPT[5:10])
    for number, entry in enumerate(SCRIPT[10:20]):
        house.take([entry])
        if number % 4 == 3:
            house.line.checkpoint()
    house.crash()
    (house.folder / "older.db").replace(house.folder / "store.db")
    house.open()
    with capture_logs() as logs:
        house.line.recover(SPEC)
    told = next(entry for entry in logs if entry["event"] == "store_behind")
    assert told["records"] == checkpoint.position_of(checkpoint.saved(house.folder)[-1]) - 5
    assert house.store.written == 20


def test_a_journal_that_was_taken_away(house: House) -> None:
    """Its positions go on, so that what comes is not mistaken for what is in the store; windows stay."""
    done = half(house)
    house.crash()
    for path in house.folder.glob("journal.db*"):
        path.unlink()
    house.open()
    with capture_logs() as logs:
        house.line.recover(SPEC)
    assert "journal_lost" in [entry["event"] for entry in logs]
    rows = len(house.statuses("plant//p0"))
    house.take(SCRIPT[done:])
    stored = [(key, time) for each in house.told()[0] for key, time in zip(each.streams, each.time, strict=True)]
    assert len(set(stored)) == len(stored)  # the state is older than the store: it has rows to come that are there
    assert house.store.written == len(SCRIPT)
    later = house.statuses("plant//p0")[rows:]
    assert Status.WARMING_UP not in later
    assert later[-1] == Status.SCORED
    house.restart()  # and the next start finds its way
    assert house.line.position == len(SCRIPT)


# -- other settings ---------------------------------------------------------------------------------------------


def with_floor(floor: float) -> LineSpec:
    only = SPEC.classes[0]
    return replace(SPEC, classes=(replace(only, threshold=replace(only.threshold, floor=floor)),))


@pytest.mark.parametrize("crash_behind_the_change", [False, True])
def test_other_thresholds_keep_the_windows_and_the_replay_knows_the_old_ones(
    house: House, crash_behind_the_change: bool
) -> None:
    """Rows behind the crash but before the change are judged as they would have been without it."""
    house.line.recover(SPEC)
    house.take(SCRIPT[:8])
    house.line.checkpoint()
    house.append(SCRIPT[8:12])  # journalled, not worked off
    house.spec = with_floor(2.5)
    house.restart()
    assert house.line.state.spec == SPEC
    at = len(house.store.scores_after(0, 1000))
    house.append([(9, Change(line=house.spec.encode()))])
    if not crash_behind_the_change:
        while house.line.advance():
            pass
    else:
        house.restart()
    assert house.line.state.spec == house.spec
    house.take(SCRIPT[12:20])
    stored = house.store.scores_after(0, 1000)
    judged = [
        [threshold for each in part for threshold in each.rows.threshold.tolist() if threshold == threshold]  # noqa: PLR0124 - not NaN
        for part in (stored[:at], stored[at:])
    ]
    assert set(judged[0]) == {1.0}
    assert set(judged[1]) == {2.5}
    first_scored = house.statuses("plant//p0").index(Status.SCORED)
    assert set(house.statuses("plant//p0")[first_scored:]) == {Status.SCORED}


def test_other_windows_begin_anew_and_every_value_has_its_outcome(house: House) -> None:
    house.line.recover(SPEC)
    house.take(SCRIPT[:15])
    only = SPEC.classes[0]
    other = replace(SPEC, classes=(replace(only, window=replace(only.window, length=4, min_coverage=0.4)),))
    rows = len(house.statuses("plant//p0"))
    house.take([(13, Change(line=other.encode())), *SCRIPT[15:]])
    statuses = house.statuses("plant//p0")
    assert Status.SCORED not in statuses[rows : rows + 3]
    assert statuses[-1] == Status.SCORED
    assert house.line.state.outcomes.sum() == 2 * (SECONDS + SECONDS - 6) + 2 + 1


def test_a_model_scores_from_the_very_record_that_brings_it(tmp_path: Path) -> None:
    """Also a tick that this record's time closes: no row comes between learning and scoring."""
    (pumps,) = SPEC.classes
    pumps = replace(pumps, align=replace(pumps.align, one_reading_per_tick=False))  # the last ticks stay open
    learns = replace(pumps, model="", model_hash="", wanted_ms=3_600_000)
    house = House(tmp_path / "state", spec=replace(SPEC, classes=(learns,)))
    house.take([(0, Change(listening=True, line=house.spec.encode()))])
    for second in range(9):
        house.take([(second, Batch([telemetry("p0", second * 1000, pump(50))]))])
    learned = len(house.statuses("plant//p0"))
    house.take([(20, Change(line=replace(SPEC, classes=(pumps,)).encode()))])
    assert house.statuses("plant//p0") == [Status.LEARNING] * learned + [Status.SCORED] * (9 - learned)
    assert 5 < learned < 9
    house.crash()


def test_models_that_may_be_needed(house: House) -> None:
    """Not known while the journal may name others; then those of the checkpoints and of the state."""
    house.line.recover(SPEC)
    house.take(SCRIPT[:5])
    house.line.checkpoint()
    assert house.line.needed_models() is None
    house.take(SCRIPT[5:8])  # deletes what the checkpoint made superfluous, the description with it
    assert house.line.needed_models() == {HASH}
    other = replace(SPEC, classes=(replace(SPEC.classes[0], model_hash="newer"),))
    house.take([(9, Change(line=other.encode()))])
    house.line.checkpoint()
    house.take([(10, Clock())])
    assert house.line.needed_models() is None
    for second in (11, 12):
        house.take([(second, Clock())])
        house.line.checkpoint()
    house.take([(13, Clock())])
    assert house.line.needed_models() == {"newer"}


# -- the thread -------------------------------------------------------------------------------------------------


def test_a_store_that_cannot_write_for_a_while_loses_nothing(
    house: House, undisturbed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line waits with what it has; that is said once, and once that it works again."""
    monkeypatch.setattr(room, "RETRY_S", 0.001)
    refusals = iter(range(30))

    def write(position: int, result: StepResult) -> None:
        if position % 10 == 0 and next(refusals, None) is not None:
            raise StoreError("no room")
        Store.write(house.store, position, result)

    monkeypatch.setattr(house.store, "write", write)
    house.line.recover(SPEC)
    with capture_logs() as logs:
        house.take(SCRIPT)
    assert same(house.told(), undisturbed)
    assert [entry["event"] for entry in logs if "store" in entry["event"]] == ["store_failed", "store_works_again"]


def test_a_disk_that_fails_is_not_waited_for(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither under the store nor under a checkpoint: what it has not taken would pass for written."""
    house.line.recover(SPEC)
    house.take(SCRIPT[:10])

    def failing(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(checkpoint, "save", failing)
    house.line.stop()
    with pytest.raises(StoreError, match=r"no checkpoint can be written to .*Input/output error") as error:
        house.line.run()
    assert error.value.lasting

    def write(_: int, __: StepResult) -> None:
        raise StoreError("disk I/O error", lasting=True)

    monkeypatch.setattr(house.store, "write", write)
    house.append(SCRIPT[10:11])
    with pytest.raises(StoreError, match="disk I/O error"):
        house.line.advance()


def test_a_stop_while_the_store_cannot_write_leaves_the_record_to_the_next_start(
    house: House, undisturbed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.line.recover(SPEC)
    house.take(SCRIPT[:20])

    def write(_: int, __: StepResult) -> None:
        house.line.stop()
        raise StoreError("no room")

    monkeypatch.setattr(house.store, "write", write)
    house.append(SCRIPT[20:])
    with pytest.raises(StoreError):
        house.line.advance()
    house.restart()
    assert same(house.told(), undisturbed)


def test_the_thread_works_checkpoints_notes_and_finishes(house: House, undisturbed: Any) -> None:
    """Woken by what comes; the checkpoint at its end leaves nothing to replay."""
    house.line._checkpoint_s = 0.01
    house.line.recover(SPEC)
    replies: list[tuple[str, bool, str]] = []
    written: list[StepResult] = []
    house.line.on_reply = lambda name, done, text: replies.append((name, done, text))
    house.line.on_written = written.append
    thread = threading.Thread(target=house.line.run)
    thread.start()
    for entry in SCRIPT[:-3]:
        house.append([entry])
        house.line.wake()
    until(lambda: house.line.position == len(SCRIPT) - 3)
    house.append(SCRIPT[-3:])  # comes in while it is told to stop
    house.line.stop()
    thread.join(30)
    assert same(house.told(), undisturbed)
    assert len(written) == len(SCRIPT)
    assert replies == [("c1", True, f"{undisturbed[1][1].incident_id} acknowledged")]
    assert checkpoint.position_of(checkpoint.saved(house.folder)[0]) == len(SCRIPT)
    assert house.store.facts()["books"].startswith('{"outcomes":{"in_row":')
    assert house.line.books["streams"] == 2
    with capture_logs() as logs:
        house.restart()
    assert logs[-1]["replayed"] == 0
    assert same(house.told(), undisturbed)


def test_a_checkpoint_that_cannot_be_saved_stops_nothing(
    house: House, undisturbed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk: said once, nothing is forgotten, and a restart replays it all."""

    def save(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "save", save)
    house.line._checkpoint_s = 0.001
    house.line.recover(SPEC)
    thread = threading.Thread(target=house.line.run)
    with capture_logs() as logs:
        thread.start()
        for entry in SCRIPT:
            house.append([entry])
            house.line.wake()
        until(lambda: house.line.position == len(SCRIPT))
        house.line.stop()
        thread.join(30)
    assert [entry["event"] for entry in logs if entry["log_level"] == "error"] == ["checkpoint_failed"]
    assert house.journal.first() == 1
    assert same(house.told(), undisturbed)
    house.restart()
    assert same(house.told(), undisturbed)
