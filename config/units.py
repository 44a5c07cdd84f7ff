"""From the unit that is published to the sensor's own, as a scale and an offset.

The library that knows the units (pint) is imported only when settings name a `published_unit`.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import cache
from typing import Any

REMEDY = 'pip install "enginewatch[units]"'

# What pint reads in another sense than people who work with machines ("Nm" is a number-metre to it).
_MEANT = {"Nm": "N*m", "kNm": "kN*m", "1": "dimensionless"}
# Names with powers and slashes, and nothing that had to be worked out: pint would reckon with 10**10**10 for ever.
_WRITTEN = re.compile(r"(1/)?([A-Za-z°µμΩ%_·*/() ²³]|(?<=[A-Za-z)])\^-?[1-4]|(?<=[A-Za-z])[1-9]){1,40}")
_TURNS = re.compile(r"\b(rpm|rps|revs?|revolutions?\w*|turns?|cycles?|rad|radians?|deg|degrees?)\b", re.IGNORECASE)


@cache
def conversion(published: str, unit: str) -> tuple[float, float]:
    """Scale and offset: value = published x scale + offset. Raises ValueError with the reason in words."""
    if not unit:
        raise ValueError("unit is empty, so there is nothing to convert to")
    given, wanted = _parsed(published), _parsed(unit)
    registry = _registry()
    try:
        found = [registry.Quantity(Fraction(value), given).to(wanted).magnitude for value in range(3)]
    except Exception as error:  # pint has many
        raise ValueError(f'"{published}" cannot be converted to "{unit}"') from error
    if bool(_TURNS.search(published)) != bool(_TURNS.search(unit)):
        # To pint a turn is 2 pi and a hertz is 1/s, so that 50 Hz would be 477 rpm.
        raise ValueError(f'"{published}" and "{unit}": only one of them counts turns; give scale instead')
    offset, scale = found[0], found[1] - found[0]
    if found[2] != 2 * scale + offset:
        raise ValueError(f'"{published}" to "{unit}" is more than a scale and an offset')
    return float(scale), float(offset)


def _parsed(text: str) -> Any:
    """A unit of the library. Raises ValueError."""
    written = re.sub(r"\b([cdm]?m)([23])\b", r"\1^\2", _MEANT.get(text, text))  # m3, as it is usually written
    if not _WRITTEN.fullmatch(written):
        raise ValueError(f'"{text}" is no unit')
    registry = _registry()
    try:
        return registry.parse_units(
            written.replace("1/", "dimensionless/") if written.startswith("1/") else written
        )
    except Exception as error:  # as above
        raise ValueError(f'"{text}" is no unit that pint knows') from error


@cache
def _registry() -> Any:
    """The units there are. Raises ValueError where the library is missing."""
    try:
        import pint  # noqa: PLC0415 - a daemon whose sensors need no conversion does without it
    except ImportError as error:
        raise ValueError(f"needs a library of units: {REMEDY}") from error
    # Fractions, so that 32 degF is 0 °C and not -4e-13.
    return pint.UnitRegistry(autoconvert_offset_to_baseunit=True, non_int_type=Fraction)
