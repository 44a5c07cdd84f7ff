"""requirements.lock: what a plant installs is exactly that, and what pyproject.toml asks for."""

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[1]
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
PINS = dict(re.findall(r"(?m)^([a-z0-9._-]+)==(\S+) \\$", LOCK))


def plain(name: str) -> str:
    """A project's name as the lock has it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_base_dependency_is_pinned_to_a_version_that_is_asked_for() -> None:
    """After a change: `make lock`."""
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    for each in map(Requirement, asked):
        assert each.specifier.contains(Version(PINS[plain(each.name)])), each


def test_everything_has_hashes_and_no_place_of_its_own() -> None:
    """So that it does not matter where it is downloaded from."""
    entries = re.split(r"(?m)^(?=[a-z0-9])", LOCK)[1:]
    assert len(entries) == len(PINS)
    assert all(re.search(r"--hash=sha256:[0-9a-f]{64}", entry) for entry in entries)
    assert not re.search(r"https?:|file:|@|--index|--find|--trusted", LOCK)


def test_what_is_for_training_alone_is_not_in_it() -> None:
    assert not PINS.keys() & {"torch", "onnx", "safetensors", "pandas", "scikit-learn", "pyarrow"}
