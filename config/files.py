"""The files and folders that settings name: whether they are there, and what stands in the asset files."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from config.asset_file import AssetFile
from config.mistakes import SettingsError, sentences
from config.notify import wrong_address, wrong_token
from config.regimes import keys_of
from config.schema import fields, is_path, nest, pattern
from config.secret import NO_HEADER, check_private, in_a_header, read_secret, secret
from config.settings import LEAST_TOKEN, Settings
from config.shipped import asset_file, is_shipped, model_folder
from config.sources import document_of, from_toml, origin_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from config.schema import Layer

LEAST_SECRET = {"http.token_file": LEAST_TOKEN, "commands.hmac_key_file": LEAST_TOKEN}  # characters
ASSET_FILES, MODEL = ("classes.*.file", "classes.*.overrides.*.file"), "classes.*.model"


def check_files(given: Layer, environment: Mapping[str, str]) -> Iterator[str]:
    """What is wrong with the files and folders themselves: missing, not readable, or a secret others can read."""
    keys = fields(Settings)
    for key, value in given.items():
        if is_path(keys[pattern(key)]) and isinstance(value.value, str) and value.value:
            try:
                _check(key, Path(value.value), environment)
            except SettingsError as error:
                yield from (f"{value.origin}: {key}: {line}" for line in error.lines)
            except OSError as error:
                yield f"{value.origin}: {key}: {value.value} cannot be read: {error.strerror}"


def check_contents(settings: Settings, given: Layer) -> Iterator[str]:
    """What is wrong with what stands in the files of channels; that they can be read, `check_files` has seen."""
    for number, channel in enumerate(settings.notify.channels):
        for name, wrong in (
            ("url_file", lambda text, to=channel.to: wrong_address(to, text)),
            ("token_file", wrong_token),
        ):
            key, path = f"notify.channels.{number}.{name}", getattr(channel, name)
            if path is None:
                continue
            with suppress(OSError, UnicodeDecodeError):
                if sentence := wrong(secret(None, path) or ""):
                    yield f"{given[key].origin}: {key}: what stands in {path} {sentence}"


def asset_files(given: Layer, mistakes: list[str]) -> dict[str, AssetFile]:
    """The asset files that are there and right, by the key that names each; appends what is wrong with others.

    A class with a model that comes with the package, and without a file, has the file that goes with the model.
    """
    found: dict[str, AssetFile] = {}
    for key, path in {**_shipped_files(given), **_given_files(given)}.items():
        if path.is_file():
            try:
                found[key] = load_asset_file(path)
            except SettingsError as error:
                mistakes += error.lines
    return found


def _given_files(given: Layer) -> dict[str, Path]:
    """The asset files that are named, by their keys."""
    return {
        key: Path(value.value)
        for key, value in given.items()
        if pattern(key) in ASSET_FILES and isinstance(value.value, str) and value.value
    }


def _shipped_files(given: Layer) -> dict[str, Path]:
    """The asset files that go with models of the package, by the keys that could name others."""
    return {
        key.replace(".model", ".file"): asset_file(value.value)
        for key, value in given.items()
        if pattern(key) == MODEL and is_shipped(value.value)
    }


def load_asset_file(path: Path) -> AssetFile:
    """An asset class's own file. Raises SettingsError with every mistake."""
    keys = fields(AssetFile) | keys_of(document_of(path))
    mistakes: list[str] = []
    layer, lines = from_toml(path, keys, mistakes)
    document = nest(layer)
    sensors = list(document.get("sensors", {}).values())
    try:
        asset = AssetFile.model_validate(document | {"sensors": sensors})
    except ValidationError as error:
        for key, sentence in sentences(error, keys, layer.__contains__):
            mistakes.append(f"{origin_of(key, layer, lines, path)}: {key}: {sentence}")
        raise SettingsError(mistakes) from error
    if mistakes:
        raise SettingsError(mistakes)
    return asset


def _check(key: str, path: Path, environment: Mapping[str, str]) -> None:
    """Check what one key names. Raises SettingsError or OSError."""
    name = key.rpartition(".")[2]
    if name in {"password_file", "token_file", "hmac_key_file", "url_file"}:
        if len(read_secret(path, environment)) < LEAST_SECRET.get(key, 1):
            raise SettingsError([f"{path} has less than {LEAST_SECRET[key]} characters, so it could be guessed"])
        if key == "http.token_file" and not in_a_header(read_secret(path, environment)):
            raise SettingsError([f"{path} {NO_HEADER}"])
    elif name == "key_file":
        check_private(path, environment)
    elif name == "model":
        if not model_folder(path).is_dir():
            raise SettingsError([f"there is no folder {path}"])
    elif name != "state_dir":  # the daemon makes that one
        path.open("rb").close()
