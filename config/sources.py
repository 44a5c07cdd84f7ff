"""Where settings come from: TOML, secret files, the environment, the command line.

Every function here returns a layer, the values that its source gives, and appends what is wrong to `mistakes`;
whether the values themselves are right is checked later, for all sources alike.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from config.lines import line_numbers, line_of
from config.mistakes import SettingsError, unknown
from config.schema import Given, Layer, flatten, is_list, is_path, is_secret, pattern, sections
from config.secret import CREDENTIALS, looks_like_key, read_secret
from config.shipped import is_shipped

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pydantic.fields import FieldInfo

    Keys = dict[str, FieldInfo]

PREFIX = "ENGINEWATCH_"
SECRETS = "ENGINEWATCH_SECRETS_DIR"
# Variables with our prefix that are no settings; the second asks the tests to insist on real servers.
OTHER_VARIABLES = {SECRETS, "ENGINEWATCH_REQUIRE_SERVERS"}

LONGEST = 1 << 20  # bytes of a TOML file: one may come with a model from elsewhere
# A key of thousands of parts takes the parser memory by the square of them.
_DEEP = re.compile(r"""(?:(?:[\w-]{1,100}|"[^"\n]{0,100}"|'[^'\n]{0,100}')[ \t]*\.[ \t]*){50}""")
_NO_SECTION = "is a section and holds keys, not a value"
_EMPTY = "is empty"


def file_name(key: str) -> str:
    """The name of a secret file that gives a key."""
    return key.replace(".", "__")


def variable_name(key: str) -> str:
    """The name of the environment variable that gives a key."""
    return PREFIX + file_name(key).upper()


def from_toml(
    path: Path, keys: Keys, mistakes: list[str], text: str | None = None
) -> tuple[Layer, dict[str, int]]:
    """The keys of a TOML file, paths made relative to its folder, and the line of each.

    `text` stands for what the file holds. Raises SettingsError where the file cannot be read or is no TOML.
    """
    if text is None:
        text = _text(path)
    lines = line_numbers(text)
    layer: Layer = {}
    for key, value in flatten(tomllib.loads(text)):
        origin = f"{path}:{line_of(lines, key) or 1}"
        if pattern(key) in keys:
            layer[key] = Given(_beside(path, value) if is_path(keys[pattern(key)]) else value, origin)
        elif pattern(key) in sections(keys):
            empty = value in ({}, []) and not key[-1].isdigit()
            mistakes += [] if empty else [f"{origin}: {key}: {_NO_SECTION if value else _EMPTY}"]
        else:
            mistakes.append(f"{origin}: {key}: {unknown(key, list(keys))}")
    return layer, lines


def document_of(path: Path) -> dict[str, Any]:
    """What stands in a TOML file. Raises SettingsError where it cannot be read or is no TOML."""
    return tomllib.loads(_text(path))


def from_secret_files(environment: Mapping[str, str], keys: Keys, mistakes: list[str]) -> Layer:
    """The files of the secrets folder that are named like keys, `mqtt__password`; others are none of ours."""
    variable = next((name for name in (SECRETS, CREDENTIALS) if environment.get(name)), None)
    if variable is None:
        return {}
    layer: Layer = {}
    try:
        files = sorted(Path(environment[variable]).iterdir())
    except OSError as error:
        mistakes.append(f"environment {variable}: {environment[variable]} cannot be read: {error.strerror}")
        return {}
    for file in files:
        key, origin = file.name.replace("__", "."), f"secret file {file}"
        if pattern(key) in keys:
            try:
                value = read_secret(file, environment)
            except SettingsError as error:
                mistakes += [f"{origin}: {key}: {line}" for line in error.lines]
            else:
                _add_text(layer, key, Given(value, origin), keys, mistakes)
        elif file.is_file() and looks_like_key(file.name, keys):
            mistakes.append(f"{origin}: {unknown(key, list(keys), file_name)}")
    return layer


