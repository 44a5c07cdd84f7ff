"""The options by which every command finds its settings."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from config.load import Loaded, load

if TYPE_CHECKING:
    import argparse

USUAL_FILE = Path("enginewatch.toml")


def add_settings_options(parser: argparse.ArgumentParser) -> None:
    """Add `--config` and `--set`."""
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help=f"the settings ({USUAL_FILE} in the current folder, where there is one)",
    )
    parser.add_argument(
        "--set",
        action="append",
        dest="overrides",
        metavar="KEY=VALUE",
        help="a setting that goes before all others, such as mqtt.port=8883; may be repeated",
    )


def load_from_options(options: argparse.Namespace) -> Loaded:
    """The settings that the options and the environment of this process lead to. Raises SettingsError."""
    usual = USUAL_FILE if USUAL_FILE.exists() else None
    return load(options.config or usual, overrides=options.overrides or (), environment=os.environ)
