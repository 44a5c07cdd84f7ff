"""The asset class of the canary: the daemon has it beside those of the settings."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from config.canary import NAME
from config.classes import resolve_classes
from config.load import load

if TYPE_CHECKING:
    from collections.abc import Sequence

    from config.classes import ResolvedClass
    from config.settings import Settings

MODEL = "pretrained:engine"


def with_canary(settings: Settings, classes: Sequence[ResolvedClass]) -> list[ResolvedClass]:
    """The classes, before them that of the canary where it is enabled: the first that takes an asset has it."""
    if not settings.canary.enabled:
        return list(classes)
    # Nobody else may have its name, not even in settings.
    given = {"name": "canary", "model": MODEL, "assets": json.dumps([f"{NAME}//{settings.daemon.id}"])}
    loaded = load(None, overrides=[f"classes.0.{key}={value}" for key, value in given.items()], environment={})
    return [*(replace(each, name=NAME) for each in resolve_classes(loaded)), *classes]
