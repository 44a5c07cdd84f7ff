"""The alert rules of deploy/grafana fire for what they are for and for nothing else, asked of a real InfluxDB."""

from __future__ import annotations

import operator
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ruamel.yaml import YAML

from monitor.exposition import Metric
from monitor.influx_client import InfluxClient
from monitor.lineprotocol import event_line, health_lines
from monitor.records import Transition
from tests.influx_samples import DATABASE, event, settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tests.servers.influxd import Influxd

FILE = Path(__file__).parents[1] / "deploy" / "grafana" / "provisioning" / "alerting" / "enginewatch.yaml"
RULES = {rule["uid"]: rule for rule in YAML(typ="safe").load(FILE.read_text())["groups"][0]["rules"]}
MINUTE, DAY = 60_000, 86_400_000
REDUCED: dict[str, Callable[[list[float]], float]] = {"last": lambda values: values[-1], "min": min}
BEYOND: dict[str, Callable[[float, float], bool]] = {"gt": operator.gt, "lt": operator.lt}


def firing(rule: Mapping[str, Any], database: Influxd) -> set[str]:
    """The labels of the series for which the rule is beyond its limit, as Grafana's three steps find them."""
    asked, reduced, judged = (step["model"] for step in rule["data"])
    assert (reduced["expression"], judged["expression"], rule["condition"]) == ("A", "B", "C")
    series: dict[str, list[float]] = {}
    for row in database.query(asked["query"], DATABASE):
        labels = " ".join(sorted(value for value in row.values() if isinstance(value, str) and value))
        [value] = [value for name, value in row.items() if name != "time" and not isinstance(value, str)]
        if value is not None:
            series.setdefault(labels, []).append(value)
    [condition] = judged["conditions"]
    beyond, [limit] = BEYOND[condition["evaluator"]["type"]], condition["evaluator"]["params"]
    reduce = REDUCED[reduced["reducer"]]
    return {labels for labels, values in series.items() if beyond(reduce(values), limit)}


def figures(now: int) -> Iterator[str]:
    """Three daemons over an hour: one with a sink that falls behind, one that ends, one that is not ready."""
    for minute in range(61):  # one more: the queries may come in the next minute
        at = now - (59 - minute) * MINUTE
        lag = {"influx": max(0, 10 * (minute - 10)), "mqtt": 0, "stuck": 5}
        outcomes = {"dead_letter": max(40, minute), "late": 2 * minute}
        rising = [
            Metric.gauge("enginewatch_ready", "", 1),
            Metric.many("enginewatch_sink_lag", "", lag, "sink"),
            Metric.counter("enginewatch_values_total", "", outcomes, "outcome"),
            Metric.many("enginewatch_channel_degraded", "", {"mail": 1, "sms": minute % 2}, "channel"),
        ]
        yield from health_lines("rising", "ready", [], rising, at)
        constant = Metric.counter("enginewatch_values_total", "", {"dead_letter": 7}, "outcome")
        yield from health_lines(
            "unready", "not ready", [], [Metric.gauge("enginewatch_ready", "", 0), constant], at
        )
        if minute < 40:
            yield from health_lines("ended", "ready", [], [Metric.gauge("enginewatch_ready", "", 1)], at)


def transitions(now: int) -> Iterator[str]:
    """Incidents that are open, over, and over though an order about it bears a later time; two of the canary."""

    def line(asset: str, kind: str, transition: str, days_ago: float, severity: str = "warning") -> str:
        at = now - round(days_ago * DAY)
        stream = asset if "/" in asset else f"plant//{asset}"
        told = event(stream=stream, kind=kind, transition=Transition(transition), time=at, severity=severity)
        return event_line(told)

    yield line("open", "anomaly", "fired", 30)
    yield line("over", "anomaly", "fired", 30)
    yield line("over", "anomaly", "cleared", 29)
    yield line("late", "anomaly", "fired", 2)
    yield line("late", "anomaly", "cleared", 1.001)
    yield line("late", "anomaly", "acknowledged", 1)
    yield line("accepted", "anomaly", "fired", 2)
    yield line("accepted", "anomaly", "accepted", 1)
    yield line("again", "anomaly", "fired", 3)
    yield line("again", "anomaly", "cleared", 2)
    yield line("again", "anomaly", "fired", 1)
    yield line("hot", "anomaly", "fired", 1, "critical")
    yield line("cooler", "anomaly", "fired", 3, "critical")
    yield line("cooler", "anomaly", "cleared", 2, "critical")
    yield line("cooler", "anomaly", "fired", 1)
    yield line("_canary//main", "anomaly", "fired", 1)
    yield line("_canary//main", "stale", "fired", 1)
    yield line("dumb", "stale", "fired", 1)
    yield line("heard", "stale", "fired", 2)
    yield line("heard", "stale", "cleared", 1)


def test_each_rule_fires_for_its_cause_alone(database: Influxd) -> None:
    now = time.time_ns() // MINUTE // 1_000_000 * MINUTE  # a whole minute, so that steps of ten hold ten
    client = InfluxClient(settings(database.url), None)
    client.write([*figures(now), *transitions(now)])
    client.close()
    assert {uid.removeprefix("enginewatch-"): firing(rule, database) for uid, rule in RULES.items()} == {
        "incident-critical": {"anomaly hot plant"},
        "incident-warning": {"anomaly open plant", "again anomaly plant", "anomaly cooler plant"},
        "silent": {"dumb plant stale"},
        "gone": {"ended"},
        "not-ready": {"unready"},
        "sink-lag": {"influx rising"},
        "channel": {"mail rising"},
        "dead-letters": {"rising"},
    }


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_grafana_has_nothing_to_fill_in(rule: dict[str, Any]) -> None:
    """A dollar sign in a provisioned file is a variable to some releases and none to others."""
    assert "$" not in str(rule)
    assert (rule["noDataState"], rule["execErrState"]) in {("OK", "Error"), ("Alerting", "Error")}
    assert rule["data"][0]["datasourceUid"] == rule["data"][0]["model"]["datasource"]["uid"] == "enginewatch"
