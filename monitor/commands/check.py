"""`enginewatch check`: read the settings and every file they name, and say what is wrong; connects to nothing."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from config.classes import resolve_classes
from config.mistakes import SettingsError
from config.options import add_settings_options, load_from_options

if TYPE_CHECKING:
    import argparse

    from config.classes import ResolvedClass

EXIT_WRONG = 2
SHOWN = 5  # names and globs of what is left out


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    add_settings_options(parser)


def run(options: argparse.Namespace) -> int:
    """Exit code 0 where everything is right, 2 after one line for every mistake."""
    try:
        loaded = load_from_options(options)
        classes = resolve_classes(loaded)
    except SettingsError as error:
        sys.stderr.writelines(f"{line}\n" for line in error.lines)
        return EXIT_WRONG
    sys.stdout.write(f"The settings are good: {loaded.path or 'no file'}\n")
    sys.stdout.writelines(f"  {_described(entry, learns=loaded.settings.learning.enabled)}\n" for entry in classes)
    return 0


def _described(entry: ResolvedClass, *, learns: bool) -> str:
    """One line about a class; `learns` says what one without a model does."""
    count = len(entry.sensors)
    left_out = ", ".join(entry.ignore) if len(entry.ignore) <= SHOWN else f"{len(entry.ignore)} names"
    ignored = f" ({left_out} ignored)" if entry.ignore else ""
    sensors = f"{count} sensor{'s' if count > 1 else ''}{ignored}, a tick every {entry.period_ms} ms"
    names = [f"{rule.name}{'' if rule.scored else ' (not scored)'}" for rule in entry.regimes]
    regimes = f"; regimes {', '.join(names)}, else running" if names else ""
    if entry.window is None:
        meanwhile = "yet: it is recorded, and limits watch it" if learns else "and no learning: nothing is scored"
        return f"class {entry.name}: {sensors}; no model {meanwhile}{regimes}"
    window = f"a window of {entry.window} ticks ({entry.window * entry.period_ms / 1000:g} s)"
    return f"class {entry.name}: {sensors}; model {entry.model_name}, {window}{regimes}"
