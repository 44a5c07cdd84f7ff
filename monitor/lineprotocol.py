"""Score rows and transitions as InfluxDB line protocol: arrays in, text out. Pure: no clock, socket or thread.

Names come from MQTT topics and asset files, so nothing in them may end a name, a value or a line:

* Commas, equals signs and spaces in tag values and field names are escaped with a backslash.
* A backslash or a quote cannot be escaped there (readers disagree on what they mean), so these and control
  characters are written as `%5C`, `%22`, `%0A`, …; a percent sign only where it would look like such a code.
  Different names therefore stay different, and any URL decoder gives the name back.
* In string values backslash and quote are escaped, and control characters become spaces.

Every number is a float: line protocol takes a number without the suffix `i` for a float, so `1` and `1.5` never
conflict in type. Nine significant digits give a float32 back exactly. NaN and infinity cannot be written: the
field is left out. The one integer is `started` of `alert_event`, always with its suffix.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from monitor.records import AlertEvent, Float64, SensorFinding, Status, StoredScores, Transition

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from monitor.exposition import Labels, Metric

_STATUS = {status.value: status.name.lower() for status in Status}
_UNWRITABLE = re.compile(r'["\\\x00-\x1f\x7f]|%(?=[0-9A-Fa-f]{2})')
# Whether there is an incident from this transition on. The others change nothing of that, and theirs are the times
# of orders, which may lie behind the tick of a transition that comes later.
_OPEN = {Transition.FIRED: 1, Transition.CLEARED: 0, Transition.ACCEPTED: 0}
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def score_lines(stored: StoredScores) -> list[str]:
    """One line of measurement `anomaly` for each of the B rows, scored or not, in their order.

    `margin` is score - threshold: above 0 the score is over its threshold. A row that is not scored carries its
    status and whatever else is finite, which may be nothing.
    """
    rows = stored.rows
    score = rows.score.astype(np.float64)
    threshold = rows.threshold.astype(np.float64)
    with np.errstate(invalid="ignore"):  # inf - inf is NaN, which is left out like any other
        margin = score - threshold
    values = np.column_stack((score, threshold, margin, rows.contribution.astype(np.float64)))  # (B, 3 + C)
    fields = _floats(_score_fields(stored.sensors), values)
    regimes = [escape_string(name) for name in stored.regimes]
    return [
        f'{_series("anomaly", stream, stored.model)} status="{_STATUS[status]}",regime="{regimes[regime]}"'
        f"{floats} {time}"
        for stream, status, regime, floats, time in zip(
            stored.streams, rows.status.tolist(), rows.regime.tolist(), fields, stored.time.tolist(), strict=True
        )
    ]


def reading_lines(stored: StoredScores) -> list[str]:
    """A line of measurement `engine` for every row with a value: the sensors' values at the row's last tick."""
    fields = _floats(_reading_fields(stored.sensors), stored.rows.actual.astype(np.float64))
    return [
        f"{_series('engine', stream, '')} {floats[1:]} {time}"
        for stream, floats, time in zip(stored.streams, fields, stored.time.tolist(), strict=True)
        if floats
    ]


def event_line(event: AlertEvent) -> str:
    """The line of measurement `alert_event` for one transition."""
    site, area, asset = event.stream.split("/", 2)
    tags = _tags(
        area=area,
        asset=asset,
        kind=event.kind,
        sensor=event.sensor,
        severity=event.severity,
        site=site,
        transition=event.transition.value,
    )
    strings = {
        "incident_id": event.incident_id,
        "summary": event.summary,
        "top_sensors": "; ".join(_finding(finding) for finding in event.top),
        "event": msgspec.json.encode(event).decode(),  # all of it, for those who show it as the daemon does
    }
    fields = [f'{name}="{escape_string(text)}"' for name, text in strings.items()]
    numbers = {"score": event.score, "threshold": event.threshold, "open": _OPEN.get(event.transition)}
    fields += [
        f"{name}={value:.9g}" for name, value in numbers.items() if value is not None and value - value == 0
    ]
    return f"alert_event{tags} {','.join(fields)},started={event.started}i {event.time}"


def health_lines(
    daemon_id: str, state: str, reasons: Sequence[str], metrics: Iterable[Metric], time: int
) -> list[str]:
    """The lines of measurement `enginewatch`: what is measured, by the names of /metrics without their prefix.

    A metric's labels are tags, so that there is a line for each of their values; the version is a field, because a
    tag would begin new series with every release.
    """
    words = (("state", state), ("reasons", "; ".join(reasons)))
    fields: dict[Labels, list[str]] = {(): [f'{name}="{escape_string(text)}"' for name, text in words]}
    for metric in metrics:
        name = escape_name(metric.name.removeprefix("enginewatch_"))
        for labels, value in metric.samples:
            if name == "info":
                fields[()] += [f'{label}="{escape_string(text)}"' for label, text in labels]
            elif value - value == 0:
                fields.setdefault(labels, []).append(f"{name}={float(value)!r}")
    return [
        f"enginewatch{_tags(**dict(sorted({'id': daemon_id, **dict(labels)}.items())))} {','.join(of_them)} {time}"
        for labels, of_them in fields.items()
    ]


def escape_name(text: str) -> str:
    r"""A tag value or field name that cannot be read as anything else.

    >>> print(escape_name("pump 7,area=b"))
    pump\ 7\,area\=b
    >>> print(escape_name("left\\right 100%"))
    left%5Cright\ 100%
    """
    return coded(text).replace(",", "\\,").replace("=", "\\=").replace(" ", "\\ ")


def coded(text: str) -> str:
    """A name as InfluxDB has it, of which `urllib.parse.unquote` makes the name again.

    >>> coded('the "hot" end')
    'the %22hot%22 end'
    """
    return _UNWRITABLE.sub(lambda match: f"%{ord(match[0]):02X}", text)


def escape_string(text: str) -> str:
    r"""The inside of a quoted string value, on one line.

    >>> print(escape_string('the "hot" end\nof it'))
    the \"hot\" end of it
    """
    return _CONTROL.sub(" ", text).replace("\\", "\\\\").replace('"', '\\"')


@lru_cache(maxsize=65_536)
def _series(measurement: str, stream: str, model: str) -> str:
    """Measurement and tags of a stream's lines, in the order of the tags' names, which InfluxDB reads fastest."""
    site, area, asset = stream.split("/", 2)
    return measurement + _tags(area=area, asset=asset, model=model, site=site)


def _tags(**tags: str) -> str:
    """The tags with a comma before each; line protocol has no empty tag, so an empty one is left out."""
    return "".join(f",{name}={escape_name(value)}" for name, value in tags.items() if value)


@lru_cache(maxsize=256)
def _score_fields(sensors: tuple[str, ...]) -> tuple[str, ...]:
    """What stands before each number of a score row: score, threshold, margin and C contributions."""
    names = ("score", "threshold", "margin", *(f"contribution_{sensor}" for sensor in sensors))
    return tuple(f",{escape_name(name)}=" for name in names)


@lru_cache(maxsize=256)
def _reading_fields(sensors: tuple[str, ...]) -> tuple[str, ...]:
    """What stands before each of the C numbers of a reading."""
    return tuple(f",{escape_name(sensor)}=" for sensor in sensors)


def _floats(keys: Sequence[str], values: Float64) -> Iterator[str]:
    """For every row of `values` (N, K) its finite fields; `keys` are the K beginnings ",name="."""
    for row in values.tolist():
        # Only a finite number minus itself is 0: this leaves out NaN and both infinities.
        yield "".join([f"{key}{value:.9g}" for key, value in zip(keys, row, strict=True) if value - value == 0])


def _finding(finding: SensorFinding) -> str:
    """One sensor of an incident in words, for example "oil_pressure 180 kPa, expected 310"."""
    unit = f" {finding.unit}" if finding.unit else ""
    actual = "missing" if np.isnan(finding.actual) else f"{finding.actual:.4g}{unit}"
    return f"{finding.sensor} {actual}, expected {finding.expected:.4g}"
