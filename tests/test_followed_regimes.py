"""Regimes that a model learned, on the line: as in training, with patience, and "unknown" where it is so."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.classes import ResolvedClass
from config.regimes import RegimeRule
from config.rules import parse
from config.sections import ThresholdSettings
from config.settings import ClassSettings, Settings
from models.regime_learning import regimes_of
from models.regimes import Regime, Regimes, dwelt
from monitor.assemble import line_spec
from monitor.checkpoint import decode, encode
from monitor.records import Status
from monitor.regime import RegimeConfig, RegimeState, push, under
from monitor.roll import roll
from monitor.spec import ClassSpec, LineSpec
from monitor.threshold import ThresholdConfig, ThresholdState, current, learn
from tests.line_samples import FAST, HASH, SENSORS, Line, pump, quick, shipped, telemetry
from tests.regime_samples import IDLE, RUN, TWO, run_of

NAN = math.nan
ONE = np.zeros(1, np.int32)
# Of two sensors, with memory: they go together in each.
BOTH = Regimes(
    sensors=(1, 0),
    smooth=4,
    dwell=3,
    of=(
        Regime("a", 0.7, (0.0, 0.0), ((1.0, 0.5), (0.5, 1.0)), 6.0),
        Regime("b", 0.3, (10.0, 5.0), ((4.0, 0.0), (0.0, 1.0)), 6.0),
    ),
)


def followed(learned: Regimes, values: np.ndarray, gaps: frozenset[int] = frozenset()) -> list[str]:
    """The regimes of one machine at ticks 0, 1, … of these values (N, C)."""
    config = RegimeConfig(learned=learned)
    state = RegimeState.empty(config, 1)
    return [
        config.names[
            push(state, config, ONE, np.array([tick]), row[None].astype(np.float32), np.array([tick in gaps]))[0]
        ]
        for tick, row in enumerate(values)
    ]


def speeds(*each: float) -> list[str]:
    return followed(TWO, np.array(each)[:, None])


def test_another_regime_is_believed_after_as_many_ticks_as_it_dwells() -> None:
    """Three; until then it is unknown, or what it was."""
    low, high = "speed low", "speed high"
    assert speeds(800, 800, 800, 2000, 2000, 2000, 2000) == ["unknown"] * 2 + [low] * 3 + [high] * 2
    assert speeds(800, 800, 800, 2000, 2000, 800, 2000, 2000, 800)[2:] == [low] * 7


def test_far_from_all_of_them_is_unknown_and_that_too_only_when_it_lasts() -> None:
    """Six deviations of 40 reach 240: 1030 is idle, 1050 is nothing that was seen."""
    assert speeds(*[1030] * 3)[-1] == "speed low"
    assert speeds(*[1050] * 3)[-1] == "unknown"
    assert speeds(800, 800, 800, 5000, 800)[-1] == "speed low"
    assert speeds(800, 800, 800, 5000, 5000, 5000)[-1] == "unknown"
    assert speeds(800, 800, 800, 3e38, 3e38, 3e38)[-1] == "unknown"


def test_one_absurd_value_is_forgotten_as_soon_as_any_other() -> None:
    """A mean over twenty ticks, of which one is out of all measure, is near again before long."""
    slow = msgspec.structs.replace(TWO, smooth=20)
    values = np.array([800.0] * 30 + [3e38] + [800.0] * 40)[:, None]
    assert followed(slow, values)[-1] == "speed low"


def test_where_nothing_is_known_the_regime_before_goes_on() -> None:
    assert speeds(NAN, NAN, NAN, NAN) == ["unknown"] * 4
    assert speeds(800, 800, 800, *[NAN] * 9)[-1] == "speed low"
    # What is missing breaks no wait that its own mean goes on with: one tick of it counts as the tick before.
    assert speeds(800, NAN, 800)[-1] == "speed low"


def test_a_sensor_that_is_missing_for_longer_is_left_out_and_with_half_of_them_nothing_is_said() -> None:
    """The mean waits for four ticks; then one of two sensors is too few to say anything."""
    at_b = np.tile([5.0, 10.0], (10, 1))
    lost = np.tile([NAN, 0.0], (20, 1))
    assert followed(BOTH, np.concatenate([at_b, lost]))[-1] == "b"
    three = msgspec.structs.replace(
        BOTH,
        sensors=(0, 1, 2),
        of=tuple(
            Regime(name, 0.5, (at,) * 3, tuple(tuple(row) for row in np.eye(3).tolist()), 6.0)
            for name, at in (("a", 0.0), ("b", 5.0))
        ),
    )
    lost = np.tile([NAN, 5.0, 5.0], (20, 1))
    assert followed(three, np.concatenate([np.zeros((10, 3)), lost]))[-1] == "b"


def test_behind_a_silence_the_mean_begins_anew() -> None:
    """Without that the mean of a hundred, 60 ticks old, takes so long to come down that nothing is known."""
    slow = msgspec.structs.replace(TWO, smooth=60)
    values = np.array([2000.0] * 10 + [800.0] * 3)[:, None]
    assert followed(slow, values)[-1] != "speed low"
    assert followed(slow, values, frozenset({10}))[-1] == "speed low"


rows = st.lists(
    st.tuples(*[st.one_of(st.just(NAN), st.sampled_from([0.0, 5.0, 10.0]), st.floats(-30, 30))] * 2),
    min_size=1,
    max_size=40,
)


@FAST
@given(rows)
def test_the_line_is_where_training_was(values: list[tuple[float, float]]) -> None:
    """Tick by tick on the line, and all at once offline: the same regimes."""
    array = np.array(values, np.float32)
    (offline,) = regimes_of(BOTH, [run_of(array, window=1)])
    assert followed(BOTH, array) == [BOTH.names[each] for each in offline]


@FAST
@given(st.lists(st.integers(-1, 2), min_size=1, max_size=60), st.integers(1, 5))
def test_what_is_believed_is_what_was_found_so_often_in_a_row(found: list[int], dwell: int) -> None:
    """By the definition, one tick after the other."""
    believed, wanted = 2, []
    for tick in range(len(found)):
        last = found[max(tick - dwell + 1, 0) : tick + 1]
        if len(last) == dwell and len(set(last)) == 1 and last[0] >= 0:
            believed = last[0]
        wanted.append(believed)
    assert dwelt(np.array(found), dwell, 2).tolist() == wanted


def test_many_machines_at_once_are_each_as_if_alone() -> None:
    random = np.random.default_rng(3)
    values = random.choice([NAN, 0.0, 5.0, 10.0], size=(50, 4, 2)).astype(np.float32)
    config = RegimeConfig(learned=BOTH)
    state, streams = RegimeState.empty(config, 4), np.arange(4, dtype=np.int32)
    together = [push(state, config, streams, np.full(4, tick), values[tick]).tolist() for tick in range(50)]
    for stream in range(4):
        alone = followed(BOTH, values[:, stream])
        assert [config.names[each[stream]] for each in together] == alone


def test_under_other_regimes_one_is_known_by_its_name() -> None:
    config = RegimeConfig(learned=TWO)
    state = RegimeState.empty(config, 1)
    for tick in range(3):
        push(state, config, ONE, np.array([tick]), np.array([[2000.0]], np.float32))
    turned = RegimeConfig(learned=msgspec.structs.replace(TWO, of=(RUN, IDLE)))
    assert turned.names[under(state, config, turned).current[0]] == "speed high"
    other = msgspec.structs.replace(RUN, name="fast")
    renamed = RegimeConfig(learned=msgspec.structs.replace(TWO, of=(other, IDLE)))
    assert renamed.names[under(state, config, renamed).current[0]] == "unknown"
    assert under(state, config, RegimeConfig()).current.tolist() == [0]


def test_the_floor_of_a_regime_is_by_its_level_and_never_above_the_cap() -> None:
    """By the formula floor x level: 2 x 0.5, 2 x 1.5, 2 x 1, and 2 x 2 where the cap is 3.5."""
    config = ThresholdConfig(
        "mad", 0.9, 1.5, 6.0, 600.0, 20, 2.0, 3.5, regime_rows=(20,) * 4, regime_levels=LEVELS
    )
    state = ThresholdState.empty(config, 1)
    regime = np.arange(4, dtype=np.uint8)
    assert current(state, config, np.zeros(4, np.int32), regime).tolist() == [1.0, 3.0, 2.0, 3.5]


def test_regimes_that_are_only_told_have_one_histogram_and_floors_of_their_own() -> None:
    """Thirty scores of 0.4, half of them in each regime: the rule's 0.4 x 1.5 = 0.6 is above one floor alone."""
    config = ThresholdConfig("quantile", 0.9, 1.5, 6.0, 600.0, 20, 1.0, 10.0, regime_levels=(0.5, 1.5))
    state, stream = ThresholdState.empty(config, 1), np.zeros(1, np.int32)
    for tick in range(30):
        now = np.array([tick % 2], np.uint8)
        score = np.array([0.4], np.float32)
        learn(state, config, stream, np.array([tick]), score, now, frozen=np.zeros(1, np.bool_))
    assert state.histogram.shape[1] == 1
    first, second = (float(current(state, config, stream, np.array([each], np.uint8))[0]) for each in (0, 1))
    assert first == pytest.approx(0.6, rel=0.1)  # a bin is a tenth wide
    assert second == 1.5


