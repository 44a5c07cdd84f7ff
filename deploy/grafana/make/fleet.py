"""The dashboard of the fleet: is everything watched, and what is wrong. Pure."""

from __future__ import annotations

from deploy.grafana.make.parts import (
    EVERY,
    GREEN,
    GREY,
    OF_SITE,
    OPEN_SINCE,
    RED,
    YELLOW,
    Json,
    coloured,
    dashboard,
    incidents_of,
    lines,
    number,
    query,
    rounded,
    sites,
    stacked,
    steps,
    table,
    to_asset,
    wide,
)

EACH = '"site", "area", "asset"'


def fleet() -> Json:
    """What an operator opens first."""
    return dashboard(
        "fleet",
        "fleet",
        [*_numbers(), _assets(), *_over_time()],
        about="Is everything watched, and what is wrong?",
        variables=[sites()],
        annotations=incidents_of(OF_SITE),
        since="now-1h",  # several panels look at every row of every asset
    )


def open_now(where: str) -> str:
    """How many incidents of a kind are open: what was said last of each, added up."""
    last = f'SELECT last("open") AS "open" FROM "alert_event" WHERE {OPEN_SINCE} AND {where} GROUP BY {EACH}'
    return f'SELECT sum("open") FROM ({last}, "kind", "sensor")'


def _numbers() -> list[Json]:
    shown = f'SELECT last("status") AS "status" FROM "anomaly" WHERE $timeFilter AND {OF_SITE} GROUP BY {EACH}'
    worst = steps((1, RED))
    return [
        number(
            "Assets",
            f'SELECT count("status") FROM ({shown})',
            about="How many assets have score rows in the chosen time.",
        ),
        number(
            "Open incidents",
            open_now(f"{OF_SITE} AND \"kind\" != 'stale'"),
            about="Incidents that fired and have not cleared, without silent assets.",
            noValue="0",
            thresholds=worst,
        ),
        number(
            "Silent assets",
            open_now(f"{OF_SITE} AND \"kind\" = 'stale'"),
            about="Assets from which nothing comes though they did not say goodbye.",
            noValue="0",
            thresholds=worst,
        ),
        number(
            "Coverage",
            f'SELECT 1.0 * count("score") / count("status") FROM "anomaly" WHERE $timeFilter AND {OF_SITE}',
            about="The share of score rows that have a score; why not for the rest: rows by status, below. A "
            "silent asset makes no rows and counts for nothing here: it stands under silent assets, and the live "
            "page and `enginewatch coverage` have the share of the time.",
            unit="percentunit",
            decimals=1,
            thresholds=steps((0.5, YELLOW), (0.9, GREEN), base=RED),
        ),
        number(
            "Highest margin",
            f'SELECT max("margin") FROM "anomaly" WHERE $timeFilter AND {OF_SITE}',
            about="How far the highest score of the chosen time is above its threshold; below 0 none was.",
            decimals=2,
            thresholds=steps((0, RED)),
        ),
        number(
            "Daemon",
            'SELECT last("state") FROM "enginewatch" WHERE $timeFilter',
            about="What the daemon last said of itself; the dashboard of its health says more.",
            fields="/.*/",
            noValue="nothing heard",
        ),
    ]


def _assets() -> Json:
    latest = ", ".join(
        f'last("{name}") AS "{name}"' for name in ("status", "score", "threshold", "margin", "regime")
    )
    limits = steps((-0.25, YELLOW), (0, RED))
    return table(
        "Assets, worst first",
        f'SELECT {latest} FROM "anomaly" WHERE $timeFilter AND {OF_SITE} GROUP BY {EACH}',
        about="The latest of every asset in the chosen time; where the status is not scored, score, threshold and "
        "margin are those of the last row that was. A margin above 0: over its threshold. Click an asset.",
        by="margin",
        hidden=("Time", "time"),
        overrides=[
            to_asset("asset"),
            coloured("status", {"scored": GREEN, "regime": GREY, "no_model": RED, "too_few_sensors": RED}),
            rounded("score"),
            rounded("threshold"),
            rounded("margin", limits=limits),
            wide("status", 160),
        ],
    )


def _over_time() -> list[Json]:
    return [
        lines(
            "Highest score over its threshold, by site",
            [
                query(
                    f'SELECT max("margin") FROM "anomaly" WHERE $timeFilter AND {OF_SITE} '
                    f'{EVERY}, "site" fill(none)',
                    alias="$tag_site",
                )
            ],
            about="When did the worst asset of a site rise above its threshold (0)?",
            thresholds=steps((0, RED)),
            custom={"thresholdsStyle": {"mode": "line"}},
        ),
        lines(
            "Incidents that fired, by kind",
            [
                query(
                    f'SELECT count("started") FROM "alert_event" WHERE $timeFilter AND {OF_SITE} '
                    f'AND "transition" = \'fired\' {EVERY}, "kind" fill(none)',
                    alias="$tag_kind",
                )
            ],
            about="How many, and of which kind?",
            custom={"drawStyle": "bars", "fillOpacity": 80, "stacking": {"mode": "normal", "group": "A"}},
            decimals=0,
        ),
        lines(
            "Score rows by status",
            [
                query(
                    'SELECT non_negative_derivative(last("rows_total"), 1s) FROM "enginewatch" '
                    f'WHERE $timeFilter {EVERY}, "status" fill(none)',
                    alias="$tag_status",
                )
            ],
            about="How much is scored, and why not for the rest? Of all sites.",
            size=(24, 8),
            custom=stacked(),
            unit="rowsps",
        ),
    ]
