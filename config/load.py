"""Loads the settings: command line > environment > secret files > TOML > defaults.

Everything that can be known without a connection is checked here: each key and value, what must agree, the
files that settings name. All mistakes are told at once, each with the place where it was made.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource

from config.files import asset_files, check_contents, check_files
from config.mistakes import SettingsError, sentences
from config.own import SEPARATOR, origin_key
from config.schema import Given, Layer, effective, fields, nest
from config.settings import Settings
from config.sources import from_command_line, from_environment, from_secret_files, from_toml, origin_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from config.asset_file import AssetFile


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings that have passed every check."""

    settings: Settings
    sources: dict[str, str]  # key -> "default", "enginewatch.toml:12", "environment ENGINEWATCH_…", …
    assets: dict[str, AssetFile]  # name of a class, or CLASS/OVERRIDE -> its asset file, where it has one
    path: Path | None = None  # of the TOML file

    def mistake(self, key: str, sentence: str) -> str:
        """One line about a key, with the place where it was given."""
        return f"{self.sources[key]}: {key}: {sentence}"


def load(
    path: Path | None, *, text: str | None = None, overrides: Sequence[str] = (), environment: Mapping[str, str]
) -> Loaded:
    """Load and check the settings; `overrides` are KEY=VALUE texts of the command line.

    `text` is what the file is about to hold, in place of what it holds.

    Relative paths in the file, and the default of `daemon.state_dir`, are relative to the file's folder, so
    that every command finds the same state; those of other sources are relative to the current folder.
    Raises SettingsError with every mistake.
    """
    keys = fields(Settings)
    mistakes: list[str] = []
    toml, lines = from_toml(path, keys, mistakes, text) if path else ({}, {})
    layers = [
        from_command_line(overrides, keys, mistakes),
        from_environment(environment, keys, mistakes),
        from_secret_files(environment, keys, mistakes),
        toml,
        _default_paths(path),
    ]
    given = {key: value for layer in reversed(layers) for key, value in layer.items()}
    mistakes += check_files(given, environment)
    assets = asset_files(given, mistakes)
    gaps = list(_gaps(given))
    if gaps:
        raise SettingsError(mistakes + gaps)
    try:
        settings = _merge(layers)
    except ValidationError as error:
        for key, sentence in sentences(error, keys, given.__contains__):
            if _giver(key, given) == key:  # else it is told of the section that the value comes from
                mistakes.append(f"{origin_of(key, given, lines, path)}: {key}: {sentence}")
        raise SettingsError(mistakes) from None  # pydantic's own text may hold a secret
    mistakes += [] if mistakes else check_contents(settings, given)
    if mistakes:
        raise SettingsError(mistakes)
    givers = {key: _giver(key, given) for key, _ in effective(settings)}
    sources = {key: given[giver].origin if giver in given else "default" for key, giver in givers.items()}
    named = {name: assets[key] for name, key in _files(settings) if key in assets}
    return Loaded(settings, sources, named, path)


def _giver(key: str, given: Layer) -> str:
    """The key that a value comes from: a class that does not give one has it from the daemon's own section."""
    giver = key
    while giver not in given and origin_key(giver):
        giver = origin_key(giver)
    return giver if giver in given else key


def _files(settings: Settings) -> Iterator[tuple[str, str]]:
    """The names of the classes and of their overrides, and the key of the asset file of each."""
    for number, entry in enumerate(settings.classes):
        yield entry.name, f"classes.{number}.file"
        for index, override in enumerate(entry.overrides):
            yield f"{entry.name}{SEPARATOR}{override.name}", f"classes.{number}.overrides.{index}.file"


def _default_paths(path: Path | None) -> Layer:
    """The defaults that are paths, beside the TOML file where there is one."""
    defaults = {key: field.default for key, field in fields(Settings).items() if field.default}
    return {
        key: Given(str(path.parent / value if path else value), "default")
        for key, value in defaults.items()
        if isinstance(value, Path)
    }


def _gaps(given: Layer) -> Iterator[str]:
    """The classes' numbers that are wrong: several sources may give one class together, but none is left out."""
    numbers = {key.split(".")[1] for key in given if key.startswith("classes.")}
    strange = numbers - {str(number) for number in range(len(numbers))}
    for key, value in given.items():
        if key.startswith("classes.") and key.split(".")[1] in strange:
            yield f"{value.origin}: {key}: the classes are numbered from 0 on, without a gap"


def _merge(layers: Sequence[Layer]) -> Settings:
    """One Settings of all layers, the first one wins. Raises ValidationError."""

    class Sourced(Settings):
        """The settings with their sources."""

        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            """The layers in their order, in place of what pydantic-settings reads by itself."""
            del init_settings, env_settings, dotenv_settings, file_secret_settings
            return tuple(InitSettingsSource(settings_cls, nest(layer)) for layer in layers)

    return Sourced()
