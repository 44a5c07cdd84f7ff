"""A small model trained by the command, once for all tests that need a real one."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

import pytest

from tests import recordings
from tests.rig import run

if TYPE_CHECKING:
    from pathlib import Path

WINDOW = 16  # short, so that training is quick


@pytest.fixture(scope="session")
def pump_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The artifact of a model of the pumps in `tests.recordings`; workers that run side by side share it."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # of the whole run
    out = folder / "pump"
    with (folder / "pump.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not out.exists():
            run(
                "train", recordings.normal(folder), "--out", out, "--asset-column", "asset", "--period-ms", "1000",
                "--window", WINDOW, "--epochs", 15, "--stride", 2,
            )  # fmt: skip
    return out
