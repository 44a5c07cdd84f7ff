"""Every query of deploy/grafana finds rows in a real InfluxDB that a real daemon filled, whatever is chosen."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from ruamel.yaml import YAML

from tests.servers.influxd import DATABASE
from tests.watched_fleet import watched_fleet

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tests.servers.influxd import Influxd

GRAFANA = Path(__file__).parents[1] / "deploy" / "grafana"
BOARDS = sorted((GRAFANA / "dashboards").glob("*.json"))
RULES = GRAFANA / "provisioning" / "alerting" / "enginewatch.yaml"
ANYTHING = ".*"  # what "All" stands for in the dashboards
NOTHING_HERE = {"asset: variable area", "rules: enginewatch-sink-lag"}


class Query(NamedTuple):
    """A query and where it stands."""

    place: str
    text: str


def escaped(name: str) -> str:
    """A name as Grafana's format `regex` writes it."""
    return re.sub(r"[\\^$*+?.()|\[\]{}/]", lambda found: "\\" + found[0], name)


def filled(query: str, chosen: Mapping[str, Sequence[str] | str], now: int) -> str:
    """The query as Grafana sends it: a text stands for itself, names are escaped, several are alternatives."""

    def value(found: re.Match[str]) -> str:
        given = chosen[found[1]]
        if isinstance(given, str):
            return given
        names = [escaped(name) for name in given]
        return names[0] if len(names) == 1 else f"({'|'.join(names)})"

    text = re.sub(r"\$\{(\w+):regex\}", value, query)
    text = text.replace("$timeFilter", f"time >= {now - 3_600_000}ms and time <= {now}ms")
    text = text.replace("$__interval", "1s")
    assert not re.search(r"\$\w|\$\{", text), text
    return text


def of_board(board: dict[str, Any]) -> Iterator[Query]:
    """Those of panels, variables and annotations."""
    for panel in board["panels"]:
        for target in panel["targets"]:
            yield Query(f"{panel['title']} {target['refId']}", target["query"])
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            yield Query(f"variable {variable['name']}", variable["query"])
    for annotation in board["annotations"]["list"]:
        assert annotation["query"] == annotation["target"]["query"]
        yield Query(f"annotation {annotation['name']}", annotation["query"])


def of_rules() -> Iterator[Query]:
    """The first step of each rule asks InfluxDB."""
    for rule in YAML(typ="safe").load(RULES.read_text())["groups"][0]["rules"]:
        yield Query(rule["uid"], rule["data"][0]["model"]["query"])


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influxd]:
    with watched_fleet(tmp_path_factory.mktemp("fleet")) as database:
        yield database


def found(database: Influxd) -> Iterator[tuple[str, str, int]]:
    """Place, text and rows of every query: with names chosen, and with All wherever that can be chosen."""
    names = {
        "site": ["plant"],
        "area": [""],
        "asset": ["engine-01", "engine-02", "engine-03", "engine-04"],
        "model": ["engine"],
        "sensor": ["lambda", "oil_pressure"],
        "kind": ["anomaly", "sensor_dropout", "stale"],
        "severity": ["critical", "warning"],
        "id": ["main"],
    }
    everything = dict.fromkeys(names, ANYTHING)
    now = time.time_ns() // 1_000_000
    for file in BOARDS:
        several = everything | {"asset": names["asset"]} if file.stem == "asset" else everything
        for place, text in of_board(json.loads(file.read_text())):
            for chosen in (names, several):
                asked = filled(text, chosen, now)
                yield f"{file.stem}: {place}", asked, len(database.query(asked, DATABASE))
    for place, text in of_rules():
        yield f"rules: {place}", text, len(database.query(text, DATABASE))


def test_every_query_finds_rows(fleet: Influxd) -> None:
    """But for the choice of areas, which these engines do not have, and a rule over more time than there is."""
    rows = list(found(fleet))
    assert [(place, asked) for place, asked, count in rows if not count and place not in NOTHING_HERE] == []
    assert len({place for place, _, _ in rows}) > 60


def test_what_the_numbers_say_is_so(fleet: Influxd) -> None:
    """Four assets, of which one is silent; two other incidents are open; every choice is there."""
    board = json.loads((GRAFANA / "dashboards" / "fleet.json").read_text())
    queries = dict(of_board(board))
    now = time.time_ns() // 1_000_000

    def number(place: str, name: str) -> Any:
        [row] = fleet.query(filled(queries[place], {"site": ANYTHING}, now), DATABASE)
        return row[name]

    assert number("Assets A", "count") == 4
    assert number("Open incidents A", "sum") == 2
    assert number("Silent assets A", "sum") == 1
    queries = dict(of_board(json.loads((GRAFANA / "dashboards" / "incidents.json").read_text())))
    critical = dict.fromkeys(("site", "asset", "kind"), ANYTHING) | {"severity": "critical"}
    [judged] = fleet.query(filled(queries["Judged false A"], critical, now), DATABASE)
    assert judged["count"] == 1  # the failing engine's, which was critical
    sites = fleet.query(queries["variable site"], DATABASE)
    assert [row["value"] for row in sites] == ["plant"]
