"""What Grafana is given fits together: dashboards, variables, links, data source, provisioning."""

from __future__ import annotations

import itertools
import json
import re
from typing import Any

import pytest
from ruamel.yaml import YAML

from deploy.grafana.make.__main__ import FOLDER, written
from monitor.overview import SEVERITIES
from monitor.synthetic import SITE

BOARDS = {file.stem: json.loads(file.read_text()) for file in sorted((FOLDER / "dashboards").glob("*.json"))}
COLUMNS = 24
BUILT_IN = {"timeFilter", "__interval", "__url_time_range", "__data", "__value"}


def provisioned(name: str) -> Any:
    """A provisioning file by the name of its folder."""
    return YAML(typ="safe").load(FOLDER / "provisioning" / name / "enginewatch.yaml")


def everything_in(part: Any) -> list[Any]:
    """All objects and values in a piece of JSON."""
    inner = part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
    return [part, *itertools.chain.from_iterable(everything_in(each) for each in inner)]


def test_the_files_are_what_the_script_writes() -> None:
    """Run `python -m deploy.grafana.make` after a change of it."""
    made = written()
    assert {file: (FOLDER / file).read_text(encoding="utf-8") for file in made} == made
    assert {file for file in made if file.startswith("dash")} == {f"dashboards/{name}.json" for name in BOARDS}


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_panels_have_their_places(board: dict[str, Any]) -> None:
    """No two share a number, a title or a cell of the grid, and none hangs over its edge."""
    panels = board["panels"]
    assert len({panel["id"] for panel in panels}) == len({panel["title"] for panel in panels}) == len(panels)
    cells: set[tuple[int, int]] = set()
    for place in (panel["gridPos"] for panel in panels):
        assert 0 <= place["x"] <= place["x"] + place["w"] <= COLUMNS
        columns = range(place["x"], place["x"] + place["w"])
        mine = set(itertools.product(columns, range(place["y"], place["y"] + place["h"])))
        assert not cells & mine
        cells |= mine
    for panel in panels:
        assert panel["description"]
        references = [target["refId"] for target in panel["targets"]]
        assert len(set(references)) == len(references) > 0


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_every_variable_that_is_used_exists_and_every_one_is_used(board: dict[str, Any]) -> None:
    """Between the dashboards too: what a link chooses is a variable there."""
    known = {variable["name"] for variable in board["templating"]["list"]}
    texts = [text for text in everything_in(board) if isinstance(text, str)]
    aliases = {part["alias"] for part in everything_in(board) if isinstance(part, dict) and "alias" in part}
    used: set[str] = set()
    for text in set(texts) - aliases:
        used |= set(re.findall(r"\$\{?(\w+)", text)) - {"1", "__all"}
    assert used - BUILT_IN == known
    for text in texts:
        if text.startswith("/d/"):
            other = next(each for each in BOARDS.values() if f"/d/{each['uid']}?" in text)
            there = {variable["name"] for variable in other["templating"]["list"]}
            assert set(re.findall(r"var-(\w+)=", text)) <= there


def test_dashboards_and_rules_ask_the_data_source_that_is_provisioned() -> None:
    [source] = provisioned("datasources")["datasources"]
    assert (source["type"], source["access"], source["jsonData"].get("version")) == ("influxdb", "proxy", None)
    asked = [part["datasource"] for board in BOARDS.values() for part in everything_in(board) if _asks(part)]
    assert {(each["type"], each["uid"]) for each in asked} == {("influxdb", source["uid"])}
    rules = provisioned("alerting")["groups"][0]["rules"]
    assert {rule["data"][0]["datasourceUid"] for rule in rules} == {source["uid"]}


def test_every_query_of_what_assets_say_leaves_out_the_canary() -> None:
    """The daemon's own figures are counted without it."""
    parts = everything_in([*BOARDS.values(), provisioned("alerting")])
    asked = {part["query"] for part in parts if isinstance(part, dict) and isinstance(part.get("query"), str)}
    of_assets = {text for text in asked if re.search(r'FROM "(anomaly|engine|alert_event)"', text)}
    of_names = {text for text in of_assets if text.startswith("SHOW FIELD KEYS")}
    assert len(of_assets) > 30
    assert {text for text in of_assets - of_names if f"\"site\" != '{SITE}'" not in text} == set()


def test_alerts_have_the_severity_of_their_incident() -> None:
    rules = {rule["uid"]: rule for rule in provisioned("alerting")["groups"][0]["rules"]}
    for severity in SEVERITIES:
        rule = rules[f"enginewatch-incident-{severity}"]
        assert rule["labels"] == {"severity": severity}
        assert f"\"severity\" = '{severity}'" in rule["data"][0]["model"]["query"]
    assert rules["enginewatch-gone"]["labels"] == {"severity": "critical"}


def test_names_are_unique_and_dashboards_have_no_number_of_their_own() -> None:
    """Grafana numbers dashboards itself; one with an `id` of another's would replace it."""
    rules = provisioned("alerting")["groups"][0]["rules"]
    names = [*(board["uid"] for board in BOARDS.values()), *(rule["uid"] for rule in rules)]
    assert len(set(names)) == len(names)
    assert all(len(name) <= 40 for name in names)
    assert not any("id" in board for board in BOARDS.values())
    [folder] = {rule_group["folder"] for rule_group in provisioned("alerting")["groups"]}
    assert provisioned("dashboards")["providers"][0]["folder"] == folder


def _asks(part: Any) -> bool:
    return isinstance(part, dict) and "datasource" in part
