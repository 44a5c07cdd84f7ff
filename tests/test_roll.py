"""The fleet as the line knows it: how each asset stands, the first that applies."""

from __future__ import annotations

import pytest

from monitor.decode import encode_status
from monitor.roll import roll
from tests.line_samples import START, Line, asked, in_regimes, pump, quick, shipped, status, telemetry


def test_how_each_asset_stands() -> None:
    """Seven pumps: each of them is brought to another state, and says so."""
    line = Line(in_regimes(quick(shipped()), off="load < 5")).listen()
    for second in range(100):
        here = {"a": 50, "b": 50 if second < 50 else 0, "c": 50, "d": 50, "e": 50, "f": 50, "g": 50}
        if second >= 20:
            here.pop("c")  # silent
            here.pop("d")  # said goodbye
        if second < 97:
            here.pop("e")  # three of five ticks
        line.send(
            1000 * second,
            *(telemetry(name, 1000 * second, pump(load + second % 3)) for name, load in here.items()),
        )
        if second == 20:
            line.send(20_000, status("d", 20_000, encode_status(online=False, time=START, reason="shutdown")))
    line.take(99_500, asked("accept", asset="plant//f"))
    line.take(99_600, asked("maintenance", 2, asset="plant//g", until=START + 200_000))
    line.wait(99_900)
    rows = roll(line.state, START + 99_900)
    assert {row["asset"].removeprefix("plant//"): row["status"] for row in rows} == {
        "a": "watched",
        "b": "off",
        "c": "silent",
        "d": "offline",
        "e": "warming up 3/5",
        "f": "relearning",
        "g": "maintenance",
    }
    assert [row["incidents"] for row in rows] == [0, 0, 1, 0, 0, 0, 0]
    first, relearning = rows[0], rows[5]
    assert (first["heard"], first["newest"]) == (START + 99_000, START + 99_000)
    assert first["threshold"] == pytest.approx(1.0)  # the floor, as all scores are 0
    assert relearning["threshold"] is None
    assert rows[6]["maintenance"]["until"] == START + 200_000


@pytest.mark.parametrize(("wanted_ms", "stands"), [(3_600_000, "learning"), (0, "no model")])
def test_without_a_model_there_is_no_threshold(wanted_ms: int, stands: str) -> None:
    line = Line(quick(shipped(), model="", model_hash="", wanted_ms=wanted_ms)).listen()
    line.send(0, telemetry("a", 0, pump(50)))
    [row] = roll(line.state, START)
    assert (row["status"], row["threshold"], row["maintenance"]) == (stands, None, None)
