"""What dashboards are made of, as Grafana's JSON has it: queries, panels, variables, links. Pure.

Every query is InfluxQL that InfluxDB 1, 2 and 3 take. What is chosen in a variable stands in a regular expression,
as `${name:regex}`: that escapes what a name may hold, and takes several names and "All" alike. An empty tag is
matched by `.*` and by nothing at all, so an asset without an area is found as well.
"""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

SOURCE = {"type": "influxdb", "uid": "enginewatch"}  # as deploy/grafana/provisioning/datasources names it
WIDTH = 24  # columns of Grafana's grid
SCHEMA = 39  # of Grafana 10.4; later ones bring it up to theirs by themselves
OPEN_SINCE = "time > now() - 90d"  # how far back an incident that is open may have begun
REAL = "\"site\" != '_canary'"  # what is watched, without the canary
OF_SITE = f'"site" =~ /^${{site:regex}}$/ AND {REAL}'
THIS_ASSET = f'{OF_SITE} AND "area" =~ /^${{area:regex}}$/ AND "asset" =~ /^${{asset:regex}}$/'
EVERY = "GROUP BY time($__interval)"
GREEN, YELLOW, RED, BLUE, GREY = "green", "yellow", "red", "blue", "text"
STATES = {"ready": GREEN, "degraded": YELLOW, "not ready": RED}


def query(text: str, *, alias: str = "", table: bool = False, ref: str = "A") -> Json:
    """One query of a panel. `alias` names its series: $tag_asset, $col."""
    made: Json = {
        "refId": ref,
        "datasource": SOURCE,
        "rawQuery": True,
        "query": text,
        "resultFormat": "table" if table else "time_series",
    }
    return made | ({"alias": alias} if alias else {})


def panel(
    kind: str,
    title: str,
    queries: list[Json],
    *,
    size: tuple[int, int],
    about: str,
    field: Json | None = None,
    options: Json | None = None,
    overrides: list[Json] | None = None,
    transformations: list[Json] | None = None,
) -> Json:
    """A panel of a size in columns and rows; `about` is the question that it answers."""
    made: Json = {
        "type": kind,
        "title": title,
        "description": about,
        "datasource": SOURCE,
        "gridPos": {"w": size[0], "h": size[1]},
        "targets": queries,
        "fieldConfig": {"defaults": field or {}, "overrides": overrides or []},
        "options": options or {},
    }
    return made | ({"transformations": transformations} if transformations else {})


