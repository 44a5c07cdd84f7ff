"""`enginewatch fleet import`: a new job begins with the state of a daemon that was stopped."""

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

    from monitor.spec import ClassSpec, LineSpec


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the action takes."""
    add_settings_options(parser)
    parser.add_argument("--state", type=Path, metavar="DIR", help="the state folder (default: daemon.state_dir)")
    parser.add_argument("--master", default="", metavar="URL", help="Spark's master (default: fleet.master)")
    json_argument(parser, "one JSON object: checkpoint, assets, shards, changes")


def run(options: argparse.Namespace) -> int:
    """0 where the next `fleet run` begins with it."""
    loaded, classes = load_settings(options)
    settings, fleet = loaded.settings, loaded.settings.fleet
    from monitor.assemble import line_spec  # noqa: PLC0415 - a wrong call needs no Spark
    from monitor.fleet import job, takeover  # noqa: PLC0415 - as above
    from monitor.state_folder import StartError  # noqa: PLC0415 - as above

    folder = options.state or settings.daemon.state_dir
    try:
        kept = takeover.of_daemon(folder)
        spark = job.session(fleet, master=options.master)
        try:
            takeover.into_job(spark, fleet, kept)
        finally:
            spark.stop()
    except (takeover.TakeoverError, StartError, OSError) as error:
        raise UserError(str(error)) from error
    changes = changed(kept.state.spec, line_spec(settings, classes))
    assets = kept.state.streams()
    if options.json:
        told = {"checkpoint": fleet.checkpoint, "assets": assets, "shards": fleet.shards, "changes": changes}
        sys.stdout.write(json_line(told) + "\n")
        return 0
    sys.stdout.write(
        f"{fleet.checkpoint}: a job begins there with {assets} assets of {printable(str(folder))},"
        f" in {fleet.shards} shards\n"
    )
    sys.stdout.writelines(f"  {each}\n" for each in changes)
    return 0


def changed(was: LineSpec, now: LineSpec) -> list[str]:
    """In what the settings differ from what a daemon worked by, which a job goes over to as it begins."""
    before = {each.name: each for each in was.classes}
    said = []
    for each in now.classes:
        known = before.pop(each.name, None)
        if known is None:
            said.append(f"class {each.name} is new")
        elif known.model_hash != each.model_hash:
            said.append(
                f"class {each.name}: the daemon used {_model(known)}, the settings name {_model(each)}: its"
                " thresholds begin anew, unless classes.model is set to what the daemon used"
            )
        elif known != each:
            said.append(f"class {each.name} has other settings; what means the same is kept")
    return said + [f"class {name} is gone, and its assets with it" for name in before]


def _model(of: ClassSpec) -> str:
    return f"the model {of.model} ({of.model_hash[:12]})" if of.model_hash else "no model"
