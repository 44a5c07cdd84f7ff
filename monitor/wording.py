"""What is wrong with an engine, as one person says it to another: sensors, deviations and times in words. Pure.

Whoever tells of incidents takes the words from here: the stored summary, the page, and the messages to people.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.records import SensorFinding

MOST_DECIMALS = 6
JUST, WELL = 1.5, 3.0  # times the threshold up to which a score is just above it, and well above it
MINUTE = 60_000  # milliseconds
STATES = {"anomaly": "anomaly", "stale": "silent", "blind": "not watched", "limit": "beyond its limits"}
BY_SENSORS = {"anomaly", "limit"}  # kinds that are found by several sensors
FAULTS = {
    "sensor_range": "out of range",
    "sensor_stuck": "stuck",
    "sensor_dropout": "missing",
    "sensor_noise": "noisy",
    "sensor_rate": "leaping",
    "sensor_spikes": "spiking",
}


def sensor(name: str, unit: str = "") -> str:
    """A sensor's name as it is said: words, without the unit where that is the last of them.

    >>> sensor("coolant_temperature", "°C"), sensor("temp_c", "°C"), sensor("rpm", "rpm")
    ('coolant temperature', 'temp', 'rpm')
    """
    words = [word for word in name.split("_") if word]
    short = "".join(letter for letter in unit if letter.isalnum()).lower()
    if len(words) > 1 and words[-1].lower() == short:
        words.pop()
    return " ".join(words) or name


def after(unit: str) -> str:
    """A unit as it stands behind a number; a ratio (unit "1", as UCUM writes it) has none to read.

    >>> after("kPa"), after("1")
    (' kPa', '')
    """
    return f" {unit}" if unit not in {"", "1"} else ""


def duration(milliseconds: int) -> str:
    """A length of time as people say it, rounded down.

    >>> duration(12_000_000), duration(7_200_000), duration(59_000)
    ('3 h 20 min', '2 h', '59 s')
    """
    if milliseconds < MINUTE:
        return f"{milliseconds // 1000} s"
    hours, minutes = divmod(milliseconds // MINUTE, 60)
    parts = ([f"{hours} h"] if hours else []) + ([f"{minutes} min"] if minutes else [])
    return " ".join(parts)


OTHERS = "what the other sensors explain"
ITSELF = "what is expected"  # where the asset has no other sensor


def deviation(finding: SensorFinding, than: str = "") -> str:
    """How far one sensor is from what is expected of it, and whence that is known.

    The figures have as many decimals as the first two digits of the difference need.

    >>> from monitor.records import SensorFinding
    >>> deviation(SensorFinding("coolant_temperature", "°C", 104.2, 90.3, 4.0), OTHERS)
    'coolant temperature 14 °C above what the other sensors explain (104 °C, expected 90)'
    >>> deviation(SensorFinding("lambda", "1", 0.985, 1.002, 4.0))
    'lambda 0.017 below (0.985, expected 1.002)'
    """
    name, unit = sensor(finding.sensor, finding.unit), after(finding.unit)
    away = finding.actual - finding.expected
    if not math.isfinite(away) or away == 0:
        return f"{name} {finding.actual:.4g}{unit}"
    decimals = min(MOST_DECIMALS, max(0, 1 - math.floor(math.log10(abs(away)))))
    side = "above" if away > 0 else "below"
    source = f" {than}" if than else ""
    actual, expected = f"{finding.actual:.{decimals}f}{unit}", f"{finding.expected:.{decimals}f}"
    return f"{name} {abs(away):.{decimals}f}{unit} {side}{source} ({actual}, expected {expected})"


def sureness(score: float, threshold: float) -> str:
    """How sure it is, by how often the threshold goes into the score.

    >>> sureness(1.08, 1.0), sureness(26.9, 1.0)
    ('just above the threshold: score 1.08 against 1', 'far above the threshold: score 26.9 against 1')
    """
    times = score / threshold
    how = "just" if times < JUST else "well" if times < WELL else "far"
    return f"{how} above the threshold: score {score:.3g} against {threshold:.3g}"


def anomaly(
    top: Sequence[SensorFinding],
    score: float,
    threshold: float,
    *,
    lasted_ms: int,
    regime: str,
    alone: bool = False,
) -> str:
    """What the model finds wrong: the sensors that are off, those looked at beside them, and how sure it is.

    Off are the first, and all that are beyond the threshold by themselves; the others are said to be normal.
    `alone`: the asset has no sensors but one.
    """
    off = [finding for finding in top if finding.contribution > threshold] or list(top[:1])
    normal = [sensor(finding.sensor, finding.unit) for finding in top if finding not in off]
    than = ITSELF if alone else OTHERS
    each = [deviation(finding, than if finding is off[0] else "") for finding in off]
    told = ", ".join(each) or "the sensors do not go together"
    lasted = f", for {duration(lasted_ms)}" if lasted_ms >= 1000 else ""  # noqa: PLR2004 - a second
    where = f", in {sensor(regime)}" if regime else ""
    beside = f"; {', '.join(normal)} normal" if normal else ""
    return f"{told}{lasted}{where}{beside}; {sureness(score, threshold)}"


def normal_again(score: float, threshold: float, lasted_ms: int) -> str:
    """The end of an anomaly.

    >>> normal_again(0.5371, 1.0, 258_000)
    'normal again after 4 min: score 0.537 against 1'
    """
    return f"normal again after {duration(lasted_ms)}: score {score:.3g} against {threshold:.3g}"


def state(kind: str, faulty: str = "") -> str:
    """What kind of trouble it is, in a word or two; of a sensor that is faulty, which.

    >>> state("anomaly"), state("sensor_stuck", "oil_pressure")
    ('anomaly', 'oil pressure stuck')
    """
    if kind in FAULTS:
        return f"{sensor(faulty)} {FAULTS[kind]}"
    return STATES.get(kind, kind.replace("_", " "))


def title(kind: str, faulty: str = "", top: Sequence[SensorFinding] = ()) -> str:
    """An incident in a few words: what kind of trouble it is, and of which sensor.

    Of what is found by several sensors it is the first of them, the one that has most to do with it.

    >>> from monitor.records import SensorFinding
    >>> title("anomaly", top=[SensorFinding("temp_c", "°C", 104.2, 90.3, 4.0)]), title("anomaly"), title("stale")
    ('anomaly: temp', 'anomaly', 'silent')
    >>> title("sensor_stuck", "oil_pressure")
    'oil pressure stuck'
    """
    words = state(kind, faulty)
    if kind not in BY_SENSORS or not top:
        return words
    return f"{words}: {sensor(top[0].sensor, top[0].unit)}"


def asset(stream: str) -> str:
    """Which engine, and where it is: its name first, then area and site.

    >>> asset("plant1/hall-2/engine-07"), asset("plant1//engine-07")
    ('engine-07 (hall-2, plant1)', 'engine-07 (plant1)')
    """
    site, area, name = [*stream.split("/", 2), "", ""][:3]
    return f"{name} ({area}, {site})" if area else f"{name} ({site})" if name else stream
