"""`enginewatch fleet demo`: a simulated fleet into Kafka, the line on Spark, InfluxDB and the live page."""

from __future__ import annotations

import os
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from monitor.cli import UserError
from monitor.commands.demo_options import (
    check_summary,
    ending,
    in_influx_options,
    influx_arguments,
    influx_settings,
    run_arguments,
    write_summary,
)
from monitor.commands.numbers import whole_number
from monitor.demo import fleet_influx
from monitor.demo.place import log_in, work_in
from monitor.demo.screen import Screen, Signals
from monitor.demo.wishes import FleetWishes

if TYPE_CHECKING:
    import argparse

NEEDED_BYTES = 1_000_000_000  # most of it Spark's checkpoint
FEWEST_VEHICLES, MOST_VEHICLES = 8, 20_000
LIBRARIES = ("pyspark", "pandas", "pyarrow", "confluent_kafka")

WELCOME = """\
{vehicles:,} simulated vehicles measure twice a second and report every four seconds, as
telematics units do. Their reports go to Kafka; the line runs on Spark, with the model
that comes with it, and writes to InfluxDB. After a minute a vehicle fails, then another
one every ten seconds. Nobody tells the line: ALERT and SENSOR are what it finds.
"""
WHERE = """\
Look at it in a browser, as soon as there are rows:

  {page}

Everything is in {folder}{kept}.
{end}
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument(
        "--vehicles",
        type=whole_number(FEWEST_VEHICLES, MOST_VEHICLES),
        default=2000,
        metavar="N",
        help="how many (%(default)s)",
    )
    run_arguments(parser)
    influx_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Run the demo; 0 where every report has its row, 130 where it was broken off before it began, else 1."""
    check_summary(options.summary)
    wishes = FleetWishes(options.vehicles, options.seed, options.duration, influx_settings(options))
    _check_installed(own_influx=wishes.influx is None)
    with (
        Signals() as signals,
        work_in(options.folder, NEEDED_BYTES) as folder,
        log_in(folder),
        Screen() as screen,
    ):
        screen.say(WELCOME.format(vehicles=wishes.vehicles))
        screen.show("Kafka and InfluxDB are starting.")
        return _run(options, wishes, folder, screen, signals)


def _run(options: argparse.Namespace, wishes: FleetWishes, folder: Path, screen: Screen, signals: Signals) -> int:
    # Only now, so that the first words do not wait for them.
    from config.mistakes import SettingsError  # noqa: PLC0415
    from monitor.demo import fleet_words  # noqa: PLC0415
    from monitor.demo.fleet_house import FleetHouse  # noqa: PLC0415
    from monitor.demo.fleet_session import FleetSession  # noqa: PLC0415
    from monitor.demo.home import DemoError, Stopped  # noqa: PLC0415
    from monitor.demo.processes import ProcessError  # noqa: PLC0415

    begun = False
    try:
        with FleetHouse(wishes, folder, signals) as house:
            kept = "" if options.folder else ", which is removed at the end"
            screen.say(WHERE.format(page=house.page, folder=folder, kept=kept, end=ending(options.duration)))
            screen.show("Spark is starting, and the vehicles warm up.")
            session = FleetSession(wishes, house, screen, signals)
            begun = True
            session.live()
            result = session.finish()
    except Stopped:
        return 130
    except SettingsError as error:
        raise UserError(f"the settings of the demo are wrong: {'; '.join(error.lines)}") from error
    except DemoError as error:
        raise UserError(in_influx_options(error) if options.influx else str(error)) from error
    except ProcessError as error:
        if not begun:
            raise UserError(str(error)) from error
        sys.stderr.write(f"enginewatch fleet demo: {error}\n")
        return 1
    screen.say(fleet_words.sentence(result))
    written = write_summary("fleet demo", options.summary, result)
    return 0 if written and not result["missing_rows"] else 1


def _check_installed(*, own_influx: bool) -> None:
    """Raises UserError where a part is missing, with what installs it."""
    lacking = [name for name in LIBRARIES if find_spec(name) is None]
    if lacking:
        raise UserError(f"{', '.join(lacking)} not installed: pip install 'enginewatch[fleet]'")
    if not _java():
        raise UserError("Java is not installed, and Spark needs it: apt install default-jre-headless")
    lacks = fleet_influx.trouble() if own_influx else ""
    if lacks:
        raise UserError(lacks)


def _java() -> bool:
    """Whether there is a Java where Spark looks for one."""
    home = os.environ.get("JAVA_HOME")
    return (Path(home) / "bin" / "java").exists() if home else shutil.which("java") is not None
