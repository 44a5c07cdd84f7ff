"""What is carried from tick to tick: a prediction has nearly a window behind it, and never more than five."""

from __future__ import annotations

from zlib import crc32

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.pretrained import folder
from models.runtime import load_model
from monitor.carry import AGAIN, CarryConfig, CarryState, predict
from monitor.records import Float32, Status, Windows
from tests.line_samples import FAST

T, J = 12, 4
COUNT = 1_920
CONFIG = CarryConfig(memory=1, window=T, judged=J)
KEYS = ["plant//a", "plant//b", "plant//c"]


class Counter:
    """Carries how many ticks it has seen, and predicts of every tick how many that makes, itself included."""

    window, level_rows, lasting, memory = T, 0, None, 1

    def __init__(self) -> None:
        self.ticks = 0  # that it was asked to look at
        self.levels: list[Float32] = []

    def score(self, values: Float32, level: object = None) -> tuple[Float32, Float32, Float32]:
        raise NotImplementedError

    def judge(self, values: Float32, predicted: Float32, level: object = None) -> tuple[Float32, Float32, Float32]:
        raise NotImplementedError

    def predict(
        self, values: Float32, level: tuple[Float32, Float32] | None = None, memory: Float32 | None = None
    ) -> tuple[Float32, Float32]:
        rows, ticks, _ = values.shape
        self.ticks += rows * ticks
        self.levels += [] if level is None else [level[0]]
        before = np.zeros((rows, 1), np.float32) if memory is None else memory
        seen = before + np.arange(1, ticks + 1, dtype=np.float32)  # (B, n)
        return seen[:, :, None], seen[:, -1:]


def rows(
    tick: int, *streams: int, ticks: int = 1, status: Status = Status.SCORED, rewritten: bool = False
) -> Windows:
    """Rows of these streams at a tick, that cover so many ticks."""
    count = len(streams)
    return Windows(
        stream=np.array(streams, np.int32),
        tick=np.full(count, tick, np.int64),
        values=np.zeros((count, J, 1), np.float32),
        actual=np.zeros((count, 1), np.float32),
        status=np.full(count, status, np.uint8),
        count=np.full(count, 1, np.int32),
        ticks=np.full(count, ticks, np.int32),
        regime=np.zeros(count, np.uint8),
        rewritten=np.full(count, rewritten),
    )


def ask(state: CarryState, model: Counter, windows: Windows) -> list[list[float]]:
    """How many ticks each judged tick has had behind it, itself included; of the rows that are ready."""
    ready = windows.status == Status.SCORED
    found = predict(
        state, CONFIG, model, KEYS, windows, ready, lambda of: np.zeros((len(of), T, 1), np.float32), None
    )
    return [[float(each) for each in row] for row in found[:, :, 0]]


def turn(key: str) -> int:
    """In how many ticks after its first row the stream's window is seen as a whole again."""
    return 1 + crc32(key.rpartition("/")[2].encode()) % (AGAIN * T)


def test_the_first_row_sees_its_window_as_a_whole_and_later_ones_go_on_behind_it() -> None:
    """Each new tick has one more behind it, until it is the stream's turn; then once in AGAIN windows."""
    state, model = CarryState.empty(CONFIG, 1, 3), Counter()
    looked: list[int] = []
    before: list[float] = []
    for tick in range(1000, 1000 + 3 * AGAIN * T):
        (found,) = ask(state, model, rows(tick, 0))
        if found == [9, 10, 11, 12]:
            looked.append(tick - 1000)
        else:
            assert found == [each + 1 for each in before]
        before = found
    first = turn(KEYS[0])
    assert looked == [0, first, first + AGAIN * T, first + 2 * AGAIN * T][: len(looked)]
    assert len(looked) >= 3
    assert model.ticks == len(looked) * T + 3 * AGAIN * T - len(looked)


@given(
    st.lists(
        st.tuples(st.integers(1, 6), st.sampled_from(["plain", "rewritten", "not scored"])),
        min_size=1,
        max_size=60,
    ),
    st.integers(0, 2),
)
@FAST
def test_whatever_comes_a_judged_tick_has_nearly_a_window_behind_it_and_never_five_more(
    steps: list[tuple[int, str]], stream: int
) -> None:
    """The oldest of the judged ticks of a whole window has T - J before it; what follows goes on from there."""
    state, model = CarryState.empty(CONFIG, 1, 3), Counter()
    tick = 1000
    for ticks, kind in steps:
        tick += ticks
        status = Status.REGIME if kind == "not scored" else Status.SCORED
        found = ask(state, model, rows(tick, stream, ticks=ticks, status=status, rewritten=kind == "rewritten"))
        for row in found:
            assert all(T - J < each < (1 + AGAIN) * T for each in row)
        if kind == "rewritten":
            assert found == [[9, 10, 11, 12]]


