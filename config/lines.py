"""On which line of a TOML file each key stands, so that a mistake can be shown where it was made."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any

from config.schema import dotted, flatten

if TYPE_CHECKING:
    from collections.abc import Mapping


def line_numbers(text: str) -> dict[str, int]:
    r"""The line of every key and table header of a valid TOML text; lists of tables are numbered.

    A value that spans several lines has the line where its key stands. Statements end with a line, so the
    text is taken line by line until what was gathered parses: tomllib itself knows quotes and brackets.

    >>> line_numbers('[mqtt]\nport = 1\n[[classes]]\nname = "a"')
    {'mqtt': 1, 'mqtt.port': 2, 'classes.0': 3, 'classes.0.name': 4}
    """
    found: dict[str, int] = {}
    counts: dict[tuple[str, ...], int] = {}  # list of tables -> the number of its latest
    table: tuple[str, ...] = ()
    statement, start = "", 0
    for number, line in enumerate(text.split("\n"), 1):
        start = start if statement else number
        statement += line + "\n"
        try:
            document = tomllib.loads(statement)
        except tomllib.TOMLDecodeError:
            continue
        if statement.lstrip().startswith("["):
            table = _table(document, counts)
            found.setdefault(dotted(table), start)
        else:
            for key, _ in flatten(document, table):
                found.setdefault(key, start)
        statement = ""
    return found


def line_of(lines: Mapping[str, int], key: str) -> int | None:
    """The line of a key, or else of the nearest table or value that it stands in."""
    while key and key not in lines:
        key = key.rpartition(".")[0]
    return lines.get(key)


def _table(header: dict[str, Any], counts: dict[tuple[str, ...], int]) -> tuple[str, ...]:
    """The path of a header line such as `[mqtt.tls]` or `[[classes]]`; counts the latter up."""
    path: tuple[str, ...] = ()
    node: Any = header
    while node:
        name, node = next(iter(node.items()))
        path += (name,)
        if isinstance(node, list):
            counts[path] = counts.get(path, -1) + 1
            node = node[0]
        if path in counts:
            path += (str(counts[path]),)
    return path
