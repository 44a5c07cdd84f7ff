"""The report as one HTML file that needs no network: plotly.js is put in out of plotly's own package."""

from __future__ import annotations

import json
from html import escape
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

from plotly.offline import get_plotlyjs

from models.report import figures, runs
from models.report.table import detectors, kinds, regimes, tiles
from models.summary import verdict

if TYPE_CHECKING:
    from models.evidence import Evidence
    from models.results import Results

HERE = Path(__file__).parent


def html(results: Results, evidence: Evidence) -> str:
    """The whole page."""
    pictures = {
        "compared": figures.compared(results),
        "floors": figures.floors(results),
        "distributions": figures.distributions(evidence),
        "roc": figures.roc(results, evidence),
        "pr": figures.precision_recall(results, evidence),
        "contributions": figures.contributions(evidence),
        "components": figures.components(evidence),
        "learning": figures.learning(evidence),
    }
    shown = {name: figure for name, figure in pictures.items() if figure is not None}
    data = {
        "figures": shown,
        "runs": runs.runs(evidence),
        "events": runs.events(evidence),
        "sensors": evidence.sensors,
        "period": evidence.period_ms,
        "timed": evidence.timed,
        "allRuns": len(evidence.runs),
    }
    facts = results.data
    return Template(_read("page.html")).substitute(
        title=escape(f"{results.model.name}: evaluation"),
        model=escape(results.model.name),
        hash=escape(results.model.hash[:12]),
        data=escape(", ".join(facts.files)),
        created=escape(results.created[:16].replace("T", " ")),
        verdict=escape(verdict(results.named("daemon"))),
        warnings="".join(f"<li>{escape(sentence)}</li>" for sentence in results.warnings),
        tiles=tiles(results),
        detectors=detectors(results),
        kinds=kinds(results),
        regimes=regimes(results),
        facts=_facts(results),
        style=_read("page.css"),
        hidden=" ".join(f"no-{name}" for name in _missing(results, evidence, shown)),
        plotly=get_plotlyjs(),
        figures=_json(data),
        script=_read("page.js"),
    )


def _missing(results: Results, evidence: Evidence, shown: dict[str, Any]) -> list[str]:
    """The parts of the page for which there is nothing to show."""
    parts = {
        "contributions": "contributions" in shown,
        "components": "components" in shown,
        "learning": "learning" in shown,
        "warnings": bool(results.warnings),
        "events": any(run.truth.events for run in evidence.runs),
        "kinds": len(results.named("daemon").events.by_kind) > 1,
        "regimes": len(results.regimes) > 1,
        "ranking": bool(evidence.ranked),
    }
    return [name for name, there in parts.items() if not there]


def _facts(results: Results) -> str:
    """What was judged, with what, as rows of a table."""
    data, model = results.data, results.model
    rows = {
        "model": f"{model.name}, {model.hash}, made {model.created[:16].replace('T', ' ')}",
        "trained on": f"{model.trained_rows} rows of {model.trained_assets} assets",
        "window": f"{model.window} ticks of {model.period_ms} ms, {len(model.sensors)} sensors",
        "data": f"{', '.join(data.files)}, SHA-256 {data.sha256}",
        "labels": f"{data.label}; {data.anomalous_rows} of {data.judged_rows} judged rows are anomalous",
        "rows": f"{data.scored_rows} scored by the model, {data.ranked_rows} by every detector: these rank",
        "baselines": data.normal,
        "settings": ", ".join(f"{key} = {value}" for key, value in results.settings.items()) or "those that ship",
        "enginewatch": results.enginewatch,
    }
    return "".join(f"<tr><th>{escape(key)}</th><td>{escape(value)}</td></tr>" for key, value in rows.items())


def _json(data: dict[str, Any]) -> str:
    """JSON that can stand in a script element."""
    return json.dumps(data, separators=(",", ":"), allow_nan=False).replace("</", "<\\/")


def _read(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")
