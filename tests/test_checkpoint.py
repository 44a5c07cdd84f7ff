"""Checkpoints: the state comes back to the bit, or the file is refused; there is always a whole one."""

from __future__ import annotations

import os
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from monitor import checkpoint, older_state
from monitor.checkpoint import MAGIC, CheckpointError, decode, encode
from monitor.records import Command
from monitor.state import FIRST_ROOM, STAGES
from tests.line_samples import START, Line, pump, shipped, telemetry

if TYPE_CHECKING:
    from pathlib import Path

    from monitor.state import LineState


def heard(streams: int = 3, seconds: int = 60) -> Line:
    """A line that has scored, with an anomaly in its last third, and has obeyed a command."""
    line = Line(shipped(), shipped("others", assets="never/*")).listen()
    for second in range(seconds):
        breach = 30.0 if second > seconds * 2 // 3 else 0.0
        load = 50.0 + second % 7
        messages = [
            telemetry(f"p{n}", second * 1000, pump(load, breach=breach * (n == 0))) for n in range(streams)
        ]
        line.send(second * 1000 + 100, *messages)
    line.take(seconds * 1000, Command("c1", "acknowledge", START, asset="plant//p0"))
    return line


def same_state(one: LineState, other: LineState) -> bool:
    """Whether everything that streams use of two states is the same, NaN included."""

    def arrays(state: LineState) -> list[Any]:
        found: list[Any] = [state.outcomes, state.rows]
        for each in state.classes:
            parts = [getattr(each, stage) for stage in STAGES]
            found += [getattr(part, f.name)[: len(each.keys)] for part in parts for f in fields(part)]
        return found

    def words(state: LineState) -> list[Any]:
        names = [(each.spec, each.keys, each.number) for each in state.classes]
        return [state.spec, state.listening_since, state.swept_at, state.obeyed, names]

    same = [
        a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
        for a, b in zip(arrays(one), arrays(other), strict=True)
    ]
    return all(same) and words(one) == words(other)


@pytest.mark.parametrize("streams", [0, 1, FIRST_ROOM, FIRST_ROOM + 1, 3 * FIRST_ROOM])
def test_the_state_comes_back(streams: int) -> None:
    """With no stream, and with as many as make the arrays grow."""
    line = heard(streams, seconds=30)
    found = decode(encode(line.position, line.state))
    assert found.position == line.position
    assert same_state(found.state, line.state)


def test_the_line_goes_on_as_if_nothing_had_been() -> None:
    """Rows, incidents and books of what follows are those of a line that was never stopped."""
    line = heard()
    assert ("plant//p0", "anomaly", "fired") in line.told()
    again = Line()
    again.state, again.position = decode(encode(line.position, line.state)).state, line.position
    line.results.clear()
    for each in (line, again):
        for second in range(61, 140):
            each.send(second * 1000, *(telemetry(f"p{n}", second * 1000, pump(50)) for n in range(40)))
    assert again.told() == line.told() == [("plant//p0", "anomaly", "cleared")]
    assert again.events == line.events
    assert all(
        np.array_equal(again.rows(key), line.rows(key), equal_nan=True) for key in ("plant//p0", "plant//p39")
    )
    assert same_state(again.state, line.state)


def test_what_is_not_whole_is_refused() -> None:
    """One bit anywhere, or the end missing."""
    data = encode(5, heard(1, seconds=10).state)
    for place in (len(MAGIC), len(MAGIC) + 40, len(data) // 2, len(data) - 1):
        flipped = bytearray(data)
        flipped[place] ^= 1
        with pytest.raises(CheckpointError, match="checksum"):
            decode(bytes(flipped))
    for length in (len(MAGIC) + 10, len(data) // 2, len(data) - 1):
        with pytest.raises(CheckpointError, match="checksum"):
            decode(data[:length])


@pytest.mark.parametrize("data", [b"", b"enginewatch checkpoint 1\n", MAGIC[:-1]])
def test_another_format_is_refused(data: bytes) -> None:
    with pytest.raises(CheckpointError, match="not a checkpoint of this format"):
        decode(data)


def test_two_are_kept_the_newest_first(tmp_path: Path) -> None:
    """And nothing else in the folder is taken for one, or touched."""
    (tmp_path / "checkpoint-00000000000000000001.bak").write_text("somebody's own")
    state = heard(1, seconds=5).state
    for position in (9, 10, 200):
        checkpoint.save(tmp_path, position, state)
    assert [checkpoint.position_of(path) for path in checkpoint.saved(tmp_path)] == [200, 10]
    assert checkpoint.load(checkpoint.saved(tmp_path)[0]).position == 200
    assert len(list(tmp_path.iterdir())) == 3


def test_saving_that_fails_leaves_the_earlier_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Power that fails, or a disk without room, between writing and renaming; the next one goes through."""
    state = heard(1, seconds=5).state
    checkpoint.save(tmp_path, 1, state)

    def no_room(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", no_room)
        with pytest.raises(OSError, match="No space"):
            checkpoint.save(tmp_path, 2, state)
    assert [path.name for path in checkpoint.saved(tmp_path)] == [f"checkpoint-{1:020d}"]
    assert same_state(checkpoint.load(checkpoint.saved(tmp_path)[0]).state, state)
    checkpoint.save(tmp_path, 3, state)
    assert len(checkpoint.saved(tmp_path)) == 2


def test_a_file_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    """Damaged, gone, or of a state with other fields."""
    path = tmp_path / f"checkpoint-{7:020d}"
    with pytest.raises(CheckpointError, match=f"{path.name}.*No such file"):
        checkpoint.load(path)
    path.write_bytes(b"nonsense")
    with pytest.raises(CheckpointError, match=f"{path.name}: not a checkpoint"):
        checkpoint.load(path)


def test_a_state_with_other_fields_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a release with another state wrote is no reason to crash."""
    path = tmp_path / f"checkpoint-{7:020d}"
    line = heard(1, seconds=5)
    with monkeypatch.context() as patched:
        patched.setattr(checkpoint, "STAGES", [stage for stage in STAGES if stage != "alert"])
        path.write_bytes(encode(7, line.state))
    with pytest.raises(CheckpointError, match=r"0\.alert\."):
        checkpoint.load(path)


@pytest.mark.parametrize("later", sorted(older_state.LATER))
def test_a_checkpoint_of_a_release_without_a_stage_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, later: str
) -> None:
    """What it does not hold begins anew, with room for its streams, however many; all else is as it was."""
    path = tmp_path / f"checkpoint-{7:020d}"
    line = heard(FIRST_ROOM + 2, seconds=5)
    with monkeypatch.context() as patched:
        patched.setattr(checkpoint, "STAGES", [stage for stage in STAGES if stage != later])
        path.write_bytes(encode(7, line.state))
    for each, before in zip(checkpoint.load(path).state.classes, line.state.classes, strict=True):
        room = getattr(each, later)
        assert {len(getattr(room, f.name)) for f in fields(room)} == {len(each.align.next_tick)}
        assert each.keys == before.keys
        for stage in set(STAGES) - {later}:
            kept, was = getattr(each, stage), getattr(before, stage)
            for f in fields(kept):
                rows = len(each.keys)
                np.testing.assert_array_equal(getattr(kept, f.name)[:rows], getattr(was, f.name)[:rows])
