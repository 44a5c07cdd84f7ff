r"""InfluxDB line protocol, as Telegraf publishes it (payload = "line").

    measurement[,tag=value…] field=value[,field=value…] [time]

One line or many a message. A field goes by its own name or, where the class has a sensor of that name, by
`measurement.field`. Numbers are taken in every form (1.5, 15i, 15u); text and booleans are no readings. Escapes
are those of the protocol: a backslash before a comma, an equals sign or a space in names, before a quote or a
backslash in text.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from monitor.payloads.reading import Reading, gathered
from monitor.payloads.times import TimeFormat, read_time
from monitor.payloads.words import is_name, short

if TYPE_CHECKING:
    from collections.abc import Mapping

    from monitor.payloads.names import Names
    from monitor.records import Message

# A line is cut by expressions that cannot run wild: every alternative begins with another character.
_NAME = r"(?:[^\\,= \n]|\\.)+"
_MEASUREMENT = re.compile(r"(?:[^\\, \n]|\\.)+")
_TAG = re.compile(rf",({_NAME})=({_NAME})")
_FIELD = re.compile(rf'({_NAME})=("(?:[^"\\]|\\.)*"|[^", \n\\]+)', re.DOTALL)
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?|[+-]?[0-9]+[iu]")
_TRUTH = {"t", "T", "true", "True", "TRUE", "f", "F", "false", "False", "FALSE"}
_TIME = re.compile(r" +(-?[0-9]+)(?=[ \r]*(?:\n|$))")
_END = re.compile(r"[ \r]*(?:\n|$)")
_ESCAPED = re.compile(r"\\([,= \\\"])")
_IDLE = re.compile(r"[ \t\r\n]*(?:#[^\n]*(?:\n|$)[ \t\r\n]*)*")


class LineReader:
    """Reads line protocol."""

    def __init__(self, names: Names, *, time_format: TimeFormat, asset_tag: str, arrival_time: bool) -> None:
        """`asset_tag` names the asset, where the topic does not."""
        self._names = names
        self._time_format: TimeFormat = time_format
        self._asset_tag = asset_tag
        self._arrival_time = arrival_time

    def read(self, message: Message, sensor: str, refused: list[str]) -> list[Reading]:  # noqa: ARG002 - fields are named
        """See `Reader`."""
        try:
            text = message.payload.decode()
        except UnicodeDecodeError:
            refused.append("not line protocol: it is not UTF-8")
            return []
        cells: list[tuple[int, str, str, float | None]] = []
        position, number = _IDLE.match(text).end(), 0  # type: ignore[union-attr]  # it matches nothing, too
        if position == len(text):
            refused.append("payload is empty")
        while position < len(text):
            number += 1
            line = _Line(text, position)
            if line.fault:
                refused.append(f"line {number}: {line.fault}")
            else:
                self._take(line, message.arrival, cells, refused)
            position = _IDLE.match(text, line.end).end()  # type: ignore[union-attr]  # as above
        return gathered(cells)

    def _take(
        self, line: _Line, arrival: int, cells: list[tuple[int, str, str, float | None]], refused: list[str]
    ) -> None:
        """The fields of one line."""
        time: int | str = arrival
        if not self._arrival_time:
            time = read_time(line.time, self._time_format, "the timestamp")
        asset = line.tags.get(self._asset_tag, "") if self._asset_tag else ""
        if isinstance(time, str):
            refused.append(time)
            return
        if self._asset_tag and not asset:
            refused.append(f"tag {self._asset_tag} is missing")
            return
        if self._asset_tag and not is_name(asset):
            refused.append(f'asset "{short(asset)}" cannot be a name')
            return
        for field, written in line.fields:
            name = self._name(line.measurement, field)
            value = _value(written)
            if value is not None and math.isfinite(value):
                cells.append((time, asset, name, value))
            elif self._names.refuses(name, number=value is not None):
                what = "text" if written.startswith('"') else "a boolean"
                fault = f"expected a number, got {what}" if value is None else "number is too large"
                refused.append(f"{short(name)}: {fault}")

    def _name(self, measurement: str, field: str) -> str:
        """The name that a field goes by: the longer one only where the class means something by it."""
        longer = f"{measurement}.{field}"
        meant = longer in self._names or (field not in self._names and self._names.ignores(longer))
        return longer if meant else field


class _Line:
    """One line, taken apart from `start` on; `fault` says what is wrong with it, `end` where it ends."""

    def __init__(self, text: str, start: int) -> None:
        self.tags: dict[str, str] = {}
        self.fields: list[tuple[str, str]] = []
        self.time: str | None = None
        self.measurement = ""
        self.fault = self._read(text, start)
        if self.fault:
            newline = text.find("\n", start)
            self.end = len(text) if newline < 0 else newline + 1

    def _read(self, text: str, at: int) -> str:
        found = _MEASUREMENT.match(text, at)
        if found is None:
            return "it begins with no measurement"
        self.measurement, at = _unescaped(found[0]), found.end()
        while found := _TAG.match(text, at):
            self.tags[_unescaped(found[1])] = _unescaped(found[2])
            at = found.end()
        if not text.startswith(" ", at):
            return "there are no fields behind the measurement and its tags"
        while text.startswith(" ", at):
            at += 1
        while found := _FIELD.match(text, at):
            written = found[2]
            if not (written[0] == '"' or written in _TRUTH or _NUMBER.fullmatch(written)):
                return f"{short(_unescaped(found[1]))} is no number, text or boolean"
            self.fields.append((_unescaped(found[1]), written))
            at = found.end()
            if not text.startswith(",", at):
                break
            at += 1
        if not self.fields or text[at - 1] == ",":
            return "a field is not name=value"
        if found := _TIME.match(text, at):
            self.time, at = found[1], found.end()
        found = _END.match(text, at)
        if found is None:
            return f'"{short(text[at:].lstrip(" ").partition(chr(10))[0])}" behind the fields is no timestamp'
        self.end = found.end()
        return ""


def _value(written: str) -> float | None:
    """A field's number; None where it holds text or a boolean. Infinite where it is too large."""
    if written[0] == '"' or written in _TRUTH:
        return None
    return float(written.rstrip("iu"))


def _unescaped(name: str) -> str:
    return _ESCAPED.sub(r"\1", name) if "\\" in name else name


def _escaped(name: str) -> str:
    return name.replace(",", "\\,").replace("=", "\\=").replace(" ", "\\ ")


def encode_line(measurement: str, tags: Mapping[str, str], values: Mapping[str, float], time: int) -> bytes:
    """A line as Telegraf publishes it, its time (epoch ms) in nanoseconds."""
    head = "".join(f",{_escaped(name)}={_escaped(value)}" for name, value in tags.items())
    fields = ",".join(f"{_escaped(name)}={value!r}" for name, value in values.items())
    return f"{_escaped(measurement)}{head} {fields} {time * 1_000_000}\n".encode()
