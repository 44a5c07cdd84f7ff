"""models.bootstrap: draws of whole runs."""

from __future__ import annotations

import numpy as np
import pytest

from models import bootstrap


def test_every_draw_has_as_many_runs_as_there_are() -> None:
    drawn = bootstrap.resamples(7)
    assert drawn.shape == (bootstrap.RESAMPLES, 7)
    assert set(drawn.sum(axis=1)) == {7.0}


def test_the_interval_of_a_mean_is_that_of_its_normal_approximation() -> None:
    """Of 400 runs with deviation 1, the mean's standard error is 1/20: ± 1.96 / 20."""
    values = np.random.default_rng(0).normal(size=400)
    values = (values - values.mean()) / values.std()
    low, high = bootstrap.interval(bootstrap.resamples(400) @ values / 400, 400)
    assert low == pytest.approx(-1.96 / 20, abs=0.015)
    assert high == pytest.approx(1.96 / 20, abs=0.015)


def test_few_runs_or_no_figure_have_no_interval() -> None:
    assert bootstrap.interval(np.array([1.0, 2.0]), 2) == (None, None)
    assert bootstrap.interval(np.array([np.nan, np.nan]), 5) == (None, None)


def test_draws_without_the_figure_do_not_count() -> None:
    assert bootstrap.interval(np.array([np.nan, 3.0, 3.0]), 3) == (3.0, 3.0)
