"""What a run was made on: figures of another machine or another release are not the same figures."""

from __future__ import annotations

import os
import platform
import shutil
import sqlite3
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("numpy", "onnxruntime", "paho-mqtt", "msgspec", "torch")


def facts() -> dict[str, str]:
    """Processor, cores, and the versions of what does the work, by name."""
    found = {
        "processor": _processor(),
        "cores": str(len(os.sched_getaffinity(0))),
        "system": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "SQLite": sqlite3.sqlite_version,
    }
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    if server := _said("mosquitto", "-h"):
        found["mosquitto"] = server.split()[2]
    return found


def commit() -> str:
    """The commit that is measured, with a `+` where files differ from it; "unknown" outside a repository."""
    found = _said("git", "rev-parse", "--short", "HEAD")
    return (
        found + ("+" if found and _said("git", "status", "--porcelain", "--", ":(top)*.py") else "") or "unknown"
    )


def _processor() -> str:
    with Path("/proc/cpuinfo").open() as file:
        names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _said(*command: str) -> str:
    """The first line that a command prints; empty where there is no such command."""
    path = shutil.which(command[0], path=os.environ.get("PATH", "") + ":/usr/sbin")
    if path is None:
        return ""
    here = Path(__file__).parent
    done = subprocess.run([path, *command[1:]], capture_output=True, text=True, check=False, cwd=here)
    lines = done.stdout.strip().splitlines()
    return lines[0] if lines else ""
