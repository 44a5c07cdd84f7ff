"""Whether an asset has left what its model was trained on: readings beyond all training data, or higher scores.

Pure. Each stream keeps, of every sensor and of its score, how many of its rows lay below, within and above what
training reached; rows are forgotten as others come, exp(-rows since / horizon), so that pauses forget nothing.
Rows under an incident or maintenance are not counted: what is wrong is not what is usual. A stream is stale from
when some share is above its limit until all are below half of theirs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from models.remembered import remembered
from monitor.records import Drift

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from monitor.records import Bool, Float32, Float64, Int32, Int64

BELOW, WITHIN, ABOVE = 0, 1, 2
LOOK_MS = 60_000  # a stream is looked at this often
NEVER = np.int64(-(2**62))
SCORE_USUAL = 0.05  # of normal scores are above `DriftConfig.score`
AGAIN = 0.5  # of its limit: below this a share is as it should be again
HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class DriftConfig:
    """What training reached, and what is too much; the settings' section `drift` explains the last four.

    `horizon_rows` and `min_rows` are in rows that count; a row more fades by exp(-1 / horizon_rows).
    """

    sensors: tuple[str, ...]  # C
    units: tuple[str, ...]  # C
    own: bool  # lowest and highest are deviations from the asset's own level
    lowest: tuple[float, ...]  # C
    highest: tuple[float, ...]  # C
    score: float
    row_ms: int  # what a row stands for
    horizon_rows: float
    min_rows: float
    share: float
    score_share: float


@remembered
def _edges(config: DriftConfig) -> tuple[Float32, Float32]:
    """Lowest and highest (C + 1,), the score's last; made once, for they are asked for with every round."""
    lowest = np.array([*config.lowest, -np.inf], np.float32)
    return lowest, np.array([*config.highest, config.score], np.float32)


def _limits(config: DriftConfig) -> Float64:
    """The largest share (C + 1, 1) of rows beyond."""
    return np.array([[config.share]] * len(config.sensors) + [[config.score_share]])


@dataclass(slots=True)
class DriftState:
    """S streams."""

    rows: Float32  # (S, C + 1, 3) rows BELOW, WITHIN and ABOVE, the score's last, as far as they are not forgotten
    looked: Int64  # (S,) the tick in which it was looked at last
    stale: Bool  # (S,)

    @classmethod
    def empty(cls, sensors: int, streams: int) -> DriftState:
        """The state of streams that have not been scored yet."""
        return cls(
            rows=np.zeros((streams, sensors + 1, 3), np.float32),
            looked=np.full(streams, NEVER),
            stale=np.zeros(streams, np.bool_),
        )


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a stream stands."""

    stands: str  # "unknown" (the model does not say what it was trained on), "not yet", "fits" or "stale"
    why: tuple[str, ...] = ()  # of one that is stale, the worst first
    hours: float = 0.0  # of running, that it is judged by

    def report(self) -> dict[str, Any]:
        """For those who look."""
        return {"stands": self.stands, "why": list(self.why), "hours": round(self.hours, 2)}


def inputs(values: Float32, level: tuple[Float32, Float32] | None) -> Float32:
    """Values (B, C) as the reference has them; `level` is center and scale (B, C) of each row's asset."""
    if level is None:
        return values
    with np.errstate(over="ignore"):
        scaled: Float32 = ((values - level[0]) / level[1]).astype(np.float32, copy=False)
    return scaled


def push(
    state: DriftState, config: DriftConfig, keys: Sequence[str], stream: Int32, tick: Int64, rows: Float32
) -> list[Drift]:
    """Take in at most one row per stream (M, C + 1), its score last, NaN = missing; changes `state`.

    `keys` are the stream keys by stream number. Returns what has become stale, and what is not any more.
    """
    lowest, highest = _edges(config)
    within = (rows >= lowest) & (rows <= highest)
    kept = np.float32(np.exp(-1 / config.horizon_rows))
    seen = state.rows.take(stream, axis=0)  # (M, C + 1, 3)
    seen *= kept
    seen[:, :, BELOW] += rows < lowest
    seen[:, :, WITHIN] += within
    seen[:, :, ABOVE] += rows > highest
    state.rows[stream] = seen
    looked = state.looked.take(stream)
    due = (tick - looked) * config.row_ms >= LOOK_MS
    due |= tick < looked
    if not np.count_nonzero(due):
        return []
    stream = stream[due]
    state.looked[stream] = tick[due]
    return _look(state, config, keys, stream)


def _look(state: DriftState, config: DriftConfig, keys: Sequence[str], stream: Int32) -> list[Drift]:
    shares = _shares(state, config, stream)  # (M, C + 1, 2)
    before = state.stale[stream]
    with np.errstate(invalid="ignore"):
        beyond = (shares > _limits(config)).any(axis=(1, 2))
        still = (shares > AGAIN * _limits(config)).any(axis=(1, 2))
    now = np.where(before, still, beyond)
    state.stale[stream] = now
    return [
        Drift(keys[number], bool(state.stale[number]), verdict(state, config, number).why)
        for number in stream[now != before].tolist()
    ]


def _shares(state: DriftState, config: DriftConfig, stream: Int32) -> Float64:
    """The shares (M, C + 1, 2) of rows below and above; NaN where too few rows tell."""
    rows = state.rows[stream].astype(np.float64)
    count = rows.sum(axis=2, keepdims=True)
    return np.where(count >= config.min_rows, rows[:, :, [BELOW, ABOVE]] / np.maximum(count, 1), np.nan)


def forget(state: DriftState, stream: int) -> None:
    """Begin anew with a stream, because what it does now was said to be normal."""
    state.rows[stream] = 0
    state.looked[stream] = NEVER
    state.stale[stream] = False


def verdict(state: DriftState, config: DriftConfig | None, stream: int) -> Verdict:
    """How a stream stands, in words; None as configuration: its model does not say what it was trained on."""
    if config is None:
        return Verdict("unknown")
    shares = _shares(state, config, np.array([stream], np.int32))[0]  # (C + 1, 2)
    count = float(state.rows[stream].sum(axis=1).max())
    hours = count * config.row_ms / HOUR_MS
    if np.isnan(shares).all():
        return Verdict("not yet", (), hours)
    if not state.stale[stream]:
        return Verdict("fits", (), hours)
    return Verdict("stale", tuple(_reasons(config, shares, hours)), hours)


def _reasons(config: DriftConfig, shares: Float64, hours: float) -> Iterator[str]:
    """What lies beyond, the worst first."""
    over = np.nan_to_num(shares / _limits(config))  # (C + 1, 2)
    for place in np.argsort(-over, axis=None, kind="stable").tolist():
        row, side = divmod(place, 2)
        if over[row, side] <= AGAIN:
            return
        part = f"in {100 * shares[row, side]:.0f} % of the last {hours:.2g} h of running"
        if row == len(config.sensors):
            yield f"the score lies above {config.score:.3g} {part} (training {100 * SCORE_USUAL:.0f} %)"
        else:
            edge = config.highest[row] if side else config.lowest[row]
            unit = "deviations from its level" if config.own else config.units[row]
            which = "above" if side else "below"
            bound = f"({edge:.4g} {unit})" if unit else f"({edge:.4g})"
            yield f"{config.sensors[row]} lies {which} all training data {bound} {part}"