def test_behind_what_was_not_scored_or_was_rewritten_the_window_is_seen_as_a_whole() -> None:
    state, model = CarryState.empty(CONFIG, 1, 3), Counter()
    first = 1000
    ask(state, model, rows(first, 0))
    assert ask(state, model, rows(first + 1, 0, status=Status.GAP)) == []
    assert ask(state, model, rows(first + 2, 0)) == [[9, 10, 11, 12]]
    assert ask(state, model, rows(first + 3, 0, rewritten=True)) == [[9, 10, 11, 12]]
    assert ask(state, model, rows(first + 4, 0)) == [[10, 11, 12, 13]]


def test_a_row_of_several_ticks_goes_on_by_as_many() -> None:
    state, model = CarryState.empty(CONFIG, 1, 3), Counter()
    first = 1000
    ask(state, model, rows(first, 1))
    assert ask(state, model, rows(first + 3, 1, ticks=3)) == [[12, 13, 14, 15]]
    assert model.ticks == T + 3
    assert ask(state, model, rows(first + 8, 1, ticks=5)) == [[9, 10, 11, 12]], "more than are judged"


def test_streams_side_by_side_do_not_disturb_each_other() -> None:
    """What is told of a stream does not depend on who else is there, nor on its number."""
    together, alone, model = CarryState.empty(CONFIG, 1, 3), CarryState.empty(CONFIG, 1, 3), Counter()
    for tick in range(1000, 1000 + 3 * T):
        both = ask(together, model, rows(tick, 2, 0, rewritten=tick == 1010))
        assert both[1:] == ask(alone, model, rows(tick, 0, rewritten=tick == 1010))


def test_streams_see_their_windows_as_a_whole_one_after_the_other() -> None:
    """Of 1,920 that begin together some 1,920 / (AGAIN T) are due at each tick, not all at once."""
    keys = [f"plant//engine-{number}" for number in range(COUNT)]
    state, model = CarryState.empty(CONFIG, 1, COUNT), Counter()
    looked = []
    for tick in range(1000, 1000 + 2 * T):
        before, windows = model.ticks, rows(tick, *range(COUNT))
        ready = np.ones(COUNT, np.bool_)
        predict(state, CONFIG, model, keys, windows, ready, lambda of: np.zeros((len(of), T, 1), np.float32), None)
        looked.append((model.ticks - before - COUNT) // (T - 1))
    assert looked[0] == COUNT
    assert all(0.4 * COUNT / AGAIN / T < each < 1.6 * COUNT / AGAIN / T for each in looked[1:])


def test_every_row_has_the_level_of_its_asset() -> None:
    state, model = CarryState.empty(CONFIG, 1, 3), Counter()
    level = np.array([[1], [2], [3]], np.float32), np.ones((3, 1), np.float32)
    windows = rows(1000, 0, 1, 2)
    ready = np.array([True, False, True])
    predict(state, CONFIG, model, KEYS, windows, ready, lambda of: np.zeros((len(of), T, 1), np.float32), level)
    assert [each.tolist() for each in model.levels] == [[[1], [3]]]


@pytest.mark.parametrize("pieces", [(1,) * 60, (41, 1, 18), (60,)])
def test_the_shipped_network_goes_on_where_it_was(pieces: tuple[int, ...]) -> None:
    """Its prediction in pieces is that of the window as a whole."""
    model = load_model(folder("engine"))
    scaler = model.header.scaling()
    noise = np.random.default_rng(3).normal(size=(5, 60, len(model.header.sensors))).astype(np.float32)
    values = scaler.unscaled(noise)
    values[2, 20:30, 4] = np.nan
    whole, behind = model.predict(values)
    ends = np.cumsum(pieces)
    found, memory = [], np.zeros((5, model.memory), np.float32)
    for start, end in zip(ends - pieces, ends, strict=True):
        predicted, memory = model.predict(values[:, start:end], None, memory)
        found.append(predicted)
    np.testing.assert_allclose(np.concatenate(found, axis=1), whole, atol=1e-5)
    np.testing.assert_allclose(memory, behind, atol=1e-5)
