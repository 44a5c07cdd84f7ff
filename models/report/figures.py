"""The pictures that do not change while they are looked at, as plain figures of plotly.js.

A colour that begins with "@" is a name, for which the page puts a colour of its light or dark theme.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from models import ranking
from models.baselines.features import causal_means

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from models.evaluation import Detector
    from models.evidence import Evidence
    from models.results import Results

    Float64 = npt.NDArray[np.float64]

Figure = dict[str, Any]

CURVE_POINTS = 400  # of a ROC or PR curve
DOTS = 1_500  # of windows of each colour in the picture of principal components
BARS = 60
EVENT_ROWS = 24  # of the heatmap of contributions, where kinds are not known
CONTRIBUTION_SHOWN = 5.0  # more is not told apart
DIGITS = 4
SCORE_TICKS = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 1000, 10_000]
BESIDE = {"orientation": "v", "x": 1.02, "xanchor": "left", "y": 1, "yanchor": "top", "font": {"size": 11}}
# The curves that are drawn at first; the others are in the legend.
FIRST_CURVES = ("model", "t2", "random")
COLOURS = ("@model", "@second", "@third", "@fourth", "@fifth", "@sixth", "@seventh", "@eighth", "@ninth", "@muted")


def compared(results: Results) -> Figure:
    """The average precision of every detector with its interval."""
    shown = [
        each for each in results.detectors if each.role != "daemon" and each.average_precision.value is not None
    ]
    shown = sorted(shown, key=lambda each: each.average_precision.value or 0)
    values = [each.average_precision.value or 0.0 for each in shown]
    low = [value - _or(each.average_precision.low, value) for value, each in zip(values, shown, strict=True)]
    high = [_or(each.average_precision.high, value) - value for value, each in zip(values, shown, strict=True)]
    bars: Figure = {
        "type": "data",
        "symmetric": False,
        "array": high,
        "arrayminus": low,
        "thickness": 1.5,
        "width": 4,
    }
    return {
        "data": [
            {
                "type": "scatter",
                "mode": "markers",
                "x": _short(values),
                "y": [_name(each) for each in shown],
                "error_x": bars | {"color": "@muted"},
                "marker": {
                    "size": 11,
                    "color": ["@model" if each.role == "model" else "@second" for each in shown],
                },
                "hovertemplate": "%{y}: %{x:.3f}<extra></extra>",
            }
        ],
        "layout": {
            "height": 60 + 30 * len(shown),
            "margin": {"l": 190, "t": 10},
            "xaxis": {"title": "average precision (area under precision and recall)", "range": [0, 1.02]},
            "yaxis": {"showgrid": True},
        },
    }


def distributions(evidence: Evidence) -> Figure:
    """How scores of normal and of anomalous rows are distributed."""
    score = np.concatenate([run.score[run.truth.judged] for run in evidence.runs])
    anomalous = np.concatenate([run.truth.anomalous[run.truth.judged] for run in evidence.runs])
    there = ~np.isnan(score)
    score, anomalous = np.log10(np.maximum(score[there], 1e-3)), anomalous[there]
    edges = np.linspace(score.min(), max(score.max(), score.min() + 0.1), BARS + 1)
    middle = 10 ** ((edges[1:] + edges[:-1]) / 2)
    traces = []
    for name, which, colour in (("normal rows", ~anomalous, "@normal"), ("anomalous rows", anomalous, "@event")):
        if which.any():
            share = np.histogram(score[which], edges)[0] / which.sum()
            traces.append(
                {
                    "type": "scatter",
                    "mode": "lines",
                    "line": {"shape": "hvh", "width": 1.5, "color": colour},
                    "fill": "tozeroy",
                    "fillcolor": colour + "-soft",
                    "name": name,
                    "x": _short(middle),
                    "y": _short(100 * share),
                    "hovertemplate": "score %{x:.2f}: %{y:.1f} %<extra>" + name + "</extra>",
                }
            )
    return {
        "data": traces,
        "layout": {
            "xaxis": {"type": "log", "title": "score", "tickvals": SCORE_TICKS},
            "yaxis": {"title": "share of rows, %", "rangemode": "tozero"},
            "shapes": [_line(1.0)],
            "annotations": [_note(0.0, "1.0")],
        },
    }


def roc(results: Results, evidence: Evidence) -> Figure:
    """True against false alarm rate of every detector."""
    traces: list[Figure] = []
    for each, counts, colour in _ranked(results, evidence):
        x, y = _thinned(*ranking.roc_curve(counts))
        traces.append(_curve(each, x, y, colour, each.roc_auc.value))
    traces.append(
        {"x": [0, 1], "y": [0, 1], "mode": "lines", "line": {"dash": "dot", "color": "@muted", "width": 1}}
        | {"showlegend": False, "hoverinfo": "skip"}
    )
    return {
        "data": traces,
        "layout": {
            "legend": BESIDE,
            "xaxis": {"title": "false alarm rate", "range": [0, 1]},
            "yaxis": {"title": "detection rate", "range": [0, 1.02]},
        },
    }


def precision_recall(results: Results, evidence: Evidence) -> Figure:
    """Precision against recall of every detector."""
    traces = []
    for each, counts, colour in _ranked(results, evidence):
        x, y = _thinned(*ranking.pr_curve(counts))
        traces.append(_curve(each, x, y, colour, each.average_precision.value))
    return {
        "data": traces,
        "layout": {
            "legend": BESIDE,
            "xaxis": {"title": "recall", "range": [0, 1]},
            "yaxis": {"title": "precision", "range": [0, 1.02]},
        },
    }


def floors(results: Results) -> Figure:
    """What another floor of the threshold would find, and how often it would be wrong."""
    points = results.floors
    events = results.named("model").events.events
    x = [point.floor for point in points]
    traces = [
        {
            "x": x,
            "y": _short([point.false_per_day for point in points]),
            "name": "false alerts per asset-day",
            "mode": "lines+markers",
            "line": {"color": "@event", "width": 2},
            "hovertemplate": "floor %{x}: %{y:.2f} a day<extra></extra>",
        }
    ]
    if events:
        traces.append(
            {
                "x": x,
                "y": _short([100 * point.found / events for point in points]),
                "name": "events found",
                "mode": "lines+markers",
                "yaxis": "y2",
                "line": {"color": "@model", "width": 2},
                "text": [f"{point.found} of {events}" for point in points],
                "hovertemplate": "floor %{x}: %{text}<extra></extra>",
            }
        )
    ticks = {"tickvals": x, "ticktext": [f"{at:g}" for at in x]}
    share = {"title": "events found, %", "range": [0, 103], "dtick": 20, "showgrid": False}
    return {
        "data": traces,
        "layout": {
            "xaxis": {"type": "log", "title": "floor of the threshold", **ticks},
            "yaxis": {"title": "false alerts per asset-day", "rangemode": "tozero"},
            "yaxis2": {"overlaying": "y", "side": "right", **share},
            "shapes": [_line(1.0)],
            "annotations": [_note(0.0, "shipped")],
            "margin": {"r": 60},
        },
    }


def contributions(evidence: Evidence) -> Figure | None:
    """Which sensors gave events away: by kind of fault, or event by event where kinds are not known."""
    found = [
        (
            event.kind or f"{run.truth.name} @{event.start}",
            event.sensor,
            _largest(run.contribution, run.truth.tick, event),
        )
        for run in evidence.runs
        for event in run.truth.events
    ]
    if not found:
        return None
    kinds = list(dict.fromkeys(name for name, _, _ in found))
    if len(kinds) > EVENT_ROWS:
        kinds = kinds[:EVENT_ROWS]
    rows = np.array(
        [np.median([row for name, _, row in found if name == kind], axis=0) for kind in kinds]
    )  # (K, C)
    return {
        "data": [
            {
                "type": "heatmap",
                "z": [_short(row) for row in np.minimum(rows, CONTRIBUTION_SHOWN)],
                "x": list(evidence.sensors),
                "y": kinds,
                "zmin": 0,
                "zmax": CONTRIBUTION_SHOWN,
                "colorscale": "@heat",
                "xgap": 1,
                "ygap": 1,
                "colorbar": {"title": {"text": "score"}, "thickness": 12, "tickvals": [0, 1, 2, 3, 4, 5],
                             "ticktext": ["0", "1", "2", "3", "4", "≥ 5"]},
                "hovertemplate": "%{y}, %{x}: %{z:.2f}<extra></extra>",
            }
        ],
        "layout": {
            "height": max(190 + 24 * len(kinds), 300),
            "margin": {"l": 130, "b": 130},
            "xaxis": {"tickangle": -40, "showgrid": False},
            "yaxis": {"autorange": "reversed", "type": "category", "showgrid": False},
        },
    }  # fmt: skip


def components(evidence: Evidence) -> Figure | None:
    """Windows by the two directions in which normal ones vary most."""
    rows, anomalous = [], []
    for run in evidence.runs:
        there = np.flatnonzero(run.truth.judged & ~np.isnan(run.score))
        scaled = (run.actual - evidence.center) / evidence.scale  # (N, C)
        padded = np.concatenate([np.full((19, scaled.shape[1]), np.nan, np.float32), scaled])
        windows = np.lib.stride_tricks.sliding_window_view(padded, 20, axis=0).transpose(0, 2, 1)  # (N, 20, C)
        step = max(1, len(there) * len(evidence.runs) // (8 * DOTS))
        rows.append(causal_means(windows[there[::step]]))
        anomalous.append(run.truth.anomalous[there[::step]])
    points, bad = np.concatenate(rows), np.concatenate(anomalous)
    if (~bad).sum() < 2 or points.shape[1] < 2:  # noqa: PLR2004 - a plane needs two
        return None
    mean = points[~bad].mean(axis=0)
    _, strength, axes = np.linalg.svd(points[~bad] - mean, full_matrices=False)
    share = 100 * strength**2 / max(float((strength**2).sum()), 1e-12)
    place = (points - mean) @ axes[:2].T  # (M, 2)
    random = np.random.default_rng(0)
    traces = []
    for name, which, colour in (("normal", ~bad, "@normal"), ("anomalous", bad, "@event")):
        dots = np.flatnonzero(which)
        dots = random.choice(dots, min(len(dots), DOTS), replace=False)
        traces.append(
            {
                "type": "scattergl",
                "mode": "markers",
                "name": name,
                "x": _short(place[dots, 0]),
                "y": _short(place[dots, 1]),
                "marker": {"size": 4, "color": colour, "opacity": 0.55},
                "hoverinfo": "skip",
            }
        )
    limits = [_limits(place[~bad, axis]) for axis in (0, 1)]
    return {
        "data": traces,
        "layout": {
            "xaxis": {"title": f"first component ({share[0]:.0f} % of normal variance)", "range": limits[0]},
            "yaxis": {"title": f"second ({share[1]:.0f} %)", "range": limits[1]},
        },
    }


def learning(evidence: Evidence) -> Figure | None:
    """How the training went."""
    training = evidence.training
    if training is None or not training.fit:
        return None
    epochs = list(range(1, len(training.fit) + 1))
    lines = [("fitted", training.fit, "@second"), ("held out", training.stop, "@model")]
    return {
        "data": [
            {
                "x": epochs,
                "y": _short(values),
                "name": name,
                "mode": "lines",
                "line": {"color": colour, "width": 2},
            }
            for name, values, colour in lines
        ],
        "layout": {
            "xaxis": {"title": "epoch"},
            "yaxis": {"title": "mean error, scaled units", "type": "log"},
            "shapes": [_line(training.best)],
            "annotations": [_note(training.best, "kept")],
        },
    }


def _ranked(results: Results, evidence: Evidence) -> list[tuple[Detector, ranking.Counts, str]]:
    """Detectors with a curve, the best first, each with a colour."""
    shown = [each for each in results.detectors if each.role != "daemon" and each.name in evidence.ranked]
    shown = sorted(shown, key=lambda each: (each.role != "model", -(each.average_precision.value or 0)))
    return [(each, evidence.ranked[each.name], COLOURS[min(n, 9)]) for n, each in enumerate(shown)]


def _curve(found: Detector, x: Float64, y: Float64, colour: str, area: float | None) -> Figure:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": f"{_name(found)} {area:.3f}",
        "x": _short(x),
        "y": _short(y),
        "line": {"color": colour, "width": 3 if found.role == "model" else 1.5},
        "visible": True if found.name in FIRST_CURVES else "legendonly",
        "hovertemplate": "%{x:.3f}, %{y:.3f}<extra>" + _name(found) + "</extra>",
    }


def _name(found: Detector) -> str:
    return "Enginewatch's model" if found.role == "model" else found.label


def _thinned(x: Float64, y: Float64) -> tuple[Float64, Float64]:
    """Evenly along the x axis, because most points of a curve lie in one corner."""
    if len(x) <= CURVE_POINTS:
        return x, y
    kept = np.unique(np.searchsorted(x, np.linspace(x[0], x[-1], CURVE_POINTS)))
    kept = kept[kept < len(x)]
    return x[kept], y[kept]


def _largest(contribution: Any, tick: Any, event: Any) -> Float64:
    """The largest contribution (C,) of each sensor during an event."""
    there = (tick >= event.start) & (tick <= event.end)
    part = np.nan_to_num(contribution[there], nan=0.0)
    largest: Float64 = part.max(axis=0, initial=0.0)
    return largest


def _limits(values: Float64) -> list[float]:
    """What shows normal windows and what is near them."""
    low, high = np.quantile(values, [0.002, 0.998])
    margin = 0.6 * max(float(high - low), 1e-6)
    return [float(low - margin), float(high + margin)]


def _line(x: float) -> Figure:
    return {
        "type": "line", "x0": x, "x1": x, "yref": "paper", "y0": 0, "y1": 1,
        "line": {"dash": "dash", "width": 1, "color": "@muted"},
    }  # fmt: skip


def _note(x: float, text: str) -> Figure:
    return {
        "x": x, "y": 1, "yref": "paper", "yanchor": "bottom", "text": text, "showarrow": False,
        "font": {"size": 11, "color": "@muted"},
    }  # fmt: skip


def _or(value: float | None, other: float) -> float:
    return other if value is None else value


def _short(values: Sequence[float] | npt.NDArray[Any]) -> list[float | None]:
    """Numbers with as many digits as can be seen; NaN has none."""
    return [
        None if math.isnan(value) else float(f"{value:.{DIGITS}g}") for value in np.asarray(values, float).tolist()
    ]
