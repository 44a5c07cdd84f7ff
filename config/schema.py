"""What keys there are: the settings classes as a flat table from dotted key to field.

A key is written as on the command line, `mqtt.tls.ca_file`; a list of sections is numbered, `classes.0.name`,
and `classes.*.name` stands for all of them. Values of any source are kept in this form until they are checked.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from pydantic import BaseModel, SecretStr

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pydantic.fields import FieldInfo


@dataclass(frozen=True, slots=True)
class Given:
    """A value as a source gives it, and where that was, in words for the user."""

    value: Any
    origin: str


MASK = "********"  # stands for a secret

Layer = dict[str, Given]  # dotted key -> value, of one source


def dotted(path: Sequence[str]) -> str:
    """A path as one key; a name that is no bare TOML name is quoted, so that its dots do not count."""
    return ".".join(
        name if re.fullmatch(r"[\w-]+", name) else json.dumps(name, ensure_ascii=False) for name in path
    )


def pattern(key: str) -> str:
    """The key with every number replaced by a star: the form in which `fields` has it."""
    return re.sub(r"(?<=\.)\d+(?=\.|$)", "*", key)


def fields(model: type[BaseModel], prefix: str = "") -> dict[str, FieldInfo]:
    """Every key that holds a value, in the order of the classes."""
    found: dict[str, FieldInfo] = {}
    for name, field in model.model_fields.items():
        inner, numbered = _section(field)
        if inner is None:
            found[prefix + name] = field
        else:
            found |= fields(inner, f"{prefix}{name}.*." if numbered else f"{prefix}{name}.")
    return found


def sections(keys: Mapping[str, FieldInfo]) -> set[str]:
    """Every key that holds other keys: `mqtt`, `mqtt.tls`, `classes`, `classes.*`."""
    parts = [key.split(".") for key in keys]
    return {".".join(names[:length]) for names in parts for length in range(1, len(names))}


def flatten(value: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """The keys of a nested document with their values; an empty section appears with an empty dictionary."""
    for name, inner in value.items():
        here = (*path, name)
        if isinstance(inner, list) and inner and all(isinstance(item, dict) for item in inner):
            inner = {str(number): item for number, item in enumerate(inner)}  # noqa: PLW2901 - as a section
        if isinstance(inner, dict) and inner:
            yield from flatten(inner, here)
        else:
            yield dotted(here), inner


def nest(layer: Layer) -> dict[str, Any]:
    """The nested document of keys that are all known, lists of sections as dictionaries by number."""
    document: dict[str, Any] = {}
    for key, given in layer.items():
        *path, name = key.split(".")
        inner = document
        for part in path:
            inner = inner.setdefault(part, {})
        inner[name] = given.value
    return document


def effective(section: BaseModel, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every key of checked settings with its value, lists of sections numbered; sections behind plain keys."""
    inner = {name: value for name, value in section if _section(type(section).model_fields[name])[0] is not None}
    yield from ((prefix + name, value) for name, value in section if name not in inner)
    for name, value in inner.items():
        if isinstance(value, BaseModel):
            yield from effective(value, f"{prefix}{name}.")
        else:
            for number, item in enumerate(value or ()):
                yield from effective(item, f"{prefix}{name}.{number}.")


def is_secret(field: FieldInfo) -> bool:
    """Whether the value must never be shown."""
    return SecretStr in _types(field)


def is_path(field: FieldInfo) -> bool:
    """Whether the value is a path."""
    return Path in _types(field)


def is_list(field: FieldInfo) -> bool:
    """Whether the value is a list."""
    return get_origin(field.annotation) is tuple


def allowed(field: FieldInfo) -> str:
    """What a value may be, in words that follow "must be"."""
    if is_list(field):
        return 'a list of texts such as ["one", "two"]'
    if get_origin(field.annotation) is Literal:
        return " or ".join(json.dumps(choice) for choice in get_args(field.annotation))
    names = {bool: "true or false", int: "a whole number", float: "a number", Path: "a path"}
    word = next((names[kind] for kind in _types(field) if kind in names), "text")
    bounds = {name: value for item in field.metadata for name, value in _bound(item)}
    if "ge" in bounds and "le" in bounds:
        return f"{word} from {bounds['ge']} to {bounds['le']}"
    limits = {"gt": "above", "ge": "not below", "lt": "below", "le": "not above"}
    limit = " and ".join(f"{limits[name]} {bounds[name]}" for name in limits if name in bounds)
    if "pattern" in bounds:
        limit = f"matching {bounds['pattern']}"
    elif "min_length" in bounds:
        limit = "that is not empty"
    return f"{word} {limit}".rstrip()


def shown(value: Any) -> str:
    """A value as TOML writes it; none is the empty text."""
    if value is None:
        return '""'
    if isinstance(value, SecretStr):
        return f'"{MASK}"'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | list):
        return f"[{', '.join(shown(item) for item in value)}]"
    if isinstance(value, int | float):
        return repr(value)
    return json.dumps(str(value), ensure_ascii=False)


def _section(field: FieldInfo) -> tuple[type[BaseModel] | None, bool]:
    """The class of the section that a field holds, and whether it holds a list of them."""
    kinds = [kind for kind in _types(field) if isinstance(kind, type) and issubclass(kind, BaseModel)]
    named = get_origin(field.annotation) is dict  # by names of the user's own, which are as good as numbers here
    return (kinds[0] if kinds else None), is_list(field) or named


def _types(field: FieldInfo) -> tuple[Any, ...]:
    """The type of a field, and the types that it is made of."""
    return (field.annotation, *get_args(field.annotation))


def _bound(item: Any) -> Iterator[tuple[str, Any]]:
    """The limits that one piece of a field's metadata sets."""
    for name in ("gt", "ge", "lt", "le", "min_length", "pattern"):
        value = getattr(item, name, None)
        if value is not None:
            yield name, value
