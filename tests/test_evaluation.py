"""models.evaluation: the figures of made-up detectors on runs small enough to count."""

from __future__ import annotations

import numpy as np
import pytest

from models.evaluation import Figure, Said, Setting, Truth, against, common_ticks, judge, looks_inverted
from models.events import Event, Incident

REACH = 5
NONE = np.zeros(100, bool)


def known(figure: Figure | None) -> tuple[float, float, float]:
    """The lower end, the figure and the upper end, none of which is missing."""
    assert figure is not None
    assert figure.low is not None
    assert figure.value is not None
    assert figure.high is not None
    return figure.low, figure.value, figure.high


def truth(name: str = "a", *, start: int = 60, end: int = 79, unjudged: int = 20) -> Truth:
    """100 ticks, the first ones not judged, with one event."""
    tick = np.arange(100)
    anomalous = (tick >= start) & (tick <= end)
    return Truth(name, tick, anomalous, tick >= unjudged, (Event(start, end, "stuck", "map"),))


def said(score: np.ndarray, *incidents: Incident, alarm: np.ndarray | None = None) -> Said:
    return Said(score.astype(np.float32), score > 1 if alarm is None else alarm, incidents)


def setting(truths: list[Truth], everyone: list[list[Said]]) -> Setting:
    return Setting(tuple(truths), 1000, REACH, common_ticks(truths, everyone))


def test_figures_counted_by_hand() -> None:
    """80 judged ticks, 20 anomalous: 10 hits, 10 misses, 6 false of 60. 80 s are 1/45 h; one false incident."""
    alarm = np.zeros(100, bool)
    alarm[70:80] = alarm[30:36] = alarm[0:10] = True  # the first ten are not judged
    one = said(np.where(alarm, 2.0, 0.5), Incident(72), Incident(31), Incident(3), alarm=alarm)
    found = judge("x", "X", "model", [one], setting([truth()], [[one]])).figures
    assert found.points.f1.value == pytest.approx(2 * 10 / (2 * 10 + 10 + 6))
    assert found.points.far.value == pytest.approx(6 / 60)
    assert found.points.mar.value == pytest.approx(10 / 20)
    assert (found.events.found, found.events.false, found.events.incidents) == (1, 1, 2)
    assert found.events.hours == pytest.approx(80 / 3600)
    assert found.events.false_per_hour.value == pytest.approx(45)
    assert found.events.false_per_asset_day.value == pytest.approx(45 * 24)
    assert found.events.delay_s_median == pytest.approx(12)
    assert found.events.f1.value == pytest.approx(2 / 3)
    assert found.events.by_kind["stuck"].found == 1
    assert found.points.f1.low is None, "one run leaves an interval unknown, not zero"


def test_an_open_incident_alarms_until_it_clears() -> None:
    one = said(np.zeros(100), Incident(60, 70), Incident(90))
    found = judge("x", "X", "model", [one], setting([truth()], [[one]])).figures
    assert found.points_in_incidents.mar.value == pytest.approx(10 / 20)
    assert found.points_in_incidents.far.value == pytest.approx(10 / 60)


def test_rows_that_some_detector_did_not_score_rank_nobody() -> None:
    """One misses the anomalous half of the event that the other ranks wrongly: both then rank perfectly."""
    good = np.where(truth().anomalous, 2.0, 0.5)
    blind = good.copy()
    blind[70:80] = np.nan
    bad = good.copy()
    bad[70:80] = 0.1
    both = [[said(blind)], [said(bad)]]
    shared = setting([truth()], both)
    for each in both:
        assert judge("x", "X", "model", each, shared).figures.roc_auc.value == 1.0
    assert judge("x", "X", "model", both[1], setting([truth()], both[1:])).figures.roc_auc.value != 1.0


def test_without_events_there_are_only_false_alarms() -> None:
    quiet = Truth("a", np.arange(100), NONE, ~NONE)
    one = said(np.linspace(0, 2, 100), Incident(80))
    found = judge("x", "X", "model", [one], setting([quiet], [[one]])).figures
    assert found.best is None
    for figure in (found.roc_auc, found.average_precision, found.vus_pr, found.points.f1, found.events.f1):
        assert figure == Figure(None)
    assert found.events.false == 1
    assert not looks_inverted(found)


def test_intervals_hold_the_figure_and_the_difference_is_drawn_in_pairs() -> None:
    """A detector that is a little worse in every run is worse beyond doubt, though both intervals overlap."""
    random = np.random.default_rng(1)
    truths = [truth(str(run)) for run in range(12)]
    noise = [random.normal(size=100) for _ in truths]
    good = [
        said(each.anomalous * size + n + 5)
        for each, n, size in zip(truths, noise, np.linspace(1, 3, 12), strict=True)
    ]
    worse = [Said(each.score - 0.4 * t.anomalous, each.alarm) for each, t in zip(good, truths, strict=True)]
    shared = setting(truths, [good, worse])
    model, other = (judge(name, name, "model", each, shared) for name, each in (("good", good), ("worse", worse)))
    for figure in (model.figures.average_precision, model.figures.roc_auc, model.figures.vus_pr):
        low, value, high = known(figure)
        assert low < value < high
    assert known(against(model, other, 12).ahead)[2] < 0
    assert known(other.figures.average_precision)[2] > known(model.figures.average_precision)[0]


def test_a_score_that_runs_against_the_label_is_told() -> None:
    upside_down = [said(np.where(truth().anomalous, 0.1, 2.0) + np.arange(100) / 1000) for _ in range(4)]
    truths = [truth(str(run)) for run in range(4)]
    found = judge("x", "X", "model", upside_down, setting(truths, [upside_down])).figures
    assert "anti-correlated" in looks_inverted(found)
    right = [said(np.where(each.anomalous, 2.0, 0.1) + np.arange(100) / 1000) for each in truths]
    assert looks_inverted(judge("x", "X", "model", right, setting(truths, [right])).figures) == ""
