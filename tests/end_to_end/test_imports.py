"""What the daemon needs to run: no package of the training extra, neither installed nor imported."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TRAINING = {"torch", "onnx", "safetensors", "onnxscript"}
IMPORTED = "import json, sys\nimport {}\nprint(json.dumps(sorted({{name.split('.')[0] for name in sys.modules}})))"


@pytest.mark.parametrize(
    "module", ["monitor.daemon", "monitor.commands.monitor", "monitor.commands.scores", "simulator.publish"]
)
def test_the_daemon_imports_nothing_of_training(module: str) -> None:
    """A process of its own, with everything that the module imports."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED.format(module)], capture_output=True, text=True, check=True, cwd=ROOT
    )
    found = set(json.loads(done.stdout))
    assert "config" in found or "monitor" in found
    assert not found & (TRAINING | {"pyarrow"})


def test_the_scoring_runtime_is_there_all_the_same() -> None:
    """The daemon does import what scores, so the test above looks at the right process."""
    code = IMPORTED.format("monitor.daemon")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert {"onnxruntime", "paho", "structlog"} <= set(json.loads(done.stdout))


def test_the_base_dependencies_hold_nothing_of_training() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    def names(requirements: list[str]) -> set[str]:
        return {requirement.split(">")[0].split("=")[0].split("[")[0].strip() for requirement in requirements}

    assert not names(project["dependencies"]) & (TRAINING | {"pyarrow"})
    assert {"torch", "onnx", "safetensors"} <= names(project["optional-dependencies"]["train"])
