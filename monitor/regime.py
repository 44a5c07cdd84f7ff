"""In which operating regime each asset is, by rules over its sensors or as learned, and what must not be scored.

Pure. The first rule that holds at a tick names its regime, and where none holds it is "running". A comparison with
a value that is missing is unknown; `and`, `or` and `not` take that on (Kleene's logic), and an unknown rule does
not hold. Where nothing is known of any rule the regime before goes on.

Nothing is scored in a regime that the description leaves out. Behind it a window is scored again when all of its
ticks lie after that regime, and after its blanking where it has one: until then nothing that is compared with
normal running holds a tick that was none.

Where there are no rules, the model may have regimes that it learned (`models.regimes`). All of them are scored,
and so is a machine that is in none of them, which is "unknown".
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from models.regimes import Place, Regimes, follow
from models.remembered import remembered
from monitor.records import Status

if TYPE_CHECKING:
    import numpy.typing as npt

    from monitor.records import Bool, Float32, Float64, Int32, Int64, UInt8, Windows

    Truth = npt.NDArray[np.int8]  # 1 = holds, 0 = unknown, -1 = does not hold

RUNNING = "running"  # no rule holds
WITHOUT_RULES = ("all",)
SCORED, TOO_FEW_SENSORS = int(Status.SCORED), int(Status.TOO_FEW_SENSORS)
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
    learned: Regimes | None = None  # by the model, where there are no rules

    @property
    def names(self) -> tuple[str, ...]:
        """(R,) what the numbers of regimes mean; the last one, "running" or "unknown", is that of a new stream."""
        return _names(self)


@dataclass(slots=True)
class RegimeState:
    """S streams."""

    current: UInt8  # (S,) the number of the regime at the last tick
    first_tick: Int64  # (S,) no window that is scored may reach further back
    # As `models.regimes.Place`, where regimes are learned.
    mean: Float64  # (S, D)
    missing: Int32  # (S, D)
    next: UInt8  # (S,)
    held: Int32  # (S,)

    @classmethod
    def empty(cls, config: RegimeConfig, streams: int) -> RegimeState:
        """The state of streams that have not closed a tick yet: running, or unknown."""
        place = Place.empty(config.learned, streams)
        current = np.full(streams, len(config.names) - 1, np.uint8)
        return cls(current, np.full(streams, NO_TICK), place.mean, place.missing, place.next, place.held)


def push(
    state: RegimeState,
    config: RegimeConfig,
    stream: Int32,
    tick: Int64,
    values: Float32,
    gap: Bool | None = None,
) -> UInt8:
    """Take in one closed tick per stream, values (N, C) with NaN = missing; changes `state`.

    `gap` (N,) says behind which silence nothing before counts; None = none. Returns the regime (N,) of each.
    """
    if config.learned is not None and not config.regimes:
        return _follow(state, config.learned, stream, values, gap)
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


def _follow(state: RegimeState, learned: Regimes, stream: Int32, values: Float32, gap: Bool | None) -> UInt8:
    """The regimes (N,) by what was learned; changes `state`."""
    if gap is not None and gap.any():
        state.mean[stream[gap]] = np.nan
    place = Place(*(getattr(state, name).take(stream, axis=0) for name in Place._fields))
    after = follow(learned, place, values)
    for name in Place._fields:
        getattr(state, name)[stream] = getattr(after, name)
    return after.current


def resting(state: RegimeState, config: RegimeConfig, stream: Int32) -> Bool:
    """Whether each of these streams (N,) was in a regime that is not scored at its last tick."""
    scored, _ = _marks(config)
    rests: Bool = ~scored.take(state.current.take(stream))
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
    if len(config.names) == 1:
        return windows
    regime = state.current[windows.stream]
    first = state.first_tick[windows.stream]
    scored, _ = _marks(config)
    status = windows.status.copy()
    full = (status == SCORED) | (status == TOO_FEW_SENSORS)
    status[full & (windows.tick - length + 1 < first)] = Status.WARMING_UP
    status[windows.tick < first] = Status.BLANKED
    status[~scored.take(regime)] = Status.REGIME
    return replace(windows, status=status, regime=regime)


def under(state: RegimeState, old: RegimeConfig, new: RegimeConfig) -> RegimeState:
    """The state under other regimes: each is known by its name; one that is no more is "running", or "unknown"."""
    if old == new:
        return state
    number = {name: index for index, name in enumerate(new.names)}
    renamed = np.array([number.get(name, len(new.names) - 1) for name in old.names], np.uint8)
    fresh = RegimeState.empty(new, len(state.current))
    if old.learned == new.learned:
        fresh = replace(fresh, **{name: getattr(state, name) for name in Place._fields})
    return replace(fresh, current=renamed[state.current], first_tick=state.first_tick)


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


@remembered
def _names(config: RegimeConfig) -> tuple[str, ...]:
    if config.regimes:
        return (*(each.name for each in config.regimes), RUNNING)
    return WITHOUT_RULES if config.learned is None else config.learned.names


@remembered
def _marks(config: RegimeConfig) -> tuple[Bool, Int64]:
    """(R,) whether each regime is scored, and its blanking in ticks; without a rule it is scored and has none."""
    if not config.regimes:
        return np.ones(len(config.names), np.bool_), np.zeros(len(config.names), np.int64)
    scored = np.array([*(each.scored for each in config.regimes), True])
    blank = np.array([*(each.blank_ticks for each in config.regimes), 0], np.int64)
    return scored, blank
