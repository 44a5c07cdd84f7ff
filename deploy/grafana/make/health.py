"""The dashboard of the daemon's own health: does each hop of the line work, and does it keep up. Pure."""

from __future__ import annotations

from typing import Any

from deploy.grafana.make.parts import (
    EVERY,
    RED,
    STATES,
    YELLOW,
    Json,
    bands,
    coloured,
    dashboard,
    lines,
    number,
    query,
    stacked,
    steps,
    table,
    variable,
    words,
    yes_or_no,
)

OF_DAEMON = '"id" =~ /^${id:regex}$/'
FROM = f'FROM "enginewatch" WHERE $timeFilter AND {OF_DAEMON}'


def health() -> Json:
    """What the daemon writes of itself."""
    return dashboard(
        "health",
        "daemon health",
        [*_numbers(), _reasons(), _states(), *_flows(), *_waits(), *_places()],
        about="Does each hop of the line work, and does it keep up?",
        variables=[variable("id", "Daemon", 'SHOW TAG VALUES FROM "enginewatch" WITH KEY = "id"')],
    )


def _last(field: str) -> str:
    return f'SELECT last("{field}") {FROM}'


def _numbers() -> list[Json]:
    return [
        number(
            "State",
            _last("state"),
            about="Are readings taken in, scored and kept?",
            fields="/.*/",
            mappings=words(STATES),
            noValue="nothing heard",
        ),
        number(
            "Broker",
            _last("broker_connected"),
            about="Do all subscriptions stand?",
            mappings=yes_or_no("connected", "not connected", good=True),
        ),
        number(
            "Disk",
            _last("disk_full"),
            about="Is there room for what arrives?",
            mappings=yes_or_no("full", "has room", good=False),
        ),
        number("Assets heard", _last("streams_heard"), about="Assets that are heard lately.", decimals=0),
        number(
            "Dead letters",
            _last("dead_letters"),
            about="What was refused and is kept: `enginewatch dead-letters list`.",
            thresholds=steps((1, YELLOW)),
        ),
        number(
            "Up since",
            f'SELECT 1000 * last("start_time_seconds") {FROM}',
            about="When the daemon started.",
            unit="dateTimeFromNow",
        ),
    ]


def _reasons() -> Json:
    return table(
        "In its own words",
        f'SELECT last("state") AS "state", "reasons", "version" {FROM} GROUP BY "id"',
        about="What is wrong, in words that name the setting to change.",
        size=(24, 5),
        overrides=[coloured("state", STATES)],
    )


def _states() -> Json:
    return bands(
        "State over time",
        [query(f'SELECT last("state") {FROM} {EVERY}, "id" fill(none)', alias="$tag_id")],
        about="When was it ready? A gap: it was gone, or could not write to InfluxDB.",
        colours=STATES,
    )


def _rate(field: str) -> str:
    return f'non_negative_derivative(last("{field}"), 1s)'


def _each(field: str, tag: str, *, rate: bool = True) -> list[Json]:
    selected = _rate(field) if rate else f'max("{field}")'
    return [query(f'SELECT {selected} {FROM} {EVERY}, "{tag}" fill(none)', alias=f"$tag_{tag}")]


def _by_daemon(selected: str) -> list[Json]:
    return [query(f'SELECT {selected} {FROM} {EVERY}, "id" fill(none)', alias="$tag_id")]


def _flows() -> list[Json]:
    many: dict[str, Any] = {"custom": stacked()}
    return [
        lines(
            "Messages received",
            _by_daemon(_rate("messages_total")),
            about="MQTT messages a second, repeats included.",
            unit="cps",
        ),
        lines(
            "Values by what became of them",
            _each("values_total", "outcome"),
            about="Every acknowledged value has one outcome. Not in_row: look into it.",
            unit="cps",
            **many,
        ),
        lines(
            "Score rows by status",
            _each("rows_total", "status"),
            about="How much is scored, and why not for the rest?",
            unit="rowsps",
            **many,
        ),
        lines(
            "Lines to InfluxDB",
            [
                query(f"SELECT {_rate('influx_lines_total')} {FROM} {EVERY} fill(none)", alias="taken"),
                query(
                    f"SELECT {_rate('influx_refused_lines_total')} {FROM} {EVERY} fill(none)",
                    alias="refused",
                    ref="B",
                ),
                query(
                    f"SELECT {_rate('influx_expired_lines_total')} {FROM} {EVERY} fill(none)",
                    alias="expired",
                    ref="C",
                ),
            ],
            about="Lines a second that InfluxDB took, refused, or dropped as older than its retention.",
            unit="cps",
        ),
    ]


def _waits() -> list[Json]:
    return [
        lines(
            "Not delivered yet, by sink",
            _each("sink_lag", "sink", rate=False),
            about="Batches of score rows, or transitions, that wait. Growing: the sink is away, or too slow.",
            min=0,
            decimals=0,
        ),
        lines(
            "Not taken by the line yet",
            _by_daemon('max("backlog_bytes")'),
            about="Bytes in the journal. Growing: more arrives than is scored.",
            unit="bytes",
            min=0,
        ),
        lines(
            "Since the broker was last heard",
            _by_daemon('max("packet_age_seconds")'),
            about="Long while machines report: the connection hangs.",
            unit="s",
            min=0,
        ),
        lines(
            "Connections to the broker after the first",
            _by_daemon('max("reconnects_total")'),
            about="Steps: the connection was lost.",
            min=0,
            decimals=0,
            custom={"lineInterpolation": "stepAfter"},
        ),
    ]


def _places() -> list[Json]:
    return [
        lines(
            "Messages to people and systems, by channel",
            _each("channel_messages_total", "channel"),
            about="Messages a second that got through. Not at all, though incidents fire: look at the next panel.",
            unit="cps",
        ),
        lines(
            "Attempts that did not get through, by channel",
            _each("channel_failures_total", "channel"),
            about="The channel is away, or refuses: the reason stands above in words. What waits is kept.",
            unit="cps",
        ),
        lines(
            "Store",
            _by_daemon('max("store_bytes")'),
            about="Bytes of the store in use, within store.max_bytes.",
            unit="bytes",
            min=0,
        ),
        lines(
            "Dead letters kept, and open incidents",
            [
                query(f'SELECT max("dead_letters") {FROM} {EVERY} fill(none)', alias="dead letters"),
                query(f'SELECT max("incidents_open") {FROM} {EVERY} fill(none)', alias="open incidents", ref="B"),
            ],
            about="Rising dead letters: something publishes what cannot be read, or InfluxDB refuses lines.",
            min=0,
            decimals=0,
            thresholds=steps((1, RED)),
        ),
    ]