def lines(title: str, queries: list[Json], *, about: str, size: tuple[int, int] = (12, 8), **field: Any) -> Json:
    """Lines over time. `field` has the unit, limits and the like; gaps stay gaps."""
    custom = {"lineWidth": 1, "fillOpacity": 0, "showPoints": "auto", "spanNulls": False}
    custom |= field.pop("custom", {})
    transformations = field.pop("transformations", None)
    overrides = field.pop("overrides", None)
    return panel(
        "timeseries",
        title,
        queries,
        size=size,
        about=about,
        field={"custom": custom, **field},
        options={
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
        overrides=overrides,
        transformations=transformations,
    )


def stacked() -> Json:
    """The `custom` of lines that add up."""
    return {"fillOpacity": 40, "stacking": {"mode": "normal", "group": "A"}}


def number(title: str, text: str, *, about: str, width: int = 4, table: bool = False, **field: Any) -> Json:
    """One number, as large as there is room; words where the query gives words."""
    fields = field.pop("fields", "")
    return panel(
        "stat",
        title,
        [query(text, table=table)],
        size=(width, 4),
        about=about,
        field=field,
        options={
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": fields, "values": False},
            "colorMode": "value" if "thresholds" in field or "mappings" in field else "none",
            "graphMode": "none",
            "textMode": "value",
        },
    )


def table(
    title: str,
    text: str,
    *,
    about: str,
    size: tuple[int, int] = (24, 10),
    by: str = "",
    names: dict[str, str] | None = None,
    hidden: tuple[str, ...] = (),
    only: Json | None = None,
    overrides: list[Json] | None = None,
) -> Json:
    """Rows, sorted by a column downwards; `names` renames columns, `only` keeps some rows."""
    steps: list[Json] = [only] if only else []
    arrange = {"renameByName": names or {}, "excludeByName": dict.fromkeys(hidden, True), "indexByName": {}}
    steps.append({"id": "organize", "options": arrange})
    return panel(
        "table",
        title,
        [query(text, table=True)],
        size=size,
        about=about,
        options={"showHeader": True, "sortBy": [{"displayName": by, "desc": True}] if by else []},
        overrides=overrides,
        transformations=steps,
    )


def bands(title: str, queries: list[Json], *, about: str, colours: dict[str, str], height: int = 5) -> Json:
    """Words over time as coloured bands."""
    return panel(
        "state-timeline",
        title,
        queries,
        size=(24, height),
        about=about,
        field={"mappings": words(colours), "custom": {"fillOpacity": 70, "lineWidth": 0}},
        options={"mergeValues": True, "showValue": "auto", "legend": {"showLegend": False}},
    )


def words(colours: dict[str, str]) -> list[Json]:
    """Value mappings that give words their colours."""
    options = {word: {"color": colour, "index": place} for place, (word, colour) in enumerate(colours.items())}
    return [{"type": "value", "options": options}]


def yes_or_no(yes: str, no: str, *, good: bool) -> list[Json]:
    """Value mappings of 1 and 0; `good`: 1 is how it should be."""
    right, wrong = (GREEN, RED) if good else (RED, GREEN)
    return [{"type": "value", "options": {"1": {"text": yes, "color": right}, "0": {"text": no, "color": wrong}}}]


def steps(*limits: tuple[float, str], base: str = GREEN) -> Json:
    """Thresholds: the base colour, and another from each limit on."""
    given = [{"color": base, "value": None}, *({"color": colour, "value": limit} for limit, colour in limits)]
    return {"mode": "absolute", "steps": given}


def coloured(column: str, colours: dict[str, str]) -> Json:
    """A column of a table whose words have colours."""
    properties = [
        {"id": "mappings", "value": words(colours)},
        {"id": "custom.cellOptions", "value": {"type": "color-text"}},
    ]
    return {"matcher": {"id": "byName", "options": column}, "properties": properties}


def rounded(column: str, *, limits: Json | None = None, unit: str = "short", decimals: int = 2) -> Json:
    """A column of numbers with few digits, coloured by limits where there are some."""
    properties: list[Json] = [{"id": "decimals", "value": decimals}, {"id": "unit", "value": unit}]
    if limits:
        properties += [
            {"id": "thresholds", "value": limits},
            {"id": "custom.cellOptions", "value": {"type": "color-text"}},
        ]
    return {"matcher": {"id": "byName", "options": column}, "properties": properties}


def to_asset(column: str) -> Json:
    """A column whose cells lead to the asset, here and on the live page; site, area and asset are columns too."""
    fields = {name: f"${{__data.fields.{name}:percentencode}}" for name in ("site", "area", "asset")}
    chosen = "&".join(f"var-{name}={field}" for name, field in fields.items())
    return _leading(
        column,
        _link("This asset", f"/d/enginewatch-asset?{chosen}&${{__url_time_range}}"),
        _link("On the live page", f"${{page}}/#/asset/{'%2F'.join(fields.values())}", new=True),
    )


def to_incident(column: str) -> Json:
    """A column of incidents' ids whose cells lead to the incident on the live page."""
    address = "${page}/#/incident/${__value.text:percentencode}"
    return _leading(column, _link("On the live page", address, new=True))


def _leading(column: str, *links: Json) -> Json:
    return {"matcher": {"id": "byName", "options": column}, "properties": [{"id": "links", "value": list(links)}]}


def _link(title: str, address: str, *, new: bool = False) -> Json:
    return {"title": title, "url": address, "targetBlank": new}


def wide(column: str, pixels: int) -> Json:
    """A column of a fixed width."""
    return {
        "matcher": {"id": "byName", "options": column},
        "properties": [{"id": "custom.width", "value": pixels}],
    }


def having(column: str, value: str) -> Json:
    """A step that keeps the rows whose column has a value."""
    condition = {"id": "equal", "options": {"value": value}}
    options = {"type": "include", "match": "all", "filters": [{"fieldName": column, "config": condition}]}
    return {"id": "filterByValue", "options": options}


def renamed(pattern: str, name: str) -> Json:
    """A step that names series by a part of their name."""
    return {"id": "renameByRegex", "options": {"regex": pattern, "renamePattern": name}}


def variable(name: str, label: str, text: str, *, several: bool = True, pattern: str = "") -> Json:
    """A choice among what a query finds; "All" is every one, and an empty tag as well."""
    every = {"text": ["All"], "value": ["$__all"]} if several else {"text": "All", "value": "$__all"}
    return {
        "type": "query",
        "name": name,
        "label": label,
        "datasource": SOURCE,
        "query": text,
        "definition": text,
        "regex": pattern,
        "multi": several,
        "includeAll": True,
        "allValue": ".*",
        "current": every,
        "refresh": 2,  # with every change of the time range
        "sort": 5,  # alphabetical, capitals like the others
        "options": [],
    }


def one_of(name: str, label: str, text: str) -> Json:
    """A choice of one; the first is taken where nothing was chosen."""
    made = variable(name, label, text, several=False)
    return {key: value for key, value in made.items() if key != "allValue"} | {"includeAll": False, "current": {}}


def sites() -> Json:
    """The choice of sites."""
    return variable("site", "Site", f'SHOW TAG VALUES FROM "anomaly" WITH KEY = "site" WHERE {REAL}')


def page() -> Json:
    """Where the live page is; whoever reaches it by another name writes that here."""
    address = "http://127.0.0.1:8080"
    return {
        "type": "textbox",
        "name": "page",
        "label": "Live page",
        "query": address,
        "current": {"text": address, "value": address},
        "options": [{"text": address, "value": address, "selected": True}],
    }


def dashboard(
    uid: str,
    title: str,
    panels: list[Json],
    *,
    about: str,
    variables: list[Json],
    annotations: list[Json] | None = None,
    since: str = "now-6h",
) -> Json:
    """A whole dashboard, its panels laid out from left to right."""
    return {
        "uid": f"enginewatch-{uid}",
        "title": f"Enginewatch: {title}",
        "description": about,
        "tags": ["enginewatch"],
        "schemaVersion": SCHEMA,
        "editable": True,
        "graphTooltip": 1,  # the crosshair goes through all panels
        "timezone": "browser",
        "time": {"from": since, "to": "now"},
        "refresh": "1m",
        "links": _links(),
        "templating": {"list": [*variables, page()]},
        "annotations": {"list": annotations or []},
        "panels": laid_out(panels),
    }


def incidents_of(where: str) -> list[Json]:
    """Annotations: where incidents fired and where they cleared."""

    def moments(name: str, transition: str, colour: str) -> Json:
        chosen = f"WHERE $timeFilter AND {where} AND \"transition\" = '{transition}'"
        asked = {
            "query": f'SELECT "summary", "kind", "asset" FROM "alert_event" {chosen}',
            "rawQuery": True,
            "fromAnnotations": True,
            "textColumn": "summary",
            "tagsColumn": "kind,asset",
        }
        # Grafana reads these from the target, and did so from the annotation itself.
        shown = {"name": name, "datasource": SOURCE, "enable": True, "iconColor": colour}
        return shown | asked | {"target": {"refId": "Anno", **asked}}

    return [moments("Fired", "fired", RED), moments("Cleared", "cleared", GREEN)]


def laid_out(panels: list[Json]) -> list[Json]:
    """Number the panels and place them: a row is as high as its highest, and full where the next has no room."""
    placed: list[Json] = []
    column, top, height = 0, 0, 0
    for number_, each in enumerate(panels, start=1):
        size = each["gridPos"]
        if column + size["w"] > WIDTH:
            column, top, height = 0, top + height, 0
        placed.append({"id": number_, **each, "gridPos": {**size, "x": column, "y": top}})
        column, height = column + size["w"], max(height, size["h"])
    return placed


def _links() -> list[Json]:
    """To the other dashboards, with what is chosen, and to the live page."""
    plain = {"targetBlank": False, "includeVars": False, "keepTime": False, "tooltip": "", "icon": "external link"}
    others = {"type": "dashboards", "title": "Dashboards", "tags": ["enginewatch"], "asDropdown": False, "url": ""}
    live = {"type": "link", "title": "Live page", "tags": [], "asDropdown": False, "url": "${page}"}
    return [plain | others | {"includeVars": True, "keepTime": True}, plain | live | {"targetBlank": True}]
