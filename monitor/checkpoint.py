"""The state of the line in a file, with the journal position it stands at.

A file is a header, a checksum and the packed arrays. It is written beside its predecessor, synced and renamed, so
that there is always a whole one; two are kept.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import msgspec

from monitor import older_state
from monitor.columns import lead_of_bytes, pieces, views
from monitor.durable import sync
from monitor.maintenance import Plan  # noqa: TC001 - msgspec reads the annotations
from monitor.payloads.sparkplug_memory import EdgeNode  # noqa: TC001 - msgspec reads the annotations
from monitor.spec import LineSpec  # noqa: TC001 - msgspec reads the annotations
from monitor.state import STAGES, ClassState, LineState, joined

if TYPE_CHECKING:
    from pathlib import Path

FORMAT = 2
OPENING = b"enginewatch checkpoint "
MAGIC = OPENING + b"%d\n" % FORMAT
KEPT = 2
PAIR = b"\x92"  # of MessagePack: header and arrays


class CheckpointError(ValueError):
    """A checkpoint that cannot be used."""


class _Header(msgspec.Struct):
    position: int
    spec: LineSpec
    streams: list[list[str]]  # a class: its stream keys by number
    listening_since: int | None
    swept_at: int
    obeyed: list[str]
    plans: dict[str, Plan] = {}
    edge_nodes: dict[str, EdgeNode] = {}


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A state, and the position of the last record that is in it."""

    position: int
    state: LineState


def encode(position: int, state: LineState) -> bytes:
    """A checkpoint as bytes. Only what streams have used of the arrays is kept."""
    return b"".join(_pieces(position, state))


def _pieces(position: int, state: LineState) -> list[bytes | memoryview]:
    """A checkpoint in pieces, of which the arrays are the state's own: they are as large as all the rest."""
    streams = [each.keys for each in state.classes]
    moments = state.listening_since, state.swept_at
    header = _Header(position, state.spec, streams, *moments, state.obeyed, state.plans, state.edge_nodes)
    arrays: dict[str, Any] = {"outcomes": state.outcomes, "rows": state.rows}
    for index, each in enumerate(state.classes):
        for stage in STAGES:
            part = getattr(each, stage)
            for f in fields(part):
                arrays[f"{index}.{stage}.{f.name}"] = getattr(part, f.name)[: len(each.keys)]
    packed = pieces(arrays)
    length = sum(memoryview(piece).nbytes for piece in packed)
    body = [PAIR + msgspec.msgpack.encode(header) + lead_of_bytes(length), *packed]
    digest = hashlib.sha256()
    for piece in body:
        digest.update(piece)
    return [MAGIC, digest.digest(), *body]


def decode(data: bytes) -> Checkpoint:
    """A checkpoint again. Raises CheckpointError where the bytes are not whole, or of another format."""
    if not data.startswith(MAGIC):
        raise CheckpointError("not a checkpoint of this format")
    body = memoryview(data)[len(MAGIC) + 32 :]
    if hashlib.sha256(body).digest() != data[len(MAGIC) : len(MAGIC) + 32]:
        raise CheckpointError("damaged: its checksum does not fit")
    header, packed = msgspec.msgpack.decode(body, type=tuple[_Header, memoryview])
    arrays = views(packed)  # what is kept of them is copied below
    state = LineState.empty(header.spec)
    state.outcomes = older_state.counts(arrays["outcomes"], len(state.outcomes))
    state.rows = older_state.counts(arrays["rows"], len(state.rows))
    state.listening_since, state.swept_at = header.listening_since, header.swept_at
    state.obeyed, state.plans, state.edge_nodes = header.obeyed, header.plans, header.edge_nodes
    for index, (each, keys) in enumerate(zip(state.classes, header.streams, strict=True)):
        _restore(each, index, keys, arrays)
    return Checkpoint(header.position, state)


def _restore(each: ClassState, index: int, keys: list[str], arrays: dict[str, Any]) -> None:
    """Put the streams of a class before the empty room that it has."""
    for stage in STAGES:
        room = getattr(each, stage)
        room_of = {f.name: getattr(room, f.name) for f in fields(room)}
        kept = type(room)(
            *(older_state.column(arrays, index, stage, name, room_of[name], len(keys)) for name in room_of)
        )
        setattr(each, stage, joined(type(room), [kept, room]))
    each.keys = keys
    each.number = {key: number for number, key in enumerate(keys)}


def save(folder: Path, position: int, state: LineState) -> None:
    """Write a checkpoint that survives a power cut, and delete all but the last ones."""
    path = folder / f"checkpoint-{position:020d}"
    temporary = folder / "checkpoint.new"
    with temporary.open("wb") as file:
        file.writelines(_pieces(position, state))
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync(folder)
    for old in saved(folder)[KEPT:]:
        old.unlink()


def saved(folder: Path) -> list[Path]:
    """The checkpoints in a folder, newest first."""
    return sorted(folder.glob("checkpoint-" + "[0-9]" * 20), reverse=True)


def position_of(path: Path) -> int:
    """The journal position that a checkpoint's name gives."""
    return int(path.name.removeprefix("checkpoint-"))


def format_of(path: Path) -> int:
    """The format that a checkpoint says it has; 0 where it says none."""
    try:
        with path.open("rb") as file:
            first = file.readline(len(MAGIC) + 10)
    except OSError:
        return 0
    said = first.removeprefix(OPENING).strip()
    return int(said) if first.startswith(OPENING) and said.isdigit() else 0


def load(path: Path) -> Checkpoint:
    """Read a checkpoint. Raises CheckpointError."""
    try:
        return decode(path.read_bytes())
    except (KeyError, OSError, TypeError, ValueError, msgspec.DecodeError) as error:
        raise CheckpointError(f"{path}: {error}") from error
