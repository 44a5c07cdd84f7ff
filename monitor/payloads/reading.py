"""What every payload convention gives: readings by published names, and the reasons for what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from monitor.records import Message


class Reading(NamedTuple):
    """The values of one asset at one time."""

    time: int  # epoch ms, within the bounds of `times`
    values: dict[str, float | None]  # by published name; finite, None = missing
    asset: str = ""  # its name, where the payload gives it


class Reader(Protocol):
    """Reads the messages of one asset class."""

    def read(self, message: Message, sensor: str, refused: list[str]) -> list[Reading]:
        """The readings of a message, in their order; `sensor` is what the topic named, empty where it did not.

        Appends to `refused` one reason for every value, and for every reading of no use, that is left out.
        """


def gathered(cells: Iterable[tuple[int, str, str, float | None]]) -> list[Reading]:
    """Single values (time, asset, sensor, value) as readings: those of one asset and time together.

    A sensor that comes again for the same time begins a reading of its own, so that it is seen to be a repeat.
    """
    made: list[Reading] = []
    latest: dict[tuple[int, str], dict[str, float | None]] = {}
    for time, asset, sensor, value in cells:
        values = latest.get((time, asset))
        if values is None or sensor in values:
            values = latest[time, asset] = {}
            made.append(Reading(time, values, asset))
        values[sensor] = value
    return made
