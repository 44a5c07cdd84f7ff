"""The dashboard of one asset: what is wrong with it, since when, and which sensor says so. Pure."""

from __future__ import annotations

from deploy.grafana.make.parts import (
    EVERY,
    GREEN,
    GREY,
    OF_SITE,
    RED,
    THIS_ASSET,
    YELLOW,
    Json,
    bands,
    dashboard,
    incidents_of,
    lines,
    number,
    one_of,
    query,
    renamed,
    rounded,
    sites,
    steps,
    table,
    variable,
    wide,
)

SCORED = f'{THIS_ASSET} AND "model" =~ /^${{model:regex}}$/'
STATUSES = {
    "scored": GREEN,
    "relearning": "blue",
    "regime": GREY,
    "blanked": GREY,
    "warming_up": YELLOW,
    "gap": YELLOW,
    "commissioning": YELLOW,
    "learning": YELLOW,
    "too_few_sensors": RED,
    "no_model": RED,
}


def asset() -> Json:
    """Everything of one asset."""
    return dashboard(
        "asset",
        "asset",
        [*_numbers(), *_scores(), *_sensors(), _events()],
        about="What is wrong with this asset, since when, and which sensor says so?",
        variables=_variables(),
        annotations=incidents_of(THIS_ASSET),
    )


def _variables() -> list[Json]:
    tags = 'SHOW TAG VALUES FROM "anomaly" WITH KEY = '
    return [
        sites(),
        variable("area", "Area", f'{tags}"area" WHERE {OF_SITE}', several=False),
        one_of("asset", "Asset", f'{tags}"asset" WHERE {OF_SITE}'),
        variable("model", "Model", f'{tags}"model" WHERE {OF_SITE}'),
        variable("sensor", "Sensor", 'SHOW FIELD KEYS FROM "anomaly"', pattern="/^contribution_(.+)$/"),
    ]


def _numbers() -> list[Json]:
    def latest(field: str) -> str:
        return f'SELECT last("{field}") FROM "anomaly" WHERE $timeFilter AND {SCORED}'

    return [
        number(
            "Status",
            latest("status"),
            about="Is it scored, or why not? The latest in the chosen time.",
            fields="/.*/",
        ),
        number("Regime", latest("regime"), about="What does the machine do?", fields="/.*/"),
        number(
            "Score",
            latest("score"),
            about="1.0 is the 99.9 % quantile of normal operation. The latest in the chosen time: an old one "
            "where the status is not scored.",
            decimals=2,
        ),
        number("Threshold", latest("threshold"), about="What the latest score was judged by.", decimals=2),
        number(
            "Margin",
            latest("margin"),
            about="Above 0 the latest score in the chosen time was over its threshold.",
            decimals=2,
            thresholds=steps((-0.25, YELLOW), (0, RED)),
        ),
        number(
            "Coverage",
            f'SELECT 1.0 * count("score") / count("status") FROM "anomaly" WHERE $timeFilter AND {SCORED}',
            about="The share of its rows in the chosen time that have a score. Silence makes no rows and counts "
            "for nothing here; the live page and `enginewatch coverage` have the share of the time.",
            unit="percentunit",
            decimals=1,
            thresholds=steps((0.5, YELLOW), (0.9, GREEN), base=RED),
        ),
    ]


def _scores() -> list[Json]:
    judged = 'SELECT max("score") AS "score", last("threshold") AS "threshold" FROM "anomaly"'
    over = {"matcher": {"id": "byName", "options": "threshold"}}
    red = [
        {"id": "color", "value": {"mode": "fixed", "fixedColor": RED}},
        {"id": "custom.lineStyle", "value": {"fill": "dash", "dash": [8, 8]}},
    ]
    words = 'SELECT last("status") AS "status", last("regime") AS "regime" FROM "anomaly"'
    return [
        lines(
            "Score and threshold",
            [query(f"{judged} WHERE $timeFilter AND {SCORED} {EVERY} fill(none)", alias="$col")],
            about="Since when is it out of its normal? The marks are its incidents.",
            size=(24, 9),
            min=0,
            overrides=[over | {"properties": red}],
        ),
        bands(
            "Status and regime",
            [query(f"{words} WHERE $timeFilter AND {SCORED} {EVERY} fill(none)", alias="$col")],
            about="When was it scored, when not, and why not; what did the machine do?",
            colours=STATUSES,
        ),
    ]


def _sensors() -> list[Json]:
    contributions = 'SELECT max(/^contribution_(${sensor:regex})$/) FROM "anomaly"'
    readings = 'SELECT mean(/^(${sensor:regex})$/) FROM "engine"'
    return [
        lines(
            "Contribution by sensor",
            [query(f"{contributions} WHERE $timeFilter AND {SCORED} {EVERY} fill(none)", alias="$col")],
            about="Which sensor says so? The score is the largest of these.",
            size=(24, 9),
            min=0,
            transformations=[renamed("^max_contribution_(.*)$", "$1")],
        ),
        lines(
            "Readings",
            [query(f"{readings} WHERE $timeFilter AND {THIS_ASSET} {EVERY} fill(none)", alias="$col")],
            about="What the sensors read, each in its own unit: choose one or a few above. "
            "Empty unless influx.write_readings is true.",
            size=(24, 9),
            transformations=[renamed("^mean_(.*)$", "$1")],
        ),
    ]


def _events() -> Json:
    columns = '"transition", "kind", "sensor", "severity", "summary", "top_sensors", "score", "threshold"'
    return table(
        "What happened",
        f'SELECT {columns} FROM "alert_event" WHERE $timeFilter AND {THIS_ASSET} ORDER BY time DESC LIMIT 200',
        about="Every transition of its incidents, newest first.",
        by="Time",
        overrides=[wide("summary", 500), rounded("score"), rounded("threshold")],
    )
