"""`enginewatch accept`: what an asset does now is normal, after a repair or in a new use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitor.commands.asking import order_arguments, tell
from monitor.commands.common import state_arguments

if TYPE_CHECKING:
    import argparse


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    state_arguments(parser)
    parser.add_argument("asset", metavar="ASSET", help="site/area/asset")
    order_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Exit code 0 where it was done, 1 where the daemon refused it."""
    return tell(options, "accept", asset=options.asset, why=options.why)
