"""A first model takes over while readings come: no tick is lost, none has two rows, and no full window is."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.limits import LimitsConfig
from monitor.records import Change, Status
from tests.line_samples import FAST, Line, pump, quick, shipped, spec_of, telemetry

if TYPE_CHECKING:
    from monitor.spec import ClassSpec

KEPT, SECONDS = 5, 20  # ticks that a class without a model keeps; how long it all takes
KEYS = ("plant//a", "plant//b")


def with_model(length: int) -> ClassSpec:
    spec = quick(shipped())
    window, align = replace(spec.window, length=length), replace(spec.align, gap_ticks=length)
    return replace(spec, window=window, align=align)


def sent(line: Line, delays: list[tuple[int, int]], promoted: int, length: int) -> int:
    """Two pumps whose readings come up to a second and a half late; the model comes in between.

    Returns how many results there were before it.
    """
    arrivals = sorted(
        (1000 * second + 500 * delay, name, second)
        for second, both in enumerate(delays)
        for name, delay in zip("ab", both, strict=True)
    )
    before = -1
    for at, name, second in arrivals:
        if before < 0 and at >= promoted:
            before = len(line.results)
            line.take(promoted, Change(line=spec_of(with_model(length))))
        values = pump(50 + (7 * second) % 11, breach=second % 3)
        line.send(at, telemetry(name, 1000 * second, values, arrival=at))
    line.wait(1000 * SECONDS + 10_000)
    return before


@settings(FAST, max_examples=12)
@given(
    delays=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=SECONDS, max_size=SECONDS),
    promoted=st.integers(1000 * (KEPT + 3), 1000 * (SECONDS - 5)),
    length=st.integers(2, KEPT + 3),
)
def test_no_window_is_lost_when_the_first_model_comes(
    delays: list[tuple[int, int]], promoted: int, length: int
) -> None:
    """From there on the rows are those of a line that always had the model, but for what a longer window lacks."""
    learns = quick(shipped(), model="", model_hash="", wanted_ms=3_600_000, limits=LimitsConfig(4, 3, 0.5, 1000))
    line, always = Line(learns).listen(), Line(with_model(length)).listen()
    before = sent(line, delays, promoted, length)
    sent(always, delays, promoted, length)
    assert line.dead_letters == []
    learned = Line(learns)
    learned.results = line.results[:before]
    for key in KEYS:
        rows = line.rows(key)
        assert [time for time, *_ in rows] == list(range(SECONDS)), "one row for every tick, in its order"
        count = len(learned.rows(key))
        assert {status for _, status, *_ in rows[:count]} == {Status.LEARNING}
        fills = max(0, length - KEPT - 1)  # the tick that completes it has a score
        assert [status for _, status, *_ in rows[count:]] == [Status.WARMING_UP] * fills + [Status.SCORED] * (
            SECONDS - count - fills
        )
        scores, wanted = ([score for _, _, score, _ in each[count + fills :]] for each in (rows, always.rows(key)))
        assert np.array_equal(scores, wanted)