LEVELS = (0.5, 1.5, 1.0, 2.0)
LOAD = Regimes(
    sensors=(0,),
    smooth=1,
    dwell=3,
    of=(
        Regime("load low", 0.5, (20.0,), ((4.0,),), 6.0, 400, 0.5),
        Regime("load high", 0.5, (80.0,), ((4.0,),), 6.0, 400, 1.5),
    ),
)


def pumps(**changes: object) -> ClassSpec:
    """The pumps of the line's tests, with regimes that their model learned."""
    entry = ResolvedClass(
        settings=ClassSettings(name="pumps"),
        name="pumps",
        sensors=SENSORS,
        units=("%", "l/min"),
        lowest=(None, None),
        highest=(None, None),
        stuck_s=(None, None),
        period_ms=1000,
        lateness_ms=2000,
        one_reading_per_tick=True,
        model_name="balance",
        model_hash=HASH,
        window=20,
        learned_regimes=LOAD,
    )
    entry = replace(entry, **changes)  # type: ignore[arg-type]  # the tests' own
    return line_spec(Settings(), [entry]).classes[0]


def test_on_the_line_each_row_has_its_regime_and_is_judged_by_its_floor() -> None:
    """A breach of 1.2 is an anomaly at low load, whose floor is 1.0, and none at high load, where it is 1.5."""
    line = Line(quick(pumps(), threshold=pumps().threshold)).listen()  # so few rows leave it at its floor
    for second in range(60):
        load, breach = (20, 0.0) if second < 20 else (80, 2.4) if second < 40 else (20, 2.4)
        line.send(second * 1000, telemetry("p", second * 1000, pump(load, breach=breach)))
    found = {}
    for stored in (each for result in line.results for each in result.scores):
        for tick, status, regime, by in zip(
            stored.rows.tick.tolist(), stored.rows.status, stored.rows.regime, stored.rows.threshold, strict=True
        ):
            if status == Status.SCORED:
                found[tick - line_tick()] = stored.regimes[regime], float(by)
    assert found[19] == ("load low", 1.0)
    assert found[30] == ("load high", 1.5)
    fired = [event for event in line.events if event.transition == "fired"]
    assert len(fired) == 1
    assert "in load low" in fired[0].summary
    assert [row["regime"] for row in roll(line.state, 0)] == ["load low"]


