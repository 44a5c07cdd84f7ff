"""In which operating regime each asset is, by rules over its sensors, and what of it must not be scored.

Pure. The first rule that holds at a tick names its regime, and where none holds it is "running". A comparison with
a value that is missing is unknown; `and`, `or` and `not` take that on (Kleene's logic), and an unknown rule does
not hold. Where nothing is known of any rule the regime before goes on.

Nothing is scored in a regime that the description leaves out. Behind it a window is scored again when all of its
ticks lie after that regime, and after its blanking where it has one: until then nothing that is compared with
normal running holds a tick that was none.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from monitor.records import Status

if TYPE_CHECKING:
    import numpy.typing as npt

    from monitor.records import Bool, Float32, Int32, Int64, UInt8, Windows

    Truth = npt.NDArray[np.int8]  # 1 = holds, 0 = unknown, -1 = does not hold

RUNNING = "running"  # no rule holds
WITHOUT_RULES = ("all",)
NO_TICK = np.int64(-(2**62))
NO_WINDOW = np.int64(2**62)  # as a first tick: no window that ends here is scored


class Step(NamedTuple):
    """A step of a rule in postfix order: a comparison, or `and`, `or`, `not` of what came before."""

    operation: str
    sensor: int = -1  # its index, of a comparison
    number: float = 0.0


@dataclass(frozen=True, slots=True)
class Regime:
    """One regime with its rule."""

    name: str
    rule: tuple[Step, ...]
    scored: bool
    blank_ticks: int  # when it has ended nothing is scored for so long


@dataclass(frozen=True, slots=True)
class RegimeConfig:
    """The regimes of an asset class in their order."""

    regimes: tuple[Regime, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """(R,) what the numbers of regimes mean; "running" is the last one."""
        return (*(each.name for each in self.regimes), RUNNING) if self.regimes else WITHOUT_RULES


@dataclass(slots=True)
class RegimeState:
    """S streams."""

    current: UInt8  # (S,) the number of the regime at the last tick
    first_tick: Int64  # (S,) no window that is scored may reach further back

    @classmethod
    def empty(cls, config: RegimeConfig, streams: int) -> RegimeState:
        """The state of streams that have not closed a tick yet: running."""
        return cls(np.full(streams, len(config.regimes), np.uint8), np.full(streams, NO_TICK))


def push(state: RegimeState, config: RegimeConfig, stream: Int32, tick: Int64, values: Float32) -> UInt8:
    """Take in one closed tick per stream, values (N, C) with NaN = missing; changes `state`.

    Returns the regime (N,) of each.
    """
    if not config.regimes:
        return state.current[stream]
    before = state.current[stream]
    found = evaluate(config, values)
    regime = np.where(found < 0, before, found).astype(np.uint8)  # (N,)
    scored, blank = _marks(config)
    ended = (before != regime) & (~scored[before] | (blank[before] > 0))
    if ended.any():
        which = stream[ended]
        begins = tick[ended] + blank[before[ended]]
        state.first_tick[which] = np.maximum(state.first_tick[which], begins)
    state.current[stream] = regime
    return regime


def resting(state: RegimeState, config: RegimeConfig, stream: Int32) -> Bool:
    """Whether each of these streams (N,) was in a regime that is not scored at its last tick."""
    scored, _ = _marks(config)
    rests: Bool = ~scored[state.current[stream]]
    return rests


def first_ticks(config: RegimeConfig, tick: Int64, values: Float32) -> Int64:
    """Of all ticks (N,) of one asset in their order, values (N, C): the first that a window ending there may hold.

    The same as `push` tick by tick from the beginning; NO_WINDOW at those that are not scored themselves.
    """
    if not config.regimes:
        return np.full(len(tick), NO_TICK)
    scored, blank = _marks(config)
    found = evaluate(config, values)
    latest = np.maximum.accumulate(np.where(found < 0, -1, np.arange(len(tick))))  # (N,) at which one was known
    regime = np.where(latest < 0, len(config.regimes), found[latest])
    before = np.concatenate([[len(config.regimes)], regime[:-1]])
    ended = (before != regime) & (~scored[before] | (blank[before] > 0))
    first = np.maximum.accumulate(np.where(ended, tick + blank[before], NO_TICK))
    return np.where(scored[regime], first, NO_WINDOW)


def evaluate(config: RegimeConfig, values: Float32) -> Int64:
    """The regime (N,) of ticks (N, C) by the rules alone; -1 where nothing is known of any rule."""
    holds = np.stack([_holds(each.rule, values) for each in config.regimes])  # (R-1, N)
    first = np.where((holds == 1).any(axis=0), (holds == 1).argmax(axis=0), len(config.regimes))
    return np.where((holds == 0).all(axis=0), -1, first)


def mark(state: RegimeState, config: RegimeConfig, windows: Windows, length: int) -> Windows:
    """The windows, `length` ticks each, with their regimes; those that must not be scored say why."""
    if not config.regimes:
        return windows
    regime = state.current[windows.stream]
    first = state.first_tick[windows.stream]
    scored, _ = _marks(config)
    status = windows.status.copy()
    full = (status == Status.SCORED) | (status == Status.TOO_FEW_SENSORS)
    status[full & (windows.tick - length + 1 < first)] = Status.WARMING_UP
    status[windows.tick < first] = Status.BLANKED
    status[~scored[regime]] = Status.REGIME
    return replace(windows, status=status, regime=regime)


def under(state: RegimeState, old: RegimeConfig, new: RegimeConfig) -> RegimeState:
    """The state under other rules: a regime is known by its name, and one that is no more is "running"."""
    if old == new:
        return state
    number = {name: index for index, name in enumerate(new.names)}
    renamed = np.array([number.get(name, len(new.regimes)) for name in old.names], np.uint8)
    return RegimeState(renamed[state.current], state.first_tick)


def _holds(rule: tuple[Step, ...], values: Float32) -> Truth:
    """Whether a rule holds (N,) at ticks (N, C): `and` is the least of its parts, `or` the greatest."""
    stack: list[Truth] = []
    for step in rule:
        if step.operation == "not":
            stack.append(-stack.pop())
        elif step.operation in {"and", "or"}:
            join = np.minimum if step.operation == "and" else np.maximum
            stack.append(join(stack.pop(), stack.pop()))
        else:
            value = values[:, step.sensor]
            is_so = _compared(step.operation, value, step.number)
            stack.append(np.where(np.isnan(value), 0, np.where(is_so, 1, -1)).astype(np.int8))
    return stack.pop()


def _compared(sign: str, value: Float32, number: float) -> Bool:
    result: Bool
    match sign:
        case "<":
            result = value < number
        case "<=":
            result = value <= number
        case ">":
            result = value > number
        case ">=":
            result = value >= number
        case "==":
            result = value == number
        case _:
            result = value != number
    return result


@lru_cache(maxsize=256)
def _marks(config: RegimeConfig) -> tuple[Bool, Int64]:
    """(R,) whether each regime is scored, and its blanking in ticks; "running" is scored and has none."""
    scored = np.array([*(each.scored for each in config.regimes), True])
    blank = np.array([*(each.blank_ticks for each in config.regimes), 0], np.int64)
    return scored, blank
