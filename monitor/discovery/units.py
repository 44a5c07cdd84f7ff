"""Units that names and plants give: suffixes such as `_kpa`, and how units are written."""

from __future__ import annotations

import re

from monitor.discovery.names import QUANTITIES, plain

# The end of a plain name -> unit.
SUFFIXES = {
    "c": "°C", "degc": "°C", "deg_c": "°C", "celsius": "°C", "f": "°F", "degf": "°F", "deg_f": "°F",
    "fahrenheit": "°F", "k": "K", "kelvin": "K", "pa": "Pa", "hpa": "hPa", "kpa": "kPa", "mpa": "MPa",
    "bar": "bar", "mbar": "mbar", "psi": "psi", "rpm": "rpm", "hz": "Hz", "khz": "kHz", "a": "A", "amp": "A",
    "amps": "A", "ma": "mA", "v": "V", "volt": "V", "volts": "V", "mv": "mV", "kv": "kV", "w": "W", "kw": "kW",
    "watt": "W", "watts": "W", "kwh": "kWh", "wh": "Wh", "pct": "%", "percent": "%", "perc": "%", "mm_s": "mm/s",
    "mms": "mm/s", "mm_per_s": "mm/s", "m_s": "m/s", "km_h": "km/h", "kmh": "km/h", "kph": "km/h", "mph": "mi/h",
    "g_s": "g/s", "l_h": "l/h", "lph": "l/h", "l_min": "l/min", "lpm": "l/min", "m3_h": "m³/h", "m3h": "m³/h",
    "nm": "Nm", "kn": "kN", "n": "N", "kg": "kg", "g": "g", "t": "t", "mm": "mm", "cm": "cm", "m": "m",
    "um": "µm", "ppm": "ppm", "ms": "ms", "s": "s", "sec": "s", "min": "min", "db": "dB", "deg": "°", "l": "l",
    "m3": "m³",
}  # fmt: skip
# Names that are units in themselves, wherever they stand.
WORDS = {"rpm": "rpm", "percent": "%"}
# Names that docs and simulator use, after the leaves of COVESA's Vehicle Signal Specification: one unit each.
AGREED = {
    "engine_speed": "rpm", "engine_load": "%", "throttle_position": "%", "coolant_temperature": "°C",
    "oil_temperature": "°C", "oil_pressure": "kPa", "map": "kPa", "maf": "g/s", "fuel_rate": "l/h",
    "exhaust_gas_temperature": "°C", "vibration_rms": "mm/s", "control_module_voltage": "V", "torque": "Nm",
    "vehicle_speed": "km/h",
}  # fmt: skip
# Quantities whose unit differs from plant to plant: what to ask.
ASKED = {
    "temp": "°C, °F or K", "temperature": "°C, °F or K", "pressure": "kPa, bar or psi", "press": "kPa, bar or psi",
    "speed": "rpm, m/s or km/h", "flow": "l/min, l/h or m³/h", "vibration": "mm/s or g", "vib": "mm/s or g",
}  # fmt: skip
# As plants and gateways write units -> as we write them.
WRITTEN = {
    "c": "°C", "cel": "°C", "celsius": "°C", "degc": "°C", "°c": "°C", "f": "°F", "°f": "°F", "degf": "°F",
    "percent": "%", "pct": "%", "1/min": "rpm", "u/min": "rpm", "kpa": "kPa", "mm/sec": "mm/s",
}  # fmt: skip
_IN_BRACKETS = re.compile(r"[\[({]([^\[\](){}]{1,24})[\])}]\s*$")
_SIGNS = re.compile("[°%µ²³]")  # what only units have
_KNOWN = {*SUFFIXES.values(), *WRITTEN}


def written(unit: str) -> str:
    """A unit that the plant gives, as we write it.

    >>> written("degC"), written("bar")
    ('°C', 'bar')
    """
    unit = unit.strip()
    return WRITTEN.get(unit.lower(), unit)


def in_name(name: str) -> str:
    """The unit that stands in a name as it is published, behind a space or in brackets; empty where none does.

    >>> in_name("Temp [°C]"), in_name("Torque (Nm)"), in_name("level %"), in_name("Druck (links)")
    ('°C', 'Nm', '%', '')
    """
    bracketed = _IN_BRACKETS.search(name)
    unit = bracketed[1].strip() if bracketed else name.rpartition(" ")[2]
    known = unit in _KNOWN or unit.lower() in WRITTEN
    # A letter by itself may be a phase or a side, "Current A": only in brackets it is a unit.
    sure = (known and (bracketed or len(unit) > 1)) or _SIGNS.search(unit)
    return written(unit) if sure and (bracketed or " " in name) else ""


def from_name(name: str) -> tuple[str, str]:
    """The unit that a name carries and the reason; two empty texts where it carries none.

    >>> from_name("oil_pressure_kPa")
    ('kPa', 'its name ends in "kpa"')
    >>> from_name("engine_rpm_avg")[0], from_name("maf")[0], from_name("flow")
    ('rpm', 'g/s', ('', ''))
    """
    if unit := in_name(name):
        return unit, "it stands in its name"
    if plain(name) in AGREED:
        return AGREED[plain(name)], "the usual one of this name"
    parts = [part for part in plain(name).split("_") if part]
    for length in (3, 2, 1):
        end = "_".join(parts[-length:])
        if len(parts) > length - (len(end) > 2) and end in SUFFIXES:  # noqa: PLR2004 - a letter alone is no unit
            return SUFFIXES[end], f'its name ends in "{end}"'
    for part in parts:
        if part in WORDS:
            return WORDS[part], f'"{part}" stands in its name'
    return "", ""


def choices(name: str) -> str:
    """The units that a quantity usually has, for a question; empty where the name tells of none.

    >>> choices("oil_temp"), choices("press_1_force"), choices("alpha")
    ('°C, °F or K', '', '')
    """
    parts = re.split(r"[_\d]+", plain(name))
    # The last word that is a quantity is what is measured: in press_1_temp it is not the pressure.
    last = next((part for part in reversed(parts) if part in ASKED or part in QUANTITIES), "")
    return ASKED.get(last, "")
