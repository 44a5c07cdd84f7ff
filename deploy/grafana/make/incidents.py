"""The dashboard of incidents: what is open, what was, where they come from, and how many were false. Pure."""

from __future__ import annotations

from deploy.grafana.make.parts import (
    EVERY,
    OF_SITE,
    OPEN_SINCE,
    REAL,
    RED,
    YELLOW,
    Json,
    coloured,
    dashboard,
    having,
    incidents_of,
    lines,
    number,
    query,
    rounded,
    steps,
    table,
    to_asset,
    to_incident,
    variable,
    wide,
)

CHOSEN = " AND ".join([OF_SITE, *(f'"{name}" =~ /^${{{name}:regex}}$/' for name in ("asset", "kind", "severity"))])
EACH = '"site", "area", "asset", "kind", "sensor"'
FIRED = "\"transition\" = 'fired'"
SEVERITIES = {"critical": RED, "warning": YELLOW}


def incidents() -> Json:
    """Open and past."""
    return dashboard(
        "incidents",
        "incidents",
        [*_numbers(), _open(), *_by_kind(), _events()],
        about="What is open, what was, where do incidents come from, and how many were false?",
        variables=_variables(),
        annotations=incidents_of(CHOSEN),
        since="now-7d",
    )


def _variables() -> list[Json]:
    tags = 'SHOW TAG VALUES FROM "alert_event" WITH KEY = '
    return [
        variable("site", "Site", f'{tags}"site" WHERE {REAL}'),
        variable("asset", "Asset", f'{tags}"asset" WHERE {OF_SITE}'),
        variable("kind", "Kind", f'{tags}"kind" WHERE {REAL}'),
        variable("severity", "Severity", f'{tags}"severity" WHERE {REAL}'),
    ]


def _numbers() -> list[Json]:
    last = f'SELECT last("open") AS "open" FROM "alert_event" WHERE {OPEN_SINCE} AND {CHOSEN} GROUP BY {EACH}'

    def count(where: str) -> str:
        return f'SELECT count("started") FROM "alert_event" WHERE $timeFilter AND {CHOSEN} AND {where}'

    return [
        number(
            "Open now",
            f'SELECT sum("open") FROM ({last})',
            about="Fired and not cleared, whatever the chosen time.",
            noValue="0",
            thresholds=steps((1, RED)),
            width=6,
        ),
        number("Fired", count(FIRED), about="In the chosen time.", noValue="0", width=6),
        number(
            "Judged real",
            count("\"transition\" = 'verdict' AND \"summary\" = 'real'"),
            about="Verdicts of operators that were given in the chosen time. Where one was changed, each counts.",
            noValue="0",
            width=6,
        ),
        number(
            "Judged false",
            count("\"transition\" = 'verdict' AND \"summary\" = 'false'"),
            about="Verdicts of operators that were given in the chosen time: false alarms. Where one was changed, "
            "each counts.",
            noValue="0",
            width=6,
        ),
    ]


def _open() -> Json:
    columns = 'last("open") AS "open", "summary", "top_sensors", "score", "threshold", "incident_id"'
    return table(
        "Open incidents",
        f'SELECT {columns} FROM "alert_event" WHERE {OPEN_SINCE} AND {CHOSEN} GROUP BY {EACH}',
        about="What is wrong, since when, and which sensors say so? Whatever the chosen time. Click an asset.",
        by="Time",
        only=having("open", "1"),
        hidden=("open",),
        overrides=[
            to_asset("asset"),
            to_incident("incident_id"),
            wide("summary", 450),
            rounded("score"),
            rounded("threshold"),
        ],
    )


def _by_kind() -> list[Json]:
    fired = f'SELECT count("started") AS "incidents" FROM "alert_event" WHERE $timeFilter AND {CHOSEN} AND {FIRED}'
    return [
        lines(
            "Fired, by kind",
            [query(f'{fired} {EVERY}, "kind" fill(none)', alias="$tag_kind")],
            about="When, and of which kind?",
            custom={"drawStyle": "bars", "fillOpacity": 80, "stacking": {"mode": "normal", "group": "A"}},
            decimals=0,
        ),
        table(
            "Assets with most incidents",
            f'{fired} GROUP BY "site", "area", "asset", "kind"',
            about="Where do they come from? Click an asset.",
            size=(12, 8),
            by="incidents",
            hidden=("Time", "time"),
            overrides=[to_asset("asset")],
        ),
    ]


def _events() -> Json:
    columns = (
        '"site", "area", "asset", "kind", "sensor", "severity", "transition", '
        '"summary", "top_sensors", "score", "threshold", "incident_id"'
    )
    return table(
        "What happened",
        f'SELECT {columns} FROM "alert_event" WHERE $timeFilter AND {CHOSEN} ORDER BY time DESC LIMIT 500',
        about="Every transition in the chosen time, newest first, at most 500.",
        size=(24, 12),
        by="Time",
        overrides=[
            to_asset("asset"),
            to_incident("incident_id"),
            coloured("severity", SEVERITIES),
            wide("summary", 450),
            rounded("score"),
            rounded("threshold"),
        ],
    )
