"""Regimes by rule: what holds, what is unknown, and from when on a window may be scored again."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.rules import RuleError, parse
from monitor.records import Status, Windows
from monitor.regime import (
    NO_WINDOW,
    Regime,
    RegimeConfig,
    RegimeState,
    Step,
    evaluate,
    first_ticks,
    mark,
    push,
    resting,
    under,
)
from tests.line_samples import FAST

SENSORS = ("speed", "load", "lambda")
NAN = float("nan")
OPERATORS = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


def rules(*given: tuple[str, str], unscored: tuple[str, ...] = ("off",), blank: int = 0) -> RegimeConfig:
    """Regimes by their rules; `blank` ticks of blanking behind those that are not scored."""
    return RegimeConfig(
        tuple(
            Regime(
                name,
                tuple(Step(*step) for step in parse(text, SENSORS)),
                name not in unscored,
                blank * (name in unscored),
            )
            for name, text in given
        )
    )


ENGINE = rules(("off", "speed < 50"), ("idle", "speed < 1000 and load < 35"), ("load", "load >= 60"))


def named(config: RegimeConfig, *ticks: tuple[float, float]) -> list[str]:
    """The regimes of one machine at ticks 0, 1, … of these speeds and loads."""
    state = RegimeState.empty(config, 1)
    one = np.zeros(1, np.int32)
    found = []
    for tick, (speed, load) in enumerate(ticks):
        values = np.array([[speed, load, 1.0]], np.float32)
        found.append(config.names[push(state, config, one, np.array([tick]), values)[0]])
    return found


def test_the_first_rule_that_holds_names_the_regime_and_where_none_does_it_is_running() -> None:
    ticks = [(0.0, 0.0), (800.0, 20.0), (800.0, 50.0), (2000.0, 20.0), (900.0, 60.0), (50.0, 34.9), (49.9, 99.0)]
    assert named(ENGINE, *ticks) == ["off", "idle", "running", "running", "load", "idle", "off"]


def test_a_missing_sensor_decides_nothing_where_the_other_part_does() -> None:
    """Without a load: 2000 rpm is not idle whatever the load; 800 rpm may be, so nothing is known to hold."""
    assert named(ENGINE, (2000.0, NAN)) == ["running"]
    assert named(ENGINE, (800.0, 20.0), (800.0, NAN)) == ["idle", "running"]
    assert named(ENGINE, (NAN, 70.0)) == ["load"]
    assert named(ENGINE, (NAN, 20.0)) == ["running"]


def test_a_tick_of_which_nothing_is_known_keeps_the_regime_before_it() -> None:
    assert named(ENGINE, (0.0, 0.0), (NAN, NAN), (NAN, NAN), (800.0, 20.0), (NAN, NAN)) == [
        "off",
        "off",
        "off",
        "idle",
        "idle",
    ]
    assert named(ENGINE, (NAN, NAN)) == ["running"]


@pytest.mark.parametrize(
    ("rule", "holds"),
    [
        ("speed < 1 and load < 1", [1, 0, 0, -1, -1]),
        ("speed < 1 or load < 1", [1, 1, 0, 0, -1]),
        ("not speed < 1", [-1, -1, 0, 0, 1]),
        ("not (speed < 1 and load < 1)", [-1, 0, 0, 1, 1]),
    ],
)
def test_unknown_goes_through_the_logic_as_kleene_has_it(rule: str, holds: list[int]) -> None:
    """For (true, true), (true, unknown), (unknown, unknown), (unknown, false), (false, false)."""
    values = np.array([[0, 0], [0, NAN], [NAN, NAN], [NAN, 5], [5, 5]], np.float32)
    wanted = [{1: 0, 0: -1, -1: 1}[each] for each in holds]  # the rule's regime, nothing known, running
    assert evaluate(rules(("off", rule)), values).tolist() == wanted


def test_not_binds_closest_then_and_then_or() -> None:
    """True or (false and false) is true; (true or false) and false would not be."""
    values = np.array([[0, 5, 5]], np.float32)
    text = "speed < 1 or load < 1 and lambda < 1"
    assert evaluate(rules(("off", text)), values).tolist() == [0]
    assert evaluate(rules(("off", "(speed < 1 or load < 1) and lambda < 1")), values).tolist() == [1]
    assert evaluate(rules(("off", "not load < 1 and speed < 1")), values).tolist() == [0]
    assert evaluate(rules(("off", "not (load < 1 or speed < 1)")), values).tolist() == [1]


expressions = st.recursive(
    st.tuples(st.sampled_from(SENSORS), st.sampled_from(list(OPERATORS)), st.integers(-3, 3)),
    lambda inner: st.one_of(
        st.tuples(st.just("not"), inner), st.tuples(inner, st.sampled_from(["and", "or"]), inner)
    ),
    max_leaves=8,
)


def written(tree: Any) -> str:
    """An expression as a rule."""
    if tree[0] == "not":
        return f"not ({written(tree[1])})"
    if tree[1] in {"and", "or"}:
        return f"({written(tree[0])}) {tree[1]} ({written(tree[2])})"
    return f"{tree[0]} {tree[1]} {tree[2]}"


def truth(tree: Any, tick: dict[str, float]) -> bool | None:
    """Whether it holds; None where not every way to fill in what is missing says the same."""
    missing = [name for name in SENSORS if np.isnan(tick[name])]
    if tree[0] == "not":
        inner = truth(tree[1], tick)
        return None if inner is None else not inner
    if tree[1] in {"and", "or"}:
        parts = {truth(tree[0], tick), truth(tree[2], tick)}
        decides = tree[1] == "or"
        return decides if decides in parts else None if None in parts else not decides
    return None if tree[0] in missing else bool(OPERATORS[tree[1]](tick[tree[0]], tree[2]))


@FAST
@given(tree=expressions, ticks=st.lists(st.lists(st.sampled_from([NAN, -2.0, 0.0, 1.5]), min_size=3, max_size=3)))
def test_any_rule_holds_where_the_same_expression_does(tree: Any, ticks: list[list[float]]) -> None:
    config = rules(("off", written(tree)))
    found = evaluate(config, np.array(ticks, np.float32).reshape(-1, 3)).tolist()
    wanted = [truth(tree, dict(zip(SENSORS, tick, strict=True))) for tick in ticks]
    assert found == [{True: 0, False: 1, None: -1}[each] for each in wanted]


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        ("sped < 50", '"sped" at character 1 is no sensor of this file'),
        ("speed = 50", '"=" at character 7 means nothing here; equal is =='),
        ("speed < load", "speed < load at character 1: one side must be a sensor, the other a number"),
        ("(speed < 50", 'ends where ")" is expected'),
        ("speed < 50 load < 3", '"load" at character 12, where the end, `and` or `or` is expected'),
        ("speed < 50 and", "ends where a sensor or a number is expected"),
        ("speed", "ends where <, <=, >, >=, == or != is expected"),
        ("speed < 1e999", "1e999 at character 9 is too large a number"),
        ("__import__('os').system('x') < 1", """".system('x')" at character 17 means nothing here"""),
        ("not " * 60 + "speed < 1", "more than 50 parentheses or `not` within each other"),
    ],
)
def test_a_rule_that_cannot_be_understood_is_told_with_its_place(rule: str, sentence: str) -> None:
    with pytest.raises(RuleError) as caught:
        parse(rule, SENSORS)
    assert sentence in str(caught.value)


@FAST
@given(st.text(alphabet="speedload<>=!()andornot \"'.0123456789-", max_size=40))
def test_no_text_does_anything_but_parse_or_be_refused(text: str) -> None:
    try:
        steps = parse(text, SENSORS)
    except RuleError:
        return
    evaluate(
        RegimeConfig((Regime("off", tuple(Step(*step) for step in steps), False, 0),)),
        np.zeros((2, 3), np.float32),
    )


def test_names_in_quotes_and_numbers_on_the_left() -> None:
    assert parse("'oil temp' > -5.5e1", ["oil temp"]) == parse('-55 < "oil temp"', ["oil temp"])


LENGTH = 3


def statuses(config: RegimeConfig, *speeds: float) -> list[str]:
    """The status of the windows of three ticks that end at each tick, of a machine with these speeds."""
    state = RegimeState.empty(config, 1)
    one = np.zeros(1, np.int32)
    found = []
    for tick, speed in enumerate(speeds, start=LENGTH):  # as if the window had been filling before
        push(state, config, one, np.array([tick]), np.array([[speed, 50, 1]], np.float32))
        plain = Windows(
            stream=one,
            tick=np.array([tick]),
            values=np.zeros((1, LENGTH, 3), np.float32),
            actual=np.zeros((1, 3), np.float32),
            status=np.full(1, Status.SCORED, np.uint8),
            count=np.full(1, 3, np.int32),
            ticks=np.ones(1, np.int32),
            regime=np.zeros(1, np.uint8),
            rewritten=np.zeros(1, np.bool_),
        )
        cut = mark(state, config, plain, LENGTH)
        found.append(f"{Status(cut.status[0]).name.lower()} {config.names[cut.regime[0]]}")
    return found


def test_a_window_is_scored_again_when_all_of_its_ticks_lie_behind_what_is_not_scored() -> None:
    """Off in the ticks 3 and 4 (of 3, 4, 5, …): the first window without them is that of 5, 6 and 7."""
    assert statuses(ENGINE, 0, 0, 2000, 2000, 2000, 2000) == [
        "regime off",
        "regime off",
        "warming_up running",
        "warming_up running",
        "scored running",
        "scored running",
    ]


def test_blanking_puts_that_off() -> None:
    """Two ticks more: those of 5 and 6 are blanked, the first window without them ends at 9."""
    config = rules(("off", "speed < 50"), blank=2)
    assert statuses(config, 0, 0, 2000, 2000, 2000, 2000, 2000) == [
        "regime off",
        "regime off",
        "blanked running",
        "blanked running",
        "warming_up running",
        "warming_up running",
        "scored running",
    ]


def test_between_regimes_that_are_scored_nothing_is_left_out() -> None:
    assert statuses(ENGINE, 2000, 800, 800, 2000)[1:] == ["scored running"] * 3
    idle = rules(("off", "speed < 50"), ("idle", "speed < 1000"))
    assert statuses(idle, 2000, 800, 2000) == ["scored running", "scored idle", "scored running"]


def test_a_scored_regime_can_have_blanking_too() -> None:
    """Nothing while it lasts, but behind it: the step out of idle is what is not to be scored."""
    config = RegimeConfig((Regime("idle", (Step("<", 0, 1000.0),), True, 1),))
    assert statuses(config, 800, 800, 2000, 2000, 2000, 2000) == [
        "scored idle",
        "scored idle",
        "blanked running",
        "warming_up running",
        "warming_up running",
        "scored running",
    ]


def test_what_a_window_says_itself_is_kept_without_rules() -> None:
    assert statuses(RegimeConfig(), 0, 2000) == ["scored all"] * 2


@FAST
@given(
    speeds=st.lists(
        st.lists(st.sampled_from([NAN, 0.0, 800.0, 2000.0]), min_size=3, max_size=3), min_size=1, max_size=12
    )
)
def test_machines_side_by_side_are_those_one_by_one(speeds: list[list[float]]) -> None:
    """Three streams in one call, or one call each: the same regimes, and the same first tick."""
    config = rules(("off", "speed < 50"), ("idle", "speed < 1000"), blank=2)
    together, alone = RegimeState.empty(config, 3), RegimeState.empty(config, 3)
    for tick, row in enumerate(speeds):
        values = np.array([[speed, 50, 1] for speed in row], np.float32)
        push(together, config, np.arange(3, dtype=np.int32), np.full(3, tick), values)
        for stream in range(3):
            push(alone, config, np.array([stream], np.int32), np.array([tick]), values[stream : stream + 1])
    np.testing.assert_array_equal(together.current, alone.current)
    np.testing.assert_array_equal(together.first_tick, alone.first_tick)
    everyone = np.arange(3, dtype=np.int32)
    np.testing.assert_array_equal(resting(together, config, everyone), together.current == 0)


@given(
    st.lists(st.sampled_from([0.0, 20.0, 60.0, 90.0, np.nan]), min_size=1, max_size=30),
    st.integers(0, 3),
)
def test_a_whole_history_is_what_came_tick_by_tick(speeds: list[float], blank: int) -> None:
    """The first tick that a window may hold, and that none may end where the machine rests."""
    config = rules(("off", "speed < 50"), ("load", "speed > 80"), blank=blank)
    tick, values = np.arange(100, 100 + len(speeds)), np.array([[each, NAN, NAN] for each in speeds], np.float32)
    state, stream, found = RegimeState.empty(config, 1), np.zeros(1, np.int32), []
    for now in range(len(speeds)):
        push(state, config, stream, tick[now : now + 1], values[now : now + 1])
        rests = bool(resting(state, config, stream)[0])
        found.append(int(NO_WINDOW if rests else state.first_tick[0]))
    assert first_ticks(config, tick, values).tolist() == found


def test_under_other_rules_a_regime_is_known_by_its_name() -> None:
    state = RegimeState.empty(ENGINE, 4)
    state.current[:] = [0, 1, 2, 3]  # off, idle, load, running
    other = rules(("load", "load > 1"), ("off", "speed < 5"))
    assert [other.names[each] for each in under(state, ENGINE, other).current] == [
        "off",
        "running",
        "load",
        "running",
    ]
    assert under(state, ENGINE, RegimeConfig()).current.tolist() == [0, 0, 0, 0]
