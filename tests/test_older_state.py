"""What earlier releases wrote is gone on with: checkpoints, descriptions, stores."""

from __future__ import annotations

import json
import math
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from structlog.testing import capture_logs

from monitor import older_state
from monitor.carry import CarryConfig, CarryState
from monitor.checkpoint import decode
from monitor.columns import pack, unpack
from monitor.records import Status
from monitor.roughness import RoughnessState
from monitor.schema import COLUMNS
from monitor.sensor_check import COUNTED, FAULTS, GOOD, NOISE, RANGE, STUCK, SensorCheckState, began
from monitor.spec import LineSpec
from monitor.store import Store
from monitor.ticks import LONG_AGO
from tests.line_house import SCRIPT, SPEC, House, Toys
from tests.line_samples import START, Line, pump, shipped, telemetry
from tests.store_samples import START as STORED
from tests.store_samples import batch, result

# By the release before regimes, after 62 records: two pumps, the first with an anomaly that is acknowledged.
OLDER = Path(__file__).parent / "data" / "checkpoint-before-regimes"

# By the release before spikes and noise: the load of one pump is out of its range, the other's flow is missing.
BEFORE_ROUGHNESS = OLDER.with_name("checkpoint-before-roughness")

HISTORY = ("series", "piece", "history")  # tables that came with format 3


def test_an_older_checkpoint_goes_on_as_that_release_did() -> None:
    """What followed there: the threshold at its floor, the incident cleared under its name, all in the books."""
    line = Line()
    found = decode(OLDER.read_bytes())
    line.state, line.position = found.state, found.position
    for second in range(61, 140):
        line.send(second * 1000, *(telemetry(f"p{n}", second * 1000, pump(50)) for n in range(2)))
    assert line.told() == [("plant//p0", "anomaly", "cleared")]
    assert line.events[0].incident_id == "740c84c651e4ebf2"
    assert line.events[0].time == 1_700_000_135_000
    for key in ("plant//p0", "plant//p1"):
        assert line.rows(key)[-1] == (139, Status.SCORED, 0.0, 1.0)
    assert line.state.rows.tolist() == [232, 38, 0, 10, 0, 0, 0, 0, 0, 0]
    assert line.state.outcomes.tolist() == [556, 0, 0, 0, 0, 0, 0]


def test_what_was_learned_is_still_there() -> None:
    """41 scored rows of the pump that was well, a tick older each, with a horizon of 21600 ticks."""
    (pumps, _) = decode(OLDER.read_bytes()).state.classes
    assert pumps.threshold.histogram.shape[1:] == (1, 144)
    weights = np.exp(-np.arange(41) / 21_600).sum()
    assert pumps.threshold.histogram[1].sum() == pytest.approx(weights, rel=1e-5)
    assert pumps.threshold.to_learn[1].tolist() == [600 - 41]
    assert pumps.spec.regime.names == ("all",)


def test_a_sensor_fault_of_before_spikes_and_noise_goes_on() -> None:
    """A range fault that was open stays one and clears; a sensor that was good and missing for five drops out."""
    found = decode(BEFORE_ROUGHNESS.read_bytes())
    line = Line()
    line.state, line.position = found.state, found.position
    checked = found.state.classes[0].sensor_check
    assert checked.fault[:2].tolist() == [[RANGE, GOOD], [GOOD, GOOD]]
    assert checked.since.shape[1:] == (COUNTED + 1, 2)
    assert began(checked, 0, 0) == START // 1000 + 30
    for second in range(40, 60):
        first, second_pump = pump(50 + second % 3), pump(50 + second % 3)
        if second < 50:
            del second_pump["flow"]
        line.send(
            second * 1000, telemetry("p0", second * 1000, first), telemetry("p1", second * 1000, second_pump)
        )
    assert line.told() == [
        ("plant//p1", "sensor_dropout", "fired"),
        ("plant//p0", "sensor_range", "cleared"),
        ("plant//p1", "sensor_dropout", "cleared"),
    ]
    assert line.events[0].started == START + 35_000
    assert line.events[1].incident_id == "918c6252be42652f"


