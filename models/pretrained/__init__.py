"""The models that come with the package: one folder each, an artifact as `models.artifact` describes it.

`python -m benchmarks.pretrained build` makes them; nothing in these folders is written by hand.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from models.artifact import HEADER


def names() -> list[str]:
    """The names of the models that there are."""
    return sorted(folder.name for folder in _home().iterdir() if (folder / HEADER).is_file())


def folder(name: str) -> Path:
    """The folder of a model's artifact. Raises LookupError with the names that there are."""
    if name not in names():
        raise LookupError(f'there is no pretrained model "{name}"; there is {", ".join(names())}')
    return _home() / name


def _home() -> Path:
    """Where this package lies: wheels are unpacked when they are installed, so that it is a folder."""
    return Path(str(files(__name__)))
