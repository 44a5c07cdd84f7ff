"""The floors of `enginewatch calibrate --apply`: into the settings file, and the daemon asked to take them."""

from __future__ import annotations

import os
import signal
import socket
import struct
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from config.edit import with_floor
from config.load import load
from config.mistakes import SettingsError
from monitor.cli import UserError
from monitor.door import SOCKET
from monitor.spec import LineSpec

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from config.load import Loaded
    from monitor.store import Store

TAKEN_S = 20.0  # a reload is a start of the daemon's rooms
LOOK_S = 0.2
MARK = "\ufeff"  # of UTF-8, with which some editors begin a file
BY_HAND = "have the daemon reload it (SIGHUP, or systemctl reload enginewatch)"


def write(loaded: Loaded, floors: Mapping[str, float]) -> None:
    """Write the floors of classes by name; the file is replaced as a whole, once its text is known to load.

    A link stays a link, and owner and rights stay as they are. Raises UserError.
    """
    path = loaded.path
    assert path is not None
    names = [each.name for each in loaded.settings.classes]
    try:
        text = path.read_text(encoding="utf-8")
        for name, floor in floors.items():
            text = with_floor(text, names.index(name), floor)
        _check(load(path, text=text.removeprefix(MARK), environment=os.environ), floors, names)
        _replace(path.resolve(strict=True), text)
    except (ValueError, OSError) as error:
        said = "; ".join(error.lines) if isinstance(error, SettingsError) else str(error)
        raise UserError(f"{path} was not changed: {said}") from error


def _check(written: Loaded, floors: Mapping[str, float], names: list[str]) -> None:
    """Raises ValueError where a floor that is to be written is not the one that counts."""
    for name, floor in floors.items():
        number = names.index(name)
        own = written.settings.classes[number].threshold
        if own is None or own.floor != floor:
            source = written.sources[f"classes.{number}.threshold.floor"]
            raise ValueError(f"the floor of class {name} comes from {source}: change it there")


def _replace(path: Path, text: str) -> None:
    """Another content under the same name, after a power cut the old or the new one. Raises OSError."""
    before = path.stat()
    growing = path.with_name(f".{path.name}.new")
    growing.unlink(missing_ok=True)
    descriptor = os.open(growing, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            with suppress(PermissionError):  # only root may give a file away
                os.fchown(descriptor, before.st_uid, before.st_gid)
            os.fchmod(descriptor, before.st_mode & 0o777)
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        growing.replace(path)
    except BaseException:
        growing.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def reload(folder: Path, store: Store, floors: Mapping[str, float]) -> str:
    """Ask the daemon that listens in the folder to reload; what came of it, in words. Raises StoreError."""
    if not _asked(folder):
        return f"no daemon could be asked to reload it: {BY_HAND}"
    end = time.monotonic() + TAKEN_S
    while not _taken(store, floors):
        if time.monotonic() > end:
            return (
                f"the daemon was asked to reload, and did not take them within {TAKEN_S:g} s: it works by another"
                " settings file, or its log says what keeps it"
            )
        time.sleep(LOOK_S)
    return "the daemon works by them"


def _asked(folder: Path) -> bool:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(f"/proc/self/fd/{descriptor}/{SOCKET}")
            credentials = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        process = struct.unpack("3i", credentials)[0]
        if process <= 0:  # it runs in another container
            return False
        os.kill(process, signal.SIGHUP)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def _taken(store: Store, floors: Mapping[str, float]) -> bool:
    """Whether the daemon says that it works by these floors."""
    classes = LineSpec.decode(store.facts()["line"].encode()).classes
    return all(each.threshold.floor == floors[each.name] for each in classes if each.name in floors)
