"""`enginewatch check`: read the settings and every file they name, and say what is wrong; connects to nothing."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from config.classes import resolve_classes
from config.mistakes import SettingsError
from config.options import add_settings_options, load_from_options
from config.secret import secret
from monitor.printable import json_line

if TYPE_CHECKING:
    import argparse

    from config.classes import ResolvedClass
    from config.load import Loaded
    from config.sections import ThresholdSettings

EXIT_WRONG = 2
SHOWN = 5  # names and globs of what is left out


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    add_settings_options(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object: the classes, and every mistake")


def run(options: argparse.Namespace) -> int:
    """Exit code 0 where everything is right, 2 after one line for every mistake."""
    try:
        loaded = load_from_options(options)
        classes = resolve_classes(loaded)
        _channels_or_mistakes(loaded)
    except SettingsError as error:
        if options.json:
            _write_json(mistakes=error.lines)
        else:
            sys.stderr.writelines(f"{line}\n" for line in error.lines)
        return EXIT_WRONG
    usual = loaded.settings.threshold
    if options.json:
        _write_json(file=loaded.path and str(loaded.path), classes=[_as_json(entry, usual) for entry in classes])
        return 0
    sys.stdout.write(f"The settings are good: {loaded.path or 'no file'}\n")
    learns = loaded.settings.learning.enabled
    channels = ", ".join(f"{each.name} ({each.to})" for each in loaded.settings.notify.channels)
    sys.stdout.write(f"  alerts go to MQTT and {channels}\n" if channels else "")
    sys.stdout.writelines(f"  {_described(entry, usual, learns=learns)}\n" for entry in classes)
    return 0


def _channels_or_mistakes(loaded: Loaded) -> None:
    """Have the library look at the addresses of people. Raises SettingsError, which tells none of them."""
    people = [(i, each) for i, each in enumerate(loaded.settings.notify.channels) if each.to == "people"]
    if not people:
        return
    from monitor.channels.people import service_of  # noqa: PLC0415 - the library takes a moment
    from monitor.channels.way import Undelivered  # noqa: PLC0415 - as above

    lines = []
    for index, each in people:
        try:
            service_of(f"channel {each.name}", secret(each.url, each.url_file) or "")
        except Undelivered as error:
            key = f"notify.channels.{index}.{'url' if each.url_file is None else 'url_file'}"
            lines.append(loaded.mistake(key, str(error)))
    if lines:
        raise SettingsError(lines)


def _write_json(**found: Any) -> None:
    told = {"good": "mistakes" not in found, "file": None, "classes": [], "mistakes": []} | found
    sys.stdout.write(json_line(told) + "\n")


def _as_json(entry: ResolvedClass, usual: ThresholdSettings) -> dict[str, Any]:
    """A class as it was understood; without a model `model` is null."""
    learned = entry.regimes_of_model(usual)
    return {
        "name": entry.name,
        "sensors": entry.sensors,
        "ignore": entry.ignore,
        "period_ms": entry.period_ms,
        "model": entry.model_name or None,
        "window": entry.window,
        "regimes": [{"name": rule.name, "scored": rule.scored} for rule in entry.regimes],
        "learned_regimes": [] if learned is None else [each.name for each in learned.of],
    }


def _described(entry: ResolvedClass, usual: ThresholdSettings, *, learns: bool) -> str:
    """One line about a class; `learns` says what one without a model does."""
    count = len(entry.sensors)
    left_out = ", ".join(entry.ignore) if len(entry.ignore) <= SHOWN else f"{len(entry.ignore)} names"
    ignored = f" ({left_out} ignored)" if entry.ignore else ""
    sensors = f"{count} sensor{'s' if count > 1 else ''}{ignored}, a tick every {entry.period_ms} ms"
    if entry.window is not None:
        seconds = entry.window * entry.period_ms / 1000
        model = f"model {entry.model_name}, a window of {entry.window} ticks ({seconds:g} s)"
    elif learns:
        model = "no model yet: it is recorded, and limits watch it"
    else:
        model = "no model and no learning: nothing is scored"
    names = [f"{rule.name}{'' if rule.scored else ' (not scored)'}" for rule in entry.regimes]
    regimes = f"; regimes {', '.join(names)}, else running" if names else ""
    if learned := entry.regimes_of_model(usual):
        regimes = f"; learned regimes: {'; '.join(each.name for each in learned.of)}; else unknown"
    return f"class {entry.name}: {sensors}; {model}{regimes}"
