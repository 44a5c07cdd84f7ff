"""What comes with the package: `pretrained:NAME` stands for a model, and for the asset file of its sensors."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

from config.mistakes import SettingsError

PREFIX = "pretrained:"


def is_shipped(model: Any) -> bool:
    """Whether a value names a model that comes with the package, and not a folder of the user's."""
    return isinstance(model, str | Path) and str(model).startswith(PREFIX)


def model_folder(model: Path) -> Path:
    """The folder of a model that is given by its own name or by its folder. Raises SettingsError."""
    if not is_shipped(model):
        return model
    from models import pretrained  # noqa: PLC0415 - most settings name no shipped model, and need nothing of it

    try:
        return pretrained.folder(str(model).removeprefix(PREFIX))
    except LookupError as error:
        raise SettingsError([str(error)]) from error


def asset_file(model: Path) -> Path:
    """The asset file that goes with a model of the package; the model's own has no ranges."""
    return Path(str(files("config"))) / "assets" / f"{str(model).removeprefix(PREFIX)}.toml"
