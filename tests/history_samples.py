"""What the tests of the history share: rows of an asset, and how close figures have to be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from monitor import history
from tests.store_samples import START

if TYPE_CHECKING:
    from monitor.history import Records


def rows(seed: int, count: int) -> Records:
    """Rows of two sensors over some four hours from START on, irregular, a fifth of all values missing."""
    random = np.random.default_rng(seed)
    made = np.empty(count, history.rows_type(2))
    made["time"] = START + 1000 * np.sort(random.choice(14_400, count, replace=False))
    made["status"] = random.integers(0, 10, count)
    for name in ("score", "threshold", "actual", "expected"):
        values = random.normal(100, 50, made[name].shape)
        made[name] = np.where(random.random(values.shape) < 0.2, np.nan, values)
    return made


def same(found: Any, expected: Any) -> None:
    """Arrays, also structured ones: the same to a millionth, NaN where there is NaN."""
    names = found.dtype.names
    if names is None:
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)
        return
    assert found.dtype == expected.dtype
    for name in names:
        same(found[name], expected[name])
