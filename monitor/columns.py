"""Named arrays as bytes and back: how batches lie in the store and state in a checkpoint. No pickle."""

from __future__ import annotations

from functools import cache
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

_DECODER = msgspec.msgpack.Decoder(dict[str, tuple[str, tuple[int, ...], memoryview]])
MAP, TRIPLE, BYTES = b"\xdf", b"\x93", b"\xc6"  # of MessagePack: a map and bytes with their lengths in four bytes
COPIED = 1_000  # values of a small array
_name = cache(attrgetter("str"))  # of a type: numpy makes it anew each time


def pack(arrays: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """The arrays as bytes: name, type, shape and contents of each."""
    return msgspec.msgpack.encode(
        {name: (_name(array.dtype), array.shape, _contents(array)) for name, array in arrays.items()}
    )


def _contents(array: npt.NDArray[Any]) -> bytes | memoryview:
    """A copy costs less than a view where there is little to copy."""
    return array.tobytes() if array.size < COPIED else np.ascontiguousarray(array).data


def texts(names: Sequence[str]) -> npt.NDArray[np.uint8]:
    """Texts as an array, to be packed with others."""
    return np.frombuffer(msgspec.json.encode(names), np.uint8)


def as_texts(array: npt.NDArray[np.uint8]) -> tuple[str, ...]:
    """The texts again."""
    return tuple(msgspec.json.decode(array.tobytes(), type=list[str]))


def pieces(arrays: Mapping[str, npt.NDArray[Any]]) -> list[bytes | memoryview]:
    """What `unpack` reads, in pieces: contents that are contiguous are not copied."""
    found: list[bytes | memoryview] = [MAP + len(arrays).to_bytes(4)]
    for name, array in arrays.items():
        contents = np.ascontiguousarray(array)
        kind, shape = map(msgspec.msgpack.encode, (array.dtype.str, array.shape))
        lead = msgspec.msgpack.encode(name) + TRIPLE + kind + shape
        found += [lead + lead_of_bytes(contents.nbytes), contents.data]
    return found


def lead_of_bytes(length: int) -> bytes:
    """What stands before so many bytes in MessagePack."""
    return BYTES + length.to_bytes(4)


def unpack(packed: bytes) -> dict[str, npt.NDArray[Any]]:
    """The arrays again, writable. Raises ValueError where the bytes are not what `pack` made."""
    return {name: array.copy() for name, array in views(packed).items()}


def views(packed: bytes | bytearray | memoryview) -> dict[str, npt.NDArray[Any]]:
    """The arrays where they lie, not to be written to. Raises ValueError as `unpack` does."""
    try:
        return {
            name: np.frombuffer(contents, np.dtype(kind)).reshape(shape)
            for name, (kind, shape, contents) in _DECODER.decode(packed).items()
        }
    except (msgspec.DecodeError, TypeError) as error:
        raise ValueError(f"not packed arrays: {error}") from error
