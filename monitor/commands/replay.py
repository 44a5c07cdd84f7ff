"""`enginewatch replay`: publish recorded files over MQTT, as if they happened now."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monitor.cli import UserError
from monitor.commands.connection import broker_arguments, mqtt_settings
from monitor.commands.publishing import Run, connected, layout_argument, speed, writable_summary
from monitor.commands.recordings import read, recording_arguments
from simulator.replay import Plan, period_of, plan

if TYPE_CHECKING:
    import argparse

    from simulator.publish import Publisher
    from simulator.recording import Recording


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    recording_arguments(parser, files="CSV or Parquet", period="distance of the rows where there is no time")
    broker_arguments(parser, site="replay")
    layout_argument(parser)
    parser.add_argument(
        "--speed",
        type=speed,
        default=1.0,
        metavar="X",
        help="times real time, or max: as fast as acknowledged (1)",
    )
    parser.add_argument("--summary", type=Path, metavar="FILE", help="write the counts here, as JSON")


def run(options: argparse.Namespace) -> int:
    """Replay; 0 where the broker took every reading, 130 where the user broke it off, else 1."""
    mqtt_settings(options)  # a mistake in the options is told before the files are read
    recordings = _recordings(options)
    writable_summary(options.summary)
    with connected(options, layout=options.layout) as publisher:
        planned = plan(recordings, speed=options.speed, start=time.time_ns() // 1_000_000)
        return _Replay(publisher, planned).carry_out("replay", options.summary)


class _Replay(Run):
    """The rows of a plan."""

    def __init__(self, publisher: Publisher, planned: Plan) -> None:
        super().__init__(publisher)
        self._planned = planned

    def publish_all(self) -> None:
        """Publish every row when it is due."""
        for recording in self._planned.recordings:
            self.publisher.announce(recording.asset, dict.fromkeys(recording.sensors, ""), period_of(recording))
        for due, asset, at, values in self._planned.rows():
            self.wait_until(due)
            self.send(asset, at, values)

    def line(self) -> str:
        """The counts as a sentence."""
        counters = self.publisher.counters
        return (
            f"{counters.messages} of {len(self._planned.time)} rows sent, "
            f"{counters.acknowledged_messages} acknowledged ({self.rate():.0f}/s)"
        )

    def online(self) -> list[str]:
        """Every recording's asset."""
        return [recording.asset for recording in self._planned.recordings]

    def result(self) -> dict[str, Any]:
        """The summary. `start_time` is the published time of each recording's first row, empty or not."""
        starts = dict(zip(self.online(), self._planned.starts(), strict=True))
        return {"assets": len(starts), **super().result(), "start_time": starts}


def _recordings(options: argparse.Namespace) -> list[Recording]:
    recordings = read(options, period_ms=options.period_ms, columns=options.columns)
    if not any(len(recording.time) for recording in recordings):
        raise UserError("there are no rows to replay: check the files and --assets")
    return recordings
