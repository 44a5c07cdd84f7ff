"""Arrays as bytes: what comes back is what was packed, and can be written to."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from monitor.columns import pack, pieces, unpack, views

KINDS = (np.float32, np.float64, np.int32, np.int64, np.uint8, np.uint64, np.bool_)
ANY_ARRAY = st.sampled_from(KINDS).flatmap(
    lambda kind: arrays.arrays(kind, arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
)


@given(st.dictionaries(st.text(max_size=5), ANY_ARRAY, max_size=4))
def test_every_array_comes_back(given_arrays: dict[str, npt.NDArray[Any]]) -> None:
    """Type, shape and every bit, NaN included; also without a single element."""
    found = unpack(pack(given_arrays))
    assert list(found) == list(given_arrays)
    for name, array in given_arrays.items():
        assert found[name].dtype == array.dtype
        assert found[name].shape == array.shape
        assert found[name].tobytes() == array.tobytes()
        assert found[name].flags.writeable


@given(st.dictionaries(st.text(max_size=5), ANY_ARRAY, max_size=4))
def test_pieces_are_what_is_packed(given_arrays: dict[str, npt.NDArray[Any]]) -> None:
    found = unpack(b"".join(pieces(given_arrays)))
    assert list(found) == list(given_arrays)
    for name, array in given_arrays.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)
        assert found[name].tobytes() == array.tobytes()


def test_neither_pieces_nor_views_copy_what_is_contiguous() -> None:
    whole = np.arange(4)
    packed = bytearray(b"".join(given := pieces({"a": whole})))
    assert np.shares_memory(np.asarray(given[-1]), whole)
    seen = views(packed)["a"]
    packed[-8:] = bytes(8)
    assert seen.tolist() == [0, 1, 2, 0]


def test_a_view_is_packed_as_it_looks() -> None:
    seen = np.arange(12).reshape(3, 4)[:, ::2].T
    for packed in (pack({"a": seen}), b"".join(pieces({"a": seen}))):
        assert unpack(packed)["a"].tolist() == [[0, 4, 8], [2, 6, 10]]


@pytest.mark.parametrize("damaged", [b"", b"\x00", b"{}", pack({"a": np.arange(4)})[:-1]])
def test_other_bytes_are_refused(damaged: bytes) -> None:
    with pytest.raises(ValueError, match="not packed arrays"):
        unpack(damaged)


def test_a_shape_that_does_not_fit_is_refused() -> None:
    packed = pack({"a": np.arange(4, dtype=np.int8)})
    with pytest.raises(ValueError, match="reshape"):
        unpack(packed.replace(b"\x91\x04", b"\x91\x05"))
