"""A sample made on demand: one simulated engine, normal or with one fault of the catalogue. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from monitor.lab.matched import LabError
from simulator.fault_kinds import FAULTS
from simulator.fleet import Fleet
from simulator.recording import Recording
from simulator.records import SENSORS
from simulator.schedule import ScheduleError, from_table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from models.artifact import Header
    from simulator.faults import Fault

LEAST_S, MOST_S = 60, 1_800
MOST_TICKS = 3_600
PERIODS_MS = (100, 60_000)
MOST_SEED = 2**31 - 1
ONSET_SHARE = 0.5  # of the sample, before its fault begins
BEGINNING = 1_600_000_000_000  # epoch ms; the sample counts its time from here


class Sample(NamedTuple):
    """What is scored."""

    recording: Recording
    fault: dict[str, Any] | None  # as the ground truth tells it; None = a normal one


def make(header: Header, wished: Mapping[str, Any]) -> Sample:
    """The sample that was wished for: `kind` (empty: normal), `severity`, `sensor`, `duration_s`, `seed`.

    Its rows have the model's period. Raises LabError.
    """
    names = [sensor.name for sensor in header.sensors]
    strange = [name for name in names if name not in SENSORS]
    if strange:
        raise LabError(
            f"samples are of the simulated engine, which has no sensor {', '.join(strange[:5])}: upload a file for"
            f" the model {header.name}"
        )
    period_ms = header.period_ms
    if not PERIODS_MS[0] <= period_ms <= PERIODS_MS[1]:
        raise LabError(f"the model takes a tick each {period_ms} ms, which is not simulated: upload a file")
    seconds = _number(wished, "duration_s", 900, LEAST_S, MOST_S)
    ticks = min(seconds * 1000 // period_ms, MOST_TICKS)
    fault = _fault(wished, start_ms=int(ONSET_SHARE * ticks) * period_ms)
    fleet = Fleet(
        1, seed=_number(wished, "seed", 1, 0, MOST_SEED), faults=[fault] if fault else [], period_ms=period_ms
    )
    block = fleet.block(ticks)
    columns = [list(SENSORS).index(name) for name in names]
    values = np.array(block.shortest(), np.float32)[:, 0, columns]  # (N, C)
    recording = Recording("sample", tuple(names), BEGINNING + block.time, values)
    told = fleet.truth(BEGINNING)
    return Sample(recording, told[0] | {"what": FAULTS[told[0]["kind"]].what} if told else None)


def _fault(wished: Mapping[str, Any], *, start_ms: int) -> Fault | None:
    """The fault, from the middle of the sample to its end. Raises LabError."""
    if not wished.get("kind"):
        return None
    table = {key: wished[key] for key in ("kind", "severity", "sensor") if wished.get(key)}
    try:
        given = {"engine": "sample", "at": f"{start_ms}ms", **table}
        return from_table(given, "the sample's fault", ("sample",)).fault
    except ScheduleError as error:
        raise LabError(str(error)) from error


def _number(wished: Mapping[str, Any], key: str, usual: int, least: int, most: int) -> int:
    given = wished.get(key, usual)
    if not isinstance(given, int) or isinstance(given, bool) or not least <= given <= most:
        raise LabError(f"{key} must be a whole number from {least} to {most}")
    return given


def catalogue() -> list[dict[str, Any]]:
    """The kinds of faults, for those who choose one."""
    return [
        {
            "kind": kind.name,
            "what": kind.what,
            "unit": kind.unit,
            "severities": dict(kind.severities),
            "on_sensor": kind.on_sensor,
        }
        for kind in FAULTS.values()
    ]
