"""The alert rules, as Grafana provisions them. Pure.

A dollar sign means an environment variable in some of what Grafana provisions, and in some releases: there is none
here. So queries say their time themselves, and the words about an alert use `.Labels` and `.Values`.
"""

from __future__ import annotations

from deploy.grafana.make.parts import OPEN_SINCE, REAL, SOURCE, Json

EXPRESSION = {"type": "__expr__", "uid": "__expr__"}
EACH = '"site", "area", "asset", "kind", "sensor"'
# An asset may have no area, and an incident no sensor: `index` writes nothing there.
ASSET = '{{ .Labels.site }}/{{ index .Labels "area" }}/{{ .Labels.asset }}'
DAY_S = 86_400


def rules() -> Json:
    """The file's contents."""
    made = [
        _incident("critical"),
        _incident("warning"),
        _silent(),
        _gone(),
        _not_ready(),
        _lag(),
        _channel(),
        _dead_letters(),
    ]
    group = {"orgId": 1, "name": "Enginewatch", "folder": "Enginewatch", "interval": "1m", "rules": made}
    return {"apiVersion": 1, "groups": [group]}


def _rule(
    uid: str,
    title: str,
    text: str,
    *,
    back_s: int,
    reducer: str = "last",
    above: float | None = None,
    below: float | None = None,
    lasts: str = "0s",
    severity: str = "warning",
    summary: str,
    remedy: str,
    no_data: str = "OK",
) -> Json:
    """A rule of three steps: what InfluxDB says, one number of it, and whether that is beyond its limit."""
    kind, limit = ("lt", below) if below is not None else ("gt", above)
    return {
        "uid": f"enginewatch-{uid}",
        "title": title,
        "condition": "C",
        "data": [
            _step("A", SOURCE, back_s, rawQuery=True, query=text, resultFormat="time_series"),
            _step("B", EXPRESSION, 0, type="reduce", expression="A", reducer=reducer),
            _step(
                "C",
                EXPRESSION,
                0,
                type="threshold",
                expression="B",
                conditions=[{"evaluator": {"type": kind, "params": [limit]}}],
            ),
        ],
        "for": lasts,
        "noDataState": no_data,
        "execErrState": "Error",
        "labels": {"severity": severity},
        "annotations": {"summary": summary, "description": remedy},
    }


def _step(ref: str, source: dict[str, str], back_s: int, **model: object) -> Json:
    return {
        "refId": ref,
        "relativeTimeRange": {"from": back_s, "to": 0},
        "datasourceUid": source["uid"],
        "model": {"refId": ref, "datasource": source, "intervalMs": 1000, "maxDataPoints": 43_200, **model},
    }


def _open(where: str) -> str:
    """1 or 0 for every asset, kind and sensor that ever had an incident of this sort."""
    return f'SELECT last("open") FROM "alert_event" WHERE {OPEN_SINCE} AND {REAL} AND {where} GROUP BY {EACH}'


def _incident(severity: str) -> Json:
    """One for each severity: that of an alert is its rule's."""
    return _rule(
        f"incident-{severity}",
        f"An incident is open ({severity})",
        _open(f"\"kind\" != 'stale' AND \"severity\" = '{severity}'"),
        back_s=90 * DAY_S,
        above=0,
        severity=severity,
        summary=ASSET + ' has an incident of kind {{ .Labels.kind }} {{ index .Labels "sensor" }}',
        remedy="The dashboard Enginewatch: incidents says in words what is wrong, and which sensors say so.",
    )


def _silent() -> Json:
    return _rule(
        "silent",
        "An asset is silent",
        _open("\"kind\" = 'stale'"),
        back_s=90 * DAY_S,
        above=0,
        summary=f"Nothing arrives from {ASSET}, and it did not say goodbye",
        remedy="Look at the machine's gateway and its connection to the broker.",
    )


def _gone() -> Json:
    rows = 'SELECT count("ready") FROM "enginewatch" WHERE time > now() - 1d'
    return _rule(
        "gone",
        "The daemon is gone",
        f'{rows} GROUP BY time(5m), "id" fill(0)',
        back_s=DAY_S,
        below=1,
        lasts="2m",  # the first seconds of five minutes may have no row
        severity="critical",
        summary="The daemon {{ .Labels.id }} writes nothing to InfluxDB any more",
        remedy="Does it run (systemctl status enginewatch), and does it reach InfluxDB (enginewatch doctor)?",
        no_data="Alerting",
    )


def _not_ready() -> Json:
    return _rule(
        "not-ready",
        "The daemon is not ready",
        'SELECT max("ready") FROM "enginewatch" WHERE time > now() - 5m GROUP BY "id"',
        back_s=300,
        below=1,
        lasts="5m",
        severity="critical",
        summary="The daemon {{ .Labels.id }} runs, but does not take in, score and keep readings",
        remedy="The dashboard Enginewatch: daemon health has the reasons in words.",
    )


def _lag() -> Json:
    """What waits now less what waited before: over half an hour in steps of ten minutes it only grew."""
    each = 'SELECT min("sink_lag") AS "lag" FROM "enginewatch" WHERE time > now() - 40m'
    steps = f'SELECT difference("lag") AS "more" FROM ({each} GROUP BY time(10m), "id", "sink" fill(none))'
    return _rule(
        "sink-lag",
        "A sink falls behind",
        f'{steps} WHERE time > now() - 40m GROUP BY "id", "sink"',
        back_s=2400,
        reducer="min",
        above=0,
        lasts="10m",
        summary="More and more waits in {{ .Labels.id }} for {{ .Labels.sink }}",
        remedy="Nothing is lost. See whether the sink can be reached and keeps up: enginewatch doctor.",
    )


def _channel() -> Json:
    return _rule(
        "channel",
        "A channel gets no messages",
        'SELECT min("channel_degraded") FROM "enginewatch" WHERE time > now() - 10m GROUP BY "id", "channel"',
        back_s=600,
        above=0,
        summary="{{ .Labels.channel }} has got no messages of {{ .Labels.id }} for ten minutes",
        remedy="Nothing is lost. The dashboard Enginewatch: daemon health has the reason in words.",
    )


def _dead_letters() -> Json:
    counted = 'SELECT spread("values_total") FROM "enginewatch" WHERE time > now() - 15m'
    return _rule(
        "dead-letters",
        "Readings are refused",
        f'{counted} AND "outcome" = \'dead_letter\' GROUP BY "id"',
        back_s=900,
        above=0,
        summary='{{ printf "%.0f" .Values.B.Value }} values became dead letters of {{ .Labels.id }} in 15 minutes',
        remedy="enginewatch dead-letters list says which, and why.",
    )
