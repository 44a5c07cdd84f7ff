"""models.ranking: areas, curves and the best threshold, against answers worked by hand and scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from models import ranking

rows = st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=2, max_size=60).filter(
    lambda given: 0 < sum(truth for _, truth in given) < len(given)
)


def arrays(given_rows: list[tuple[int, bool]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([score for score, _ in given_rows], float), np.array([truth for _, truth in given_rows], bool)


def test_areas_worked_by_hand() -> None:
    """Scores 4 (anomalous), 3 (normal), 2 (anomalous), 1 (normal).

    ROC-AUC: of the four pairs, (4,3), (4,1) and (2,1) are in order: 3/4. Average precision: the first anomalous
    row comes at precision 1/1, the second at 2/3; (1 + 2/3) / 2 = 5/6. The best F1 is at 2, where both are told
    with one false alarm: 2 x 2 / (3 + 2) = 0.8.
    """
    found = ranking.counts(np.array([4.0, 3, 2, 1]), np.array([True, False, True, False]))
    assert float(ranking.roc_auc(found)) == pytest.approx(3 / 4)
    assert float(ranking.average_precision(found)) == pytest.approx(5 / 6)
    assert ranking.best(found) == ranking.Best(2.0, 0.8)


@given(rows)
@settings(deadline=None)
def test_areas_are_those_of_scikit_learn_ties_included(given_rows: list[tuple[int, bool]]) -> None:
    score, truth = arrays(given_rows)
    found = ranking.counts(score, truth)
    assert float(ranking.roc_auc(found)) == pytest.approx(metrics.roc_auc_score(truth, score))
    assert float(ranking.average_precision(found)) == pytest.approx(metrics.average_precision_score(truth, score))


@given(rows)
@settings(deadline=None)
def test_curves_are_those_of_scikit_learn(given_rows: list[tuple[int, bool]]) -> None:
    score, truth = arrays(given_rows)
    found = ranking.counts(score, truth)
    false, true, _ = metrics.roc_curve(truth, score, drop_intermediate=False)
    np.testing.assert_allclose(ranking.roc_curve(found), (false, true))
    precision, recall, _ = metrics.precision_recall_curve(truth, score)
    np.testing.assert_allclose(ranking.pr_curve(found), (recall[-2::-1], precision[-2::-1]))


@given(rows)
@settings(deadline=None)
def test_no_threshold_has_a_higher_f1_than_the_best(given_rows: list[tuple[int, bool]]) -> None:
    score, truth = arrays(given_rows)
    best = ranking.best(ranking.counts(score, truth))
    every = {at: metrics.f1_score(truth, score >= at) for at in np.unique(score)}
    assert best.f1 == pytest.approx(max(every.values()))
    assert every[best.threshold] == pytest.approx(best.f1)


def test_runs_taken_together_have_the_areas_of_all_their_rows() -> None:
    """Fewer scores than bins: each has a bin of its own, so that adding the runs' counts loses nothing."""
    random = np.random.default_rng(0)
    truth = [random.random(200) < 0.3 for _ in range(3)]
    score = [random.normal(each.astype(float)) for each in truth]
    parts = ranking.binned(score, truth)
    whole = ranking.counts(np.concatenate(score), np.concatenate(truth))
    one_each = ranking.Counts(parts.score, parts.anomalous.sum(axis=0), parts.normal.sum(axis=0))
    assert float(ranking.roc_auc(one_each)) == pytest.approx(float(ranking.roc_auc(whole)), abs=1e-3)
    assert float(ranking.average_precision(one_each)) == pytest.approx(
        float(ranking.average_precision(whole)), abs=2e-3
    )
    assert parts.anomalous.sum(axis=1).tolist() == [int(each.sum()) for each in truth]


def test_one_score_for_everything_is_chance() -> None:
    truth = np.array([True, False, False, False])
    for found in (ranking.counts(np.ones(4), truth), ranking.binned([np.ones(4)], [truth])):
        assert float(np.squeeze(ranking.roc_auc(found))) == 0.5
        assert float(np.squeeze(ranking.average_precision(found))) == 0.25


def test_areas_of_one_kind_of_row_are_not_made_up() -> None:
    found = ranking.counts(np.array([1.0, 2.0]), np.array([False, False]))
    assert np.isnan(ranking.roc_auc(found))
    assert np.isnan(ranking.average_precision(found))
