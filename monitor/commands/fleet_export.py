"""`enginewatch fleet export`: the state of a job that was stopped becomes a state folder."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from config.options import add_settings_options
from monitor.cli import UserError
from monitor.commands.asking import json_argument
from monitor.commands.common import load_settings
from monitor.printable import json_line, printable

if TYPE_CHECKING:
    import argparse


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the action takes."""
    add_settings_options(parser)
    parser.add_argument(
        "--state", type=Path, required=True, metavar="DIR", help="where to: a folder that does not exist yet"
    )
    parser.add_argument("--master", default="", metavar="URL", help="Spark's master (default: fleet.master)")
    json_argument(parser, "one JSON object: state, assets, ended")


def run(options: argparse.Namespace) -> int:
    """0 where a daemon can go on from the folder, or an import."""
    loaded, _ = load_settings(options)
    fleet = loaded.settings.fleet
    from monitor.fleet import checkpoint_folder, job, takeover  # noqa: PLC0415 - a wrong call needs no Spark

    # Where its folder is not of this host, that is not known.
    ended = checkpoint_folder.look(fleet).ended
    spark = job.session(fleet, master=options.master)
    try:
        kept = takeover.of_job(spark, fleet)
        takeover.into_folder(kept, options.state)
    except (takeover.TakeoverError, OSError) as error:
        raise UserError(str(error)) from error
    finally:
        spark.stop()
    assets = kept.state.streams()
    if options.json:
        told = {"state": str(options.state), "assets": assets, "ended": ended}
        sys.stdout.write(json_line(told) + "\n")
        return 0
    sys.stdout.write(
        f"{printable(str(options.state))}: the state of {assets} assets; a daemon with this daemon.state_dir goes"
        " on from it, and so does `enginewatch fleet import` with other fleet.shards\n"
    )
    if not ended:
        sys.stdout.write(
            "  the job's last batch had not come to its end, and is not in it: run the job once more, stop it in"
            " order and export again, or these readings are missing\n"
        )
    return 0