def test_ticks_of_64_bits_are_the_same_ticks_in_32() -> None:
    """Three sensors since tick 900 noisy, since 950 stuck, and good; of faults that are over nothing is needed."""
    none, last = -(2**62), 170_000_000_000
    since = np.full((1, len(FAULTS), 3), none)
    since[0, NOISE] = [last - 100, last - 300, last - 300]
    since[0, STUCK] = [last - 200, last - 50, none]
    arrays = {
        "0.align.next_tick": np.array([last]),
        "0.sensor_check.since": since,
        "0.sensor_check.fault": np.array([[NOISE, STUCK, GOOD]], np.uint8),
        "0.roughness.spikes": np.array([[[last], [last - 7], [none]]]),
        "0.roughness.away": np.array([[3]], np.int32),
    }
    fresh, rough = SensorCheckState.empty(3, 1), RoughnessState.empty(1, 1)
    for name in ("base", "since", "fault"):
        room = getattr(fresh, name)
        setattr(fresh, name, older_state.column(arrays, 0, "sensor_check", name, room, 1))
        assert getattr(fresh, name).dtype == room.dtype
    assert [began(fresh, 0, sensor) for sensor in (0, 1)] == [last - 100, last - 50]
    never = LONG_AGO
    assert fresh.since[0].tolist() == [[never] * 3, [-200, -50, never], [never] * 3, [-100, never, never]]
    spikes = older_state.column(arrays, 0, "roughness", "spikes", rough.spikes, 1)
    assert spikes.tolist() == [[[0], [-7], [LONG_AGO]]]
    assert older_state.column(arrays, 0, "roughness", "away", rough.away, 1).dtype == np.int8


def test_what_was_carried_in_32_bits_is_gone_on_with() -> None:
    """8 bits of the mantissa are left: 257 is rounded up, 1/3 by no more than half of a 256th of itself."""
    memory = np.array([[1, -0.5, 0, 257, 1 / 3]], np.float32)
    room = CarryState.empty(CarryConfig(memory=5, window=4, judged=2), 1, 1).memory
    found = older_state.column({"0.carry.memory": memory}, 0, "carry", "memory", room, 1)
    assert found.dtype == room.dtype
    again = (found.astype(np.uint32) << 16).view(np.float32)
    assert again[0, :4].tolist() == [1, -0.5, 0, 258]
    assert abs(again[0, 4] - 1 / 3) <= 1 / 3 / 512


def test_of_values_that_were_kept_beside_closed_ticks_those_of_open_ones_stay() -> None:
    """A ring of four ticks, 3 and 4 closed, 5 and 6 open: in one of two, 6 comes first, for it is even."""
    arrays = {
        "0.align.value": np.array([[[14.0], [15], [16], [13]]], np.float32),
        "0.align.offset": np.array([[[0], [7], [499], [-1]]], np.int32),
        "0.align.slot_tick": np.array([[4, 5, 6, 3]]),
        "0.align.first_arrival": np.array([[104, 105, 106, 103]]),
        "0.align.next_tick": np.array([5]),
        "0.align.held": np.array([[13.0]], np.float32),
    }
    value, offset, held = (
        np.full((3, 2, 1), np.nan, np.float32),
        np.full((3, 4, 1), -1, np.int16),
        np.zeros((3, 0)),
    )
    assert older_state.column(arrays, 0, "align", "value", value, 1).tolist() == [[[16], [15]]]
    arrival, slot, base = np.zeros((3, 2), np.int64), np.zeros((3, 4), np.int32), np.zeros(3, np.int64)
    assert older_state.column(arrays, 0, "align", "first_arrival", arrival, 1).tolist() == [[106, 105]]
    assert older_state.column(arrays, 0, "align", "slot_tick", slot, 1).tolist() == [[-1, 0, 1, -2]]
    assert older_state.column(arrays, 0, "align", "base", base, 1).tolist() == [5]
    found = older_state.column(arrays, 0, "align", "offset", offset, 1)
    assert found.dtype == np.int16
    assert found.tolist() == [[[0], [7], [499], [-1]]]
    assert older_state.column(arrays, 0, "align", "held", held, 1).shape == (1, 0)