def line_tick() -> int:
    from tests.line_samples import START  # noqa: PLC0415 - only here

    return START // 1000


def test_a_checkpoint_brings_the_regime_back() -> None:
    line = Line(quick(pumps())).listen()
    for second in range(30):
        line.send(second * 1000, telemetry("p", second * 1000, pump(80)))
    again = decode(encode(7, line.state)).state.classes[0]
    assert again.spec == line.state.classes[0].spec
    for name in ("current", "mean", "missing", "next", "held"):
        kept, given = getattr(again.regime, name), getattr(line.state.classes[0].regime, name)
        assert kept[:1].tolist() == given[:1].tolist()
    assert again.spec.regime.names[again.regime.current[0]] == "load high"


def test_a_description_of_the_release_before_goes_on_without_learned_regimes() -> None:
    document = json.loads(LineSpec("enginewatch", 3, (shipped(),)).encode())
    for each in document["classes"]:
        del each["regime"]["learned"], each["threshold"]["regime_levels"]
    older = LineSpec.decode(json.dumps(document).encode())
    assert older.classes[0].regime.names == ("all",)
    assert older == LineSpec("enginewatch", 3, (shipped(),))


def test_rules_come_first_and_without_a_model_or_by_the_settings_there_are_none() -> None:
    assert pumps().regime.names == ("load low", "load high", "unknown")
    assert pumps().threshold.regime_levels == (1.0, 1.5, 1.0)  # a level below 1, here of 0.5, lowers no floor
    assert pumps().threshold.rows_to_learn == (600,)
    own = ClassSettings(name="pumps", threshold=ThresholdSettings(learned_regimes="own"))
    assert pumps(settings=own).threshold.rows_to_learn == (600, 600, 600)
    assert pumps(settings=own).thresholds == pumps().regime.names
    assert pumps().thresholds == ("all",)
    assert pumps().alert.regimes == pumps().regime.names
    rule = RegimeRule("off", tuple(parse("load < 5", SENSORS)), scored=False, blank_s=0.0, min_rows=None)
    assert pumps(regimes=(rule,)).regime.names == ("off", "running")
    assert pumps(regimes=(rule,)).threshold.regime_levels == ()
    off = ClassSettings(name="pumps", threshold=ThresholdSettings(learned_regimes="off"))
    for each in (pumps(settings=off), pumps(model_hash=None)):
        assert each.regime.names == ("all",)
        assert each.threshold.regime_levels == each.threshold.regime_rows == ()


@pytest.mark.parametrize("period_ms", [500, 1000])
def test_a_class_without_learned_regimes_is_as_before(period_ms: int) -> None:
    assert shipped(period_ms=period_ms).regime == RegimeConfig()
