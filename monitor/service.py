"""The process: its signals, its service manager, and one daemon after the other, as the settings change.

A reload checks the new settings as a start does and refuses what is wrong. What is good ends the daemon in order
and starts another in this process; where that one cannot start, one with the settings before does. Everything in
between is on the disk or in the broker's session: a reload costs what a restart costs, and never more.
"""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import structlog

from config.mistakes import SettingsError
from config.schema import effective
from monitor.daemon import Daemon
from monitor.journal import JournalError
from monitor.log import configure
from monitor.mqtt import MqttError
from monitor.schema import StoreError
from monitor.signals import Signals
from monitor.state_folder import StartError, hold
from monitor.systemd import ServiceManager

if TYPE_CHECKING:
    from collections.abc import Callable

    from config.classes import ResolvedClass
    from config.load import Loaded

log = structlog.get_logger()

Read = tuple["Loaded", "list[ResolvedClass]"]
START_ERRORS = (StartError, JournalError, MqttError, StoreError, ValueError, OSError)
# What belongs to the state folder and the broker's session: with another the daemon would be another one.
FIXED = ("daemon.state_dir", "daemon.id", "mqtt.client_id")


class Given(NamedTuple):
    """Settings that were checked, and what tells whether others are the same."""

    loaded: Loaded
    classes: list[ResolvedClass]
    values: dict[str, object]  # key -> value, and of what is a file its content's hash beside it


def given(read: Read) -> Given:
    """What was read, with the content of the files that it names. Raises OSError."""
    loaded, classes = read
    values: dict[str, object] = {}
    for key, value in effective(loaded.settings):
        values[key] = value
        if isinstance(value, Path) and value.is_file():
            values[f"{key} (content)"] = hashlib.sha256(value.read_bytes()).hexdigest()
    for each in classes:
        values[f"model of {each.name}"] = each.model_hash
    return Given(loaded, classes, values)


def changes(before: Given, after: Given) -> list[str]:
    """The keys whose values, or whose files, are others; never the values."""
    keys = dict.fromkeys([*before.values, *after.values])
    return [key for key in keys if before.values.get(key) != after.values.get(key)]


class Service:
    """`enginewatch monitor`, from its first settings to its end."""

    def __init__(self, read: Read, again: Callable[[], Read]) -> None:
        """`read` was checked; `again` reads anew, and raises SettingsError with every mistake."""
        self._given = given(read)
        self._again = again
        self._next: Given | None = None
        self._changed: list[str] | None = None  # of the reload that goes on; None: it is the first start
        self._reload = threading.Event()
        self._daemon: Daemon | None = None
        self._manager = ServiceManager(os.environ)
        self._signals = Signals(stop=self._stop, reload=self._reload.set)

    def run(self) -> int:
        """Run until SIGTERM or SIGINT; returns the exit code.

        Raises StartError, JournalError, MqttError, StoreError, ValueError and OSError where it cannot start.
        """
        with hold(self._given.loaded.settings.daemon.state_dir):
            code = self._one()
            while code is None:
                before, self._given = self._given, self._next or self._given
                try:
                    code = self._one()
                except START_ERRORS as error:
                    if self._daemon is not None and self._daemon.started:
                        raise
                    remedy = "it goes on with the settings before: mend this and send SIGHUP again"
                    log.error("reload_failed", reason=str(error), changed=self._changed, remedy=remedy)
                    self._given, self._changed = before, []
                    code = self._one()
        return code

    def _one(self) -> int | None:
        """One daemon to its end: the exit code, or None where another follows."""
        settings = self._given.loaded.settings
        configure(settings.log)
        self._daemon = None
        self._daemon = Daemon(settings, self._given.classes, self._manager, on_started=self._started)
        if self._signals.stopping:
            self._daemon.stop()
        return self._daemon.run(self._another)

    def _started(self) -> None:
        if self._changed:
            log.info("reloaded", changed=self._changed)
        self._manager.ready()

    def _stop(self) -> None:
        daemon = self._daemon
        if daemon is not None:  # else the one that is made will be told
            daemon.stop()

    def _another(self) -> bool:
        """Whether new settings were asked for, are good, and are others than those in force."""
        if not self._reload.is_set():
            return False
        self._reload.clear()
        self._manager.reloading()
        found = self._read()
        if found is not None:
            self._changed = changes(self._given, found)
            self._next = found
            if self._changed:
                return True
            log.info("reloaded", changed=[])
        self._manager.ready()
        return False

    def _read(self) -> Given | None:
        """The settings as they are now; None where they cannot be taken, which is told."""
        try:
            found = given(self._again())
        except SettingsError as error:
            mistakes = error.lines
        except OSError as error:
            mistakes = [str(error)]
        else:
            fixed = [key for key in FIXED if found.values[key] != self._given.values[key]]
            mistakes = [f"{key} is another: that needs a restart of the daemon" for key in fixed]
            if not mistakes:
                return found
        log.error("reload_refused", mistakes=mistakes, remedy="it goes on as before: mend them, send SIGHUP again")
        return None
