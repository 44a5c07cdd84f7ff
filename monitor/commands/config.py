"""`enginewatch config`: the settings in force, and where each came from. Secrets are masked."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from config.mistakes import SettingsError
from config.options import add_settings_options, load_from_options
from config.schema import MASK, effective, shown

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from config.load import Loaded

EXIT_WRONG = 2


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    add_settings_options(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object: key to value and source")


def run(options: argparse.Namespace) -> int:
    """Print every key; exit code 2 after one line for every mistake."""
    try:
        loaded = load_from_options(options)
    except SettingsError as error:
        sys.stderr.writelines(f"{line}\n" for line in error.lines)
        return EXIT_WRONG
    lines = [_as_json(loaded)] if options.json else list(_as_toml(loaded))
    sys.stdout.writelines(f"{line}\n" for line in lines)
    return 0


def _as_json(loaded: Loaded) -> str:
    """Key to value and source; a value that is not given is null."""
    table = {
        key: {"value": _plain(value), "source": loaded.sources[key]} for key, value in effective(loaded.settings)
    }
    return json.dumps(table, ensure_ascii=False, indent=2)


def _as_toml(loaded: Loaded) -> Iterator[str]:
    """Lines of TOML that would load to the same settings, but for the masked secrets."""
    latest = ""
    for key, value in effective(loaded.settings):
        section, _, name = key.rpartition(".")
        if section != latest:
            yield from [""] if latest else []
            # TOML does not number the items of a list: a section within one belongs to the latest.
            path = ".".join(part for part in section.split(".") if not part.isdigit())
            yield f"[[{path}]]" if section[-1].isdigit() else f"[{path}]"
            latest = section
        yield f"{name} = {shown(value)}  # {loaded.sources[key]}"


def _plain(value: Any) -> Any:
    """A value as JSON has it."""
    if isinstance(value, SecretStr):
        return MASK
    return value if isinstance(value, bool | int | float | tuple) or value is None else str(value)
