"""What a class of assets, or some of its assets, have of their own in place of the daemon's settings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, Field

from config.overlap import globs_overlap
from config.section import Mistake, Section
from config.sections import (
    AlertSettings,
    AlignSettings,
    SensorCheckSettings,
    ThresholdSettings,
    WindowSettings,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

OWN = ("align", "sensor_check", "window", "threshold", "alert")  # the sections that OwnSettings has
EVERY_KEY = "*/*/*"  # site/area/asset
SEPARATOR = "/"  # between a class and its override in a name; neither can hold it


class OwnSettings(Section):
    """Sections that count in place of the daemon's: whoever gives a part of one keeps the rest of it."""

    align: AlignSettings | None = Field(None, description="ticks")
    sensor_check: SensorCheckSettings | None = Field(None, description="faulty sensors")
    window: WindowSettings | None = Field(None, description="windows")
    threshold: ThresholdSettings | None = Field(None, description="thresholds")
    alert: AlertSettings | None = Field(None, description="incidents")

    def own(self) -> dict[str, Section]:
        """The sections that are given."""
        return {name: getattr(self, name) for name in OWN if getattr(self, name) is not None}


class OverrideSettings(OwnSettings):
    """Assets of a class that are to be watched otherwise than the rest, with the same model."""

    name: str = Field(pattern=r"^[A-Za-z0-9_.-]+$", description="what they are called together: CLASS/NAME")
    assets: tuple[str, ...] = Field(
        min_length=1,
        description="globs on site/area/asset: which assets of the class; the first override counts",
    )
    file: Path | None = Field(
        None,
        description="asset file in place of the class's: the same sensors, units and period, with other ranges, "
        "names in payloads, conversions and regimes",
    )


def glob_mistakes(key: str, assets: Sequence[str]) -> Iterator[Mistake]:
    """Globs that no asset can match, because a name such as pump-7 is not all of its key."""
    for glob in assets:
        if not globs_overlap(glob, EVERY_KEY):
            yield Mistake((key,), f'"{glob}" is no site/area/asset; write plant//{glob}, or */{glob} for any site')


def override_mistakes(assets: Sequence[str], overrides: Sequence[OverrideSettings]) -> Iterator[Mistake]:
    """What is wrong between the overrides of a class that takes `assets`."""
    for index, later in enumerate(overrides):
        key = f"overrides.{index}"
        strange = list(glob_mistakes(f"{key}.assets", later.assets))
        yield from strange
        for glob in later.assets if not strange else ():
            if not any(globs_overlap(glob, taken) for taken in assets):
                yield Mistake((f"{key}.assets",), f'"{glob}" can match no asset of the class')
        for number, earlier in enumerate(overrides[:index]):
            if earlier.name == later.name:
                yield Mistake((f"{key}.name",), f'"{later.name}" is the name of overrides.{number} already')


def inherited(document: Mapping[str, Any]) -> dict[str, Any]:
    """A document of settings in which what classes and overrides give of a section is completed.

    An override has the rest from its class, a class from the daemon; so whole sections are checked.
    """
    classes = document.get("classes")
    if not isinstance(classes, Mapping):
        return dict(document)
    done = {number: _completed(entry, document) for number, entry in classes.items()}
    return {**document, "classes": done}


def _completed(entry: Any, above: Mapping[str, Any]) -> Any:
    if not isinstance(entry, Mapping):
        return entry
    done = dict(entry)
    for name in OWN:
        if isinstance(entry.get(name), Mapping):
            done[name] = {**_as_document(above.get(name)), **entry[name]}
    overrides = entry.get("overrides")
    if isinstance(overrides, Mapping):
        rest = {**above, **done}
        done["overrides"] = {number: _completed(each, rest) for number, each in overrides.items()}
    return done


def _as_document(section: Any) -> Mapping[str, Any]:
    if isinstance(section, BaseModel):
        return section.model_dump()
    return section if isinstance(section, Mapping) else {}


def owner_of(key: str) -> str:
    """The class or the override, as a key, that has the section of this key as its own; empty for other keys.

    >>> owner_of("classes.0.alert.k"), owner_of("classes.*.overrides.*.alert.k"), owner_of("alert.k")
    ('classes.0', 'classes.*.overrides.*', '')
    """
    owner, _, section = key.rpartition(".")[0].rpartition(".")
    return owner if section in OWN else ""


def origin_key(key: str) -> str:
    """The key that a class or an override has a value from where it does not give one: one level up.

    >>> origin_key("classes.0.overrides.1.alert.k"), origin_key("classes.0.alert.k"), origin_key("alert.k")
    ('classes.0.alert.k', 'alert.k', '')
    """
    owner = owner_of(key)
    if not owner:
        return ""
    above = owner.rpartition(".overrides.")[0]
    return ".".join([above, *key.split(".")[-2:]]).lstrip(".")
