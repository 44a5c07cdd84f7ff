"""What kind of thing a payload is, and its leaves. Nothing that arrives can raise here."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from monitor.discovery.capture import Captured

DEEPEST = 8  # levels of nesting that are followed
LARGEST = 3.4e38
WIDEST = 2_000  # leaves of one payload
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
# One line of InfluxDB's line protocol; names may hold escaped commas, equals signs and spaces.
_WORD = r"(?:\\.|[^\\,= \n])+"
_FIELD = rf'{_WORD}=(?:"(?:\\.|[^"\\])*"|[^, "\n]+)'
PROTOCOL = re.compile(rf"({_WORD})((?:,{_WORD}={_WORD})*) ({_FIELD}(?:,{_FIELD})*)(?: (-?\d+))?")


class Line(NamedTuple):
    """A line of line protocol."""

    measurement: str
    tags: dict[str, str]
    fields: dict[str, Any]
    time: int | None


_SWITCHES = {"true", "false", "on", "off"}


def parse(message: Captured) -> tuple[str, Any]:
    """The kind of a payload and what it holds.

    Kinds: "empty", "huge", "binary", "number", "null", "switch", "text", "object", "list" and "line"; an object
    and a list come as Python's own, lines as a list of `Line`, the rest as text.
    """
    if not message.payload:
        return "empty", ""
    if message.cut:
        return "huge", ""
    try:
        text = message.payload.decode().strip()
    except UnicodeDecodeError:
        return "binary", ""
    if not text:
        return "empty", ""
    if NUMBER.fullmatch(text):
        return "number", text
    if text == "null":
        return "null", text
    if text.lower() in _SWITCHES:
        return "switch", text
    if text[0] in "{[":
        try:
            parsed = json.loads(text)
        except (ValueError, RecursionError):
            return "text", text
        return ("object" if isinstance(parsed, dict) else "list"), parsed
    lines = _lines(text)
    if lines is not None:
        return "line", lines
    return ("text" if text.isprintable() or "\n" in text else "binary"), text


def number(value: Any) -> float | None:
    """A number that fits the daemon's floats of 32 bits; None for everything else, true and false too."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if abs(found) <= LARGEST else None


def leaves(tree: Any) -> dict[str, Any]:
    """Dotted path -> scalar or list of everything in an object; no lists are entered, nor keys with a dot in them.

    >>> leaves({"ts": 1, "motor": {"temp": 2.5, "on": True}, "list": [1, 2]})
    {'ts': 1, 'motor.temp': 2.5, 'motor.on': True, 'list': [1, 2]}
    """
    found: dict[str, Any] = {}

    def walk(node: dict[str, Any], path: str, depth: int) -> None:
        for key, value in node.items():
            if len(found) >= WIDEST:
                return
            if not key or "." in key:
                continue
            if isinstance(value, dict):
                if depth < DEEPEST:
                    walk(value, f"{path}{key}.", depth + 1)
            else:
                found[path + key] = value

    if isinstance(tree, dict):
        walk(tree, "", 1)
    return found


def lists(tree: Any) -> dict[str, list[Any]]:
    """Dotted path -> list of objects, of every such list in an object; "" where the whole is one."""
    if isinstance(tree, list):
        return {"": tree} if _objects(tree) else {}
    found: dict[str, list[Any]] = {}

    def walk(node: dict[str, Any], path: str, depth: int) -> None:
        for key, value in node.items():
            if not key or "." in key:
                continue
            if isinstance(value, dict) and depth < DEEPEST:
                walk(value, f"{path}{key}.", depth + 1)
            elif isinstance(value, list) and _objects(value):
                found[path + key] = value

    if isinstance(tree, dict):
        walk(tree, "", 1)
    return found


def at(tree: Any, path: str) -> Any:
    """What stands at a dotted path; None where nothing does."""
    for key in path.split(".") if path else ():
        if not isinstance(tree, dict):
            return None
        tree = tree.get(key)
    return tree


def _objects(items: list[Any]) -> bool:
    return bool(items) and all(isinstance(item, dict) for item in items)


def _lines(text: str) -> list[Line] | None:
    """Line protocol, every line of it; None where one is something else."""
    found: list[Line] = []
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        match = PROTOCOL.fullmatch(line.strip())
        if match is None:
            return None
        name, tags, fields, time = match.groups()
        found.append(Line(_plain(name), _tags(tags), _fields(fields), int(time[:25]) if time else None))
    return found or None


def _plain(word: str) -> str:
    return re.sub(r"\\([,= ])", r"\1", word)


def _tags(text: str) -> dict[str, str]:
    pairs = re.findall(rf",({_WORD})=({_WORD})", text)
    return {_plain(name): _plain(value) for name, value in pairs}


def _fields(text: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in re.findall(rf'({_WORD})=("(?:\\.|[^"\\])*"|[^, "\n]+)', text):
        if value[0] == '"':
            found[_plain(name)] = value[1:-1]
        elif value in {"t", "T", "true", "True", "TRUE", "f", "F", "false", "False", "FALSE"}:
            found[_plain(name)] = value[0] in "tT"
        else:
            digits = value[:-1] if value[-1] in "iu" else value
            found[_plain(name)] = float(digits) if NUMBER.fullmatch(digits) else value
    return found
