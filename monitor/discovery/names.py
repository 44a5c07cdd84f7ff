"""Names: what plants call things -> names that are good everywhere, and what kind of thing a name means."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Levels and keys that say what a message is, not whose.
GENERIC = _words(
    """data telemetry value values val state status measurement measurements reading readings sensors sensor tele
    stat raw json out event events live current_value metrics v1 v2 v3 api mqtt pv present_value"""
)
# Words of quantities, as parts of names.
QUANTITIES = _words(
    """temp temperature pressure press speed rpm flow level vibration vib current voltage power torque humidity
    position load force weight mass frequency freq energy co2 ph conductivity density viscosity angle throttle
    acceleration accel rms displacement distance fuel lambda maf map coolant oil exhaust volume rate efficiency
    capacity charge soc battery noise sound light brightness moisture concentration oxygen dewpoint setpoint amps
    volts watts hz velocity travel stroke runtime hours count counter total odometer flowrate temperatur druck
    drehzahl strom spannung leistung durchfluss fuellstand"""
)
# Keys that hold the time, and those that name a sensor, the likeliest first.
TIMES = (
    *("ts", "timestamp", "time", "event_time", "datetime", "date_time", "epoch", "t", "measured_at", "sampled_at"),
    *("source_timestamp", "created_at", "at", "date", "utc", "time_ms", "timestamp_ms", "epoch_ms", "ts_ms"),
    *("device_time", "sent_at"),
)
NAMES = (
    *("sensor", "sensor_name", "sensor_id", "metric", "signal", "tag", "name", "channel", "point", "variable"),
    *("key", "measurement", "n", "id"),
)
ASSETS = _words("asset asset_id device device_id device_name machine machine_id equipment unit_id node host")
VALUES = _words("value val v reading measurement data y pv present_value current_value raw")
UNITS = _words("unit units uom u engineering_unit eu unit_of_measure")
BOOKKEEPING = _words(
    """seq sequence sequence_number boot v version schema id uid uuid msg_id message_id quality q qos status code
    retain crc checksum sender_seq msgid bn bt bver err error errors error_code fault_code alarm alarm_code
    serial serial_number"""
)
# Objects that hold the values, where others stand beside them.
HOLDERS = _words("values metrics data fields measurements readings payload body tags sensors")
LABELS = _words("anomaly anomalies changepoint label labels fault faults failure target class outlier")
COUNTERS = re.compile(
    r"(^|_)(count|counter|total|totals|hours|runtime|odometer|kwh|wh|mwh|energy|cycles|pulses|uptime|starts|parts|"
    r"pieces|strokes|betriebsstunden|zaehler|stueckzahl)($|_)"
)

# Units with a capital in them, which begins no word.
_WRITTEN_UNIT = re.compile(r"(?<![A-Za-z])(kPa|hPa|MPa|mA|mV|kV|kW|kWh|kN|kHz|degC|degF|mmHg)(?![A-Za-z])")


@lru_cache(maxsize=1 << 15)  # the same names come in thousands of topics
def plain(name: str) -> str:
    """The name as plain snake_case; "sensor" where nothing of it can stay.

    >>> plain("Volume Flow RateRMS"), plain("coolantTemp"), plain("Öl-Druck (bar)"), plain("p_kPa"), plain("温度")
    ('volume_flow_rate_rms', 'coolant_temp', 'ol_druck_bar', 'p_kpa', 'sensor')
    """
    letters = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    letters = _WRITTEN_UNIT.sub(lambda match: match[0].lower(), letters)
    letters = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", letters)
    letters = re.sub(r"([A-Z])([A-Z][a-z])", r"\1_\2", letters)
    made = re.sub(r"[^a-z0-9]+", "_", letters.lower()).strip("_")
    return made[:80] or "sensor"


def is_generic(level: str) -> bool:
    """Whether a level says what a message is, not whose; "" and versions are such.

    >>> is_generic("telemetry"), is_generic("v1"), is_generic("pump")
    (True, True, False)
    """
    return not level or plain(level) in GENERIC


def is_quantity(name: str) -> bool:
    """Whether a name has a word of a quantity in it.

    >>> is_quantity("oil_temp_c"), is_quantity("Temp1"), is_quantity("pump-1")
    (True, True, False)
    """
    parts = re.split(r"[_\d]+", plain(name))
    return any(part in QUANTITIES for part in parts)


def is_numbered(name: str) -> bool:
    """Whether a name ends in a number, as one of many does.

    >>> is_numbered("pump-01"), is_numbered("pump")
    (True, False)
    """
    return name[-1:].isdigit()


def stem(name: str) -> str:
    """A name without its number or letter at the end.

    >>> stem("pump-01"), stem("P-101A"), stem("press-b"), stem("17")
    ('pump', 'P', 'press', '')
    """
    return re.sub(r"([-_. ]*\d+[A-Za-z]?|[-_. ][A-Za-z])$", "", name)
