"""What the driver says of a job that really runs: its counters add up to what was sent."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from config.classes import resolve_classes
from config.load import load
from monitor.decode import encode_telemetry
from tests.rig import until
from tests.servers.kafka import mock_kafka
from tests.test_fleet_metrics import samples

if TYPE_CHECKING:
    from pathlib import Path

ENGINES, READINGS = 20, 10
SENT = 2 * ENGINES * READINGS  # values
OUTCOME, BACKLOG = "enginewatch_values_total", ("enginewatch_backlog_records", "")


def test_counters_add_up_to_what_was_sent(spark: Any, tmp_path: Path) -> None:
    """Values of readings, some of which wait in open ticks; a record that is no JSON, and one without a key."""
    from monitor.fleet import control, job  # noqa: PLC0415 - the extra may be missing, here and below
    from monitor.fleet.alerts import AlertLog  # noqa: PLC0415
    from monitor.fleet.client import client_options  # noqa: PLC0415
    from monitor.fleet.ends import Ends  # noqa: PLC0415
    from monitor.fleet.metrics import Standing, listener  # noqa: PLC0415
    from monitor.fleet.results import Results  # noqa: PLC0415
    from monitor.fleet.service import beginning, publish  # noqa: PLC0415

    with mock_kafka() as kafka:
        (tmp_path / "enginewatch.toml").write_text(
            f'[fleet]\nbrokers = "{kafka.address}"\ncheckpoint = "{tmp_path / "checkpoint"}"\nshards = 4\n'
            # All of it comes in the first batch; the next one is a minute away.
            'trigger_s = 60.0\nclock_s = 2.0\n[[classes]]\nname = "engine"\nmodel = "pretrained:engine"\n'
        )
        loaded = load(tmp_path / "enginewatch.toml", environment={})
        settings, fleet = loaded.settings, loaded.settings.fleet
        kafka.make(*fleet.topics, fleet.control_topic, fleet.alert_topic, fleet.dead_letter_topic)
        message = control.description(settings, resolve_classes(loaded))
        assert message.line is not None
        begin = beginning(fleet, publish(fleet, message))
        alerts = AlertLog(fleet, delivers=False)
        results = Results(settings, alerts, None)
        ends = Ends(client_options(fleet), fleet.topics)
        standing = Standing(counted=results, alerts=alerts, shards=fleet.shards, begin=begin, ends=ends)
        listens = listener(standing)
        spark.streams.addListener(listens)
        read = job.rows(spark, fleet, begin, message.line)

        now = time.time_ns() // 1_000_000
        kafka.send(
            "enginewatch",
            [reading(engine, now - 1000 * ago) for ago in range(READINGS, 0, -1) for engine in range(ENGINES)],
        )
        kafka.send(
            "enginewatch", [(b"enginewatch/v1/north/engine-1/telemetry", b"{oops", now), (None, b"{}", now)]
        )
        query = job.start(job.judged(read, settings), fleet, results)
        try:
            until(lambda: taken(samples(standing)) == SENT + 2, why="all is taken", seconds=120)
            until(lambda: samples(standing).get(BACKLOG) == 0, why="Spark tells of the batch")
            found = samples(standing)
            assert found[OUTCOME, "dead_letter"] == found["enginewatch_dead_letters_total", ""] == 2
            assert found["enginewatch_streams", ""] == ENGINES
            assert found["enginewatch_messages_total", ""] == ENGINES * READINGS + 2 + 1  # of control
            assert found["enginewatch_batches_total", ""] == 1
            assert standing.ready()[0]
        finally:
            query.stop()
        until(lambda: not standing.live()[0], why="the end is told")
        spark.streams.removeListener(listens)
        alerts.close()


def reading(engine: int, at: int) -> tuple[bytes, bytes, int]:
    """As a bridge writes it: two of the engine's sensors."""
    values = {"engine_speed": 900.0 + engine, "coolant_temperature": 80.0}
    body = encode_telemetry(time=at, boot="", seq=0, values=values)
    return f"enginewatch/v1/north/engine-{engine}/telemetry".encode(), body, at


def taken(found: dict[tuple[str, str], float]) -> float:
    """Values that have an outcome, and those that wait for one."""
    waiting = found.get(("enginewatch_values_waiting", ""), 0)
    return waiting + sum(value for (name, _), value in found.items() if name == OUTCOME)
