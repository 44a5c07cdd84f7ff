"""A small model trained by the command, once for all tests that need a real one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests import recordings
from tests.rig import run

if TYPE_CHECKING:
    from pathlib import Path

WINDOW = 30


@pytest.fixture(scope="session")
def pump_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The artifact of a model of the pumps in `tests.recordings`."""
    folder = tmp_path_factory.mktemp("model")
    out = folder / "pump"
    run(
        "train", recordings.normal(folder), "--out", out, "--asset-column", "asset", "--period-ms", "1000",
        "--window", str(WINDOW), "--epochs", "25",
    )  # fmt: skip
    return out