def test_a_description_without_regimes_is_one_with_a_single_regime() -> None:
    spec = LineSpec("enginewatch", 3, (shipped(),))
    document = json.loads(spec.encode())
    for each in document["classes"]:
        del each["regime"], each["alert"]["blind_after_ms"], each["alert"]["regimes"]
        del each["threshold"]["regime_rows"]
    older = LineSpec.decode(json.dumps(document).encode())
    assert older.classes[0].regime.names == ("all",)
    assert older.classes[0].threshold.rows_to_learn == (600,)
    assert older.classes[0].alert.blind_after_ms == 0


def test_a_store_without_ledger_and_regimes_is_read_and_gets_them(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    store = Store(path)
    store.write(1, result([batch(("plant//a", 0))]))
    store.close()
    with sqlite3.connect(path) as connection:  # as it was before
        for table in ("stretch", *HISTORY):
            connection.execute(f"DROP TABLE {table}")
        columns = unpack(connection.execute("SELECT columns FROM score_batch").fetchone()[0])
        del columns["regime"], columns["regimes"]
        connection.execute("UPDATE score_batch SET columns = ?", (pack(columns),))
        for table in sorted(COLUMNS.keys() - {"stretch", *HISTORY}):
            connection.execute(f"ALTER TABLE {table} DROP COLUMN checksum")
        connection.execute("ALTER TABLE score_batch DROP COLUMN position")
        connection.execute("PRAGMA user_version = 1")
    connection.close()
    store = Store(path)
    (stored,) = store.scores_after(0, 10)
    assert stored.regimes == ("all",)
    assert stored.rows.regime.tolist() == [0]
    assert store.stretches(0) == []
    assert not math.isnan(stored.rows.score[0])
    store.write(2, result([batch(("plant//a", 1))]))
    assert len(store.scores_after(0, 10)) == 2
    assert store.fold()
    assert store.asset_history("plant//a", STORED, STORED + 60_000, 10).trend.rows.sum() == 2
    store.close()


def test_a_store_without_a_history_gets_that_of_the_rows_it_holds(tmp_path: Path) -> None:
    """Format 2, with what it has delivered and what not; it is known by its new format from then on."""
    path = tmp_path / "store.db"
    store = Store(path)
    for position in range(1, 4):
        store.write(position, result([batch(("plant//a", position * 700), ("plant//b", position * 700))]))
    store.advance("influx", 2)
    store.close()
    with sqlite3.connect(path) as connection:
        for table in HISTORY:
            connection.execute(f"DROP TABLE {table}")
        connection.execute("PRAGMA user_version = 2")
    connection.close()
    store = Store(path)
    assert store._connection.execute("PRAGMA user_version").fetchone() == (3,)
    assert store.trends(STORED, STORED + 3_600_000, 30).assets == ()
    assert store.fold()
    trends = store.trends(STORED, STORED + 3_600_000, 30)
    assert trends.assets == ("plant//a", "plant//b")
    assert trends.trend.rows.sum(axis=1).tolist() == [3, 3]
    assert (store.position("influx"), len(store.scores_after(2, 10))) == (2, 1)
    store.close()


def test_a_model_of_before_that_cannot_be_read_any_more_stops_nothing(tmp_path: Path) -> None:
    """Its format is gone: what waits for it is in rows that are not scored; another model goes on from there."""
    house = House(tmp_path / "state")
    house.append(SCRIPT)

    class Refusing(Toys):
        def models(self, spec: LineSpec) -> dict[str, Any]:
            if spec.classes and spec.classes[0].model_hash == SPEC.classes[0].model_hash:
                raise ValueError("the model has format 1")
            return super().models(spec)

    house.line._shelf = Refusing()  # type: ignore[assignment]
    with capture_logs() as logs:
        house.line.recover(SPEC)
    assert [each["event"] for each in logs if each["log_level"] == "error"] == ["model_of_before_unusable"]
    assert set(house.statuses("plant//p0")) == {Status.NO_MODEL}
    undisturbed = House(tmp_path / "other")
    undisturbed.append(SCRIPT)
    undisturbed.line.recover(SPEC)
    assert house.line.state.outcomes.tolist() == undisturbed.line.state.outcomes.tolist()
    house.crash()
    undisturbed.crash()
