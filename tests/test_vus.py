"""models.vus: the published definition, by cases worked by hand and by a literal transcription of its formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.vus import stretches, vus_pr


def literal(score: list[float], labels: list[bool], longest: int) -> float:
    """The formulas in the module's docstring, one tick and one threshold at a time."""
    ticks = len(score)
    areas = []
    falling = sorted(score, reverse=True)
    thresholds = [falling[int(place)] for place in np.linspace(0, ticks - 1, 250)]
    for buffer in range(longest + 1):
        soft = []
        for tick in range(ticks):
            value = float(labels[tick])
            for start, end in zip(*stretches(np.array(labels)), strict=True):
                distance = tick - end if tick > end else start - tick if tick < start else 0
                if 0 < distance <= buffer // 2:
                    value += math.sqrt(1 - distance / buffer)
            soft.append(min(value, 1.0))
        # A stretch with its soft edges; what touches is one.
        segments: list[list[int]] = []
        for start, end in zip(*stretches(np.array(labels)), strict=True):
            if segments and segments[-1][1] >= start - buffer // 2:
                segments[-1][1] = end + buffer // 2
            else:
                segments.append([start - buffer // 2, end + buffer // 2])
        recalls, precisions = [0.0], [1.0]
        for threshold in thresholds:
            alarm = [value >= threshold for value in score]
            true = sum(y for y, a in zip(soft, alarm, strict=True) if a)
            told = sum(any(alarm[max(a, 0) : b + 1]) for a, b in segments)
            recalls.append(min(true / ((sum(labels) + sum(soft)) / 2), 1) * told / len(segments))
            precisions.append(true / sum(alarm))
        areas.append(
            sum(
                (recalls[k + 1] - recalls[k]) * (precisions[k + 1] + precisions[k]) / 2
                for k in range(len(recalls) - 1)
            )
        )
    return sum(areas) / len(areas)


def test_a_perfect_score_without_a_buffer() -> None:
    """Recall goes from 0 to 1 at precision 1, and stays there."""
    assert vus_pr(np.array([0.0, 0, 9, 9, 0]), np.array([0, 0, 1, 1, 0], bool), 0) == 1.0


def test_a_false_alarm_before_the_true_one_without_a_buffer() -> None:
    """Scores 3, 2, 1 at ticks normal, anomalous, normal.

    At 3: recall 0, precision 0. At 2: recall 1, precision 1/2. At 1 recall stays. Trapezoids: 0 for the first
    step, then 1 x (0 + 1/2) / 2 = 1/4.
    """
    assert vus_pr(np.array([3.0, 2, 1]), np.array([0, 1, 0], bool), 0) == pytest.approx(1 / 4)


def test_a_buffer_forgives_an_alarm_beside_the_anomaly() -> None:
    """Buffers 0 and 1 reach no further tick; with 2 the neighbours have the label sqrt(1 - 1/2) = 0.7071.

    Scores 3, 2, 1 as above, normal, anomalous, normal; sum of labels 1, of soft labels 1 + 2 x 0.7071 = 2.4142,
    so that recall is divided by 1.7071. At 3: true 0.7071, recall 0.4142, precision 0.7071. At 2: true 1.7071,
    recall 1, precision 0.8536. At 1 recall stays at its bound. The area is 0.4142 (1 + 0.7071) / 2 +
    0.5858 (0.7071 + 0.8536) / 2.
    """
    with_two = 0.41421 * (1 + 0.70711) / 2 + 0.58579 * (0.70711 + 0.85355) / 2
    assert vus_pr(np.array([3.0, 2, 1]), np.array([0, 1, 0], bool), 2) == pytest.approx(
        (0.25 + 0.25 + with_two) / 3, abs=1e-4
    )


def test_a_stretch_that_is_never_told_halves_recall() -> None:
    """Two stretches, one alarm threshold between them: recall is 1/2 x 1/2 at first, then 1.

    Scores 9, 0, 5 at anomalous, normal, anomalous. At 9: true 1 of 2, one of two stretches told: recall 1/4,
    precision 1. At 5: recall 1, precision 1. So the area is 1.
    """
    assert vus_pr(np.array([9.0, 0, 5]), np.array([1, 0, 1], bool), 0) == pytest.approx(1.0)


def test_without_an_anomaly_there_is_none() -> None:
    assert math.isnan(vus_pr(np.array([1.0, 2.0]), np.array([False, False]), 2))


@given(
    st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=25).filter(
        lambda rows: any(truth for _, truth in rows)
    ),
    st.integers(0, 7),
)
@settings(deadline=None, max_examples=40)
def test_it_is_the_literal_formula(rows: list[tuple[int, bool]], longest: int) -> None:
    score, labels = [float(value) for value, _ in rows], [truth for _, truth in rows]
    assert vus_pr(np.array(score), np.array(labels), longest) == pytest.approx(literal(score, labels, longest))
