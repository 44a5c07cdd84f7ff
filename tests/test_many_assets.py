"""Two thousand assets of three classes at once: each by its own sensors, period and model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from monitor.records import Outcome, Status
from tests.line_samples import HASH, SENSORS, Balance, Line, pump, quick, shipped, telemetry

SECONDS = 12
COUNTS = {"pumps": 1_000, "slow": 700, "bare": 300}


def test_every_reading_of_every_class_has_its_row() -> None:
    """Pumps each second, slow ones each second into ticks of two, and a class without a model."""
    pumps = quick(shipped("pumps", assets="plant//pumps-*"))
    slow = quick(shipped("slow", assets="plant//slow-*", period_ms=2000), model_hash="strict")
    slow = replace(slow, align=replace(slow.align, one_reading_per_tick=False))
    bare = quick(shipped("bare", assets="plant//bare-*"), model="", model_hash="")
    models = {HASH: Balance(), "strict": Balance(tolerance=0.1)}
    line = Line(pumps, slow, bare, max_streams=2_000, models=models).listen()
    names = [f"{name}-{number}" for name, count in COUNTS.items() for number in range(count)]
    faulty = {"pumps-17", "slow-17", "bare-17"}
    for second in range(SECONDS):
        line.send(
            1000 * second,
            *(
                telemetry(name, 1000 * second, pump(50 + second % 7, breach=10.0 if name in faulty else 0.5))
                for name in names
            ),
        )
    line.wait(1000 * SECONDS + 10_000)
    sent = len(names) * SECONDS * len(SENSORS)
    assert line.dead_letters == []
    assert line.state.waiting_values() == 0
    superseded = COUNTS["slow"] * SECONDS // 2 * len(SENSORS)  # two readings into one tick
    assert line.state.outcomes[Outcome.SUPERSEDED] == superseded
    assert line.state.outcomes[Outcome.IN_ROW] == sent - superseded
    status: dict[str, np.ndarray] = {
        name: np.concatenate([batch.rows.status for batch in line.batches if batch.asset_class == name])
        for name in COUNTS
    }
    windows = {"pumps": SECONDS - 4, "slow": SECONDS // 2 - 4}  # five ticks a window
    for name, each in windows.items():
        assert np.count_nonzero(status[name] == Status.SCORED) == COUNTS[name] * each
    assert set(status["bare"].tolist()) == {Status.NO_MODEL}
    fired = {event.stream for event in line.events if event.kind == "anomaly"}
    # 0.5 of breach is little to the first model, and five times the limit of the strict one.
    assert fired == {"plant//pumps-17", *(f"plant//slow-{number}" for number in range(COUNTS["slow"]))}


def test_a_class_does_not_disturb_another() -> None:
    """The rows of the pumps are those of a line that has no other class."""
    pumps = quick(shipped("pumps", assets="plant//pumps-*"))
    slow = quick(shipped("slow", assets="plant//slow-*", period_ms=2000))
    together, alone = Line(pumps, slow).listen(), Line(pumps).listen()
    for second in range(SECONDS):
        own = [telemetry(f"pumps-{number}", 1000 * second, pump(50 + second + number)) for number in range(3)]
        others = [telemetry(f"slow-{number}", 1000 * second, pump(20 + second)) for number in range(3)]
        together.send(1000 * second, *own, *others)
        alone.send(1000 * second, *own)
    for number in range(3):
        one, other = (each.rows(f"plant//pumps-{number}") for each in (together, alone))
        assert len(one) == SECONDS
        assert np.array_equal(one, other, equal_nan=True)
