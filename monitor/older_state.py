"""What a checkpoint of an earlier release lacks, filled in: nothing that was learned is lost by an update. Pure.

Before what is noted of ticks was counted from a stream's own, all ticks took 64 bits.
Before the values of open ticks had a ring of their own, those of closed ticks were kept beside them.
Before there were levels, anchors, lasting deviations, drift and learned regimes, a stream had none; they begin
anew, as does what the network carries from tick to tick, and what was learned else stays. Before a sensor's leaps,
spikes and noise were checked, there were three faults of sensors; they stay.
Before there were operating regimes a stream had one threshold, an incident point less, and neither regime, limits
nor ledger. Such a state goes on as one whose regime is "all", and limits begin anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from monitor import carry, window
from monitor.alert import BLIND
from monitor.sensor_check import COUNTED, GOOD
from monitor.ticks import LONG_AGO, from_base

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    Array = npt.NDArray[Any]

WAS_GOOD = 3  # the number of no fault, behind those of three
# Stages and columns that earlier releases had not.
LATER = frozenset({"regime", "limits", "ledger", "unscored", "level", "lasting", "roughness", "drift", "carry"})
LATER_COLUMNS = frozenset(
    {
        ("sensor_check", "unmoved"),
        ("threshold", "to_anchor"),
        ("threshold", "anchor"),
        ("window", "rewritten"),
        *(("regime", name) for name in ("mean", "missing", "next", "held")),
    }
)


def column(arrays: Mapping[str, Array], index: int, stage: str, name: str, room: Array, streams: int) -> Array:
    """One column of a stage of class `index`, in the form of `room`, a fresh one. Raises KeyError without it."""
    key = f"{index}.{stage}.{name}"
    if key not in arrays and stage in LATER:
        return np.repeat(room[:1], streams, axis=0)
    if key not in arrays and (stage, name) in LATER_COLUMNS:
        return np.repeat(room[:1], streams, axis=0)
    if key not in arrays and (stage, name) in {("align", "base"), ("sensor_check", "base")}:
        return _base(arrays, index)
    if key not in arrays and (stage, name) == ("window", "present"):
        return window.present(arrays[f"{index}.window.ring"])
    found = arrays[key]
    if stage == "align" and (found.shape[1:] != room.shape[1:] or found.dtype != room.dtype):
        return _align(arrays, index, name, room)
    if stage == "carry" and found.dtype == np.float32:
        return carry.shortened(found)
    if found.dtype == np.int64 and room.dtype == np.int32:
        since = _since(arrays, index) if name == "since" else found
        return from_base(since, _base(arrays, index))
    if stage == "sensor_check" and name == "fault" and arrays[f"{index}.{stage}.since"].shape[1] == WAS_GOOD:
        return np.where(found == WAS_GOOD, GOOD, found).astype(found.dtype)
    if stage == "threshold" and found.ndim == room.ndim - 1:
        return found[:, None]  # (S, …) -> (S, 1, …)
    if stage == "alert" and room.ndim > 1 and found.shape[1] == room.shape[1] - 1:
        return np.insert(found, BLIND, room[0, BLIND], axis=1)
    if stage == "ledger" and name == "ticks":
        return np.pad(found, ((0, 0), (0, room.shape[1] - found.shape[1])))  # statuses that there were not yet
    return found.astype(room.dtype, copy=False)  # narrower, of what takes no more


def _base(arrays: Mapping[str, Array], index: int) -> Array:
    """What is noted of each stream's ticks (S,) is counted from this one."""
    return arrays[f"{index}.align.next_tick"]


def _since(arrays: Mapping[str, Array], index: int) -> Array:
    """When faults began, from before those that are not counted shared a place: that of the sensor's own."""
    since, fault = (arrays[f"{index}.sensor_check.{name}"] for name in ("since", "fault"))  # (S, F, C), (S, C)
    own = np.take_along_axis(since, np.clip(fault, COUNTED, since.shape[1] - 1)[:, None].astype(np.int64), axis=1)
    has = (fault >= COUNTED) & (fault < since.shape[1])
    return np.concatenate([since[:, :COUNTED], np.where(has[:, None], own, LONG_AGO)], axis=1)


def _align(arrays: Mapping[str, Array], index: int, name: str, room: Array) -> Array:
    """A column from before values and arrivals had a ring of their own, for those of open ticks alone."""
    found = arrays[f"{index}.align.{name}"]
    if name == "slot_tick":
        return from_base(found, _base(arrays, index))
    if name not in {"value", "first_arrival"}:  # a wider type, or held values that nobody holds
        return found[:, : room.shape[1]].astype(room.dtype)
    tick = arrays[f"{index}.align.slot_tick"]  # (S, K)
    kept = np.repeat(room[:1], len(found), axis=0)
    stream, slot = np.nonzero(tick >= arrays[f"{index}.align.next_tick"][:, None])
    kept[stream, tick[stream, slot] % room.shape[1]] = found[stream, slot]
    return kept


def counts(found: Array, kinds: int) -> Array:
    """What was counted by status or outcome (kinds,); of those that there were not yet there are none."""
    return np.pad(found, (0, kinds - len(found)))