def from_environment(environment: Mapping[str, str], keys: Keys, mistakes: list[str]) -> Layer:
    """The variables with our prefix; upper or lower case is the same."""
    layer: Layer = {}
    for name, value in environment.items():
        if not name.upper().startswith(PREFIX) or name.upper() in OTHER_VARIABLES:
            continue
        key, origin = name[len(PREFIX) :].lower().replace("__", "."), f"environment {name}"
        if pattern(key) in keys:
            _add_text(layer, key, Given(value, origin), keys, mistakes)
        elif pattern(key) in sections(keys):
            mistakes.append(f"{origin}: is a section; give its keys one by one, {name.upper()}__…")
        else:
            mistakes.append(f"{origin}: {unknown(key, list(keys), variable_name)}")
    return layer


def from_command_line(overrides: Sequence[str], keys: Keys, mistakes: list[str]) -> Layer:
    """The values of `--set KEY=VALUE`. A secret is refused: everyone can see the arguments of a process."""
    layer: Layer = {}
    for text in overrides:
        key, equals, value = text.partition("=")
        key = key.strip()
        if not equals:
            mistakes.append("command line: --set needs KEY=VALUE, such as --set mqtt.port=8883")
        elif pattern(key) not in keys:
            mistakes.append(f"command line: {key}: {unknown(key, list(keys))}")
        elif is_secret(keys[pattern(key)]):
            sentence = f"others could see it in the list of processes; use {variable_name(key)}"
            mistakes.append(f"command line: {key}: {sentence}")
        else:
            _add_text(layer, key, Given(value.strip(), "command line"), keys, mistakes)
    return layer


def origin_of(key: str, given: Layer, lines: Mapping[str, int], path: Path | None) -> str:
    """Where to look for a key: its own place, or else that of its section."""
    if key in given:
        return given[key].origin
    line = line_of(lines, key)
    if line is not None:
        return f"{path}:{line}"
    section = key.rpartition(".")[0] + "."
    beside = next((value.origin for name, value in given.items() if name.startswith(section)), None)
    return beside or str(path or "settings")


def _add_text(layer: Layer, key: str, given: Given, keys: Keys, mistakes: list[str]) -> None:
    """Add a value that came as text; pydantic reads numbers from it, a list is written as in TOML."""
    value: Any = given.value
    if is_list(keys[pattern(key)]):
        try:
            value = tomllib.loads(f"value = {value}")["value"] if value.startswith("[") else [value]
        except tomllib.TOMLDecodeError:
            mistakes.append(f'{given.origin}: {key}: must be one text, or a list such as ["one", "two"]')
            return
    layer[key] = Given(value, given.origin)


def _text(path: Path) -> str:
    """The text of a TOML file that parses."""
    content = b""
    try:
        with path.open("rb") as file:
            content = file.read(LONGEST + 1)
        if len(content) > LONGEST:
            raise SettingsError([f"{path}: is larger than {LONGEST >> 20} MiB"])
        text = content.decode("utf-8-sig")
        if found := _DEEP.search(text):
            line = text.count("\n", 0, found.start()) + 1
            raise SettingsError([f"{path}:{line}: is no valid TOML: a key of too many parts"])
        tomllib.loads(text)
    except RecursionError:
        raise SettingsError([f"{path}: is no valid TOML: nested too deeply"]) from None
    except OSError as error:
        raise SettingsError([f"{path}: cannot be read: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise SettingsError([f"{path}:{line}: is not UTF-8 text"]) from error
    except tomllib.TOMLDecodeError as error:
        sentence, _, place = str(error).rstrip(")").rpartition(" (at ")
        number = place.removeprefix("line ").partition(",")[0]
        line = int(number) if number.isdigit() else text.count("\n") + 1
        raise SettingsError([f"{path}:{line}: is no valid TOML: {sentence}"]) from error
    return text


def _beside(file: Path, value: Any) -> Any:
    """A path that stands in a file, relative to the file's folder; anything else as it is."""
    return str(file.parent / value) if isinstance(value, str) and value and not is_shipped(value) else value
