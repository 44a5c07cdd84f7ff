"""The asset's view by real requests over a real store: bounded charts, spans, what is not yet, odd names."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from config.shipped import model_folder
from models.artifact import load_header
from models.landscape_file import LANDSCAPE
from monitor.health import Vitals
from monitor.history import HOUR, MINUTE
from monitor.page import asset_facts, map_facts
from monitor.page.numbers import short
from monitor.records import Scores, Status, StoredScores, Stretches, Transition
from monitor.spec import LineSpec
from tests.line_samples import shipped
from tests.page_rig import Page, served
from tests.store_samples import START, batch, result, transition

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ODD = "bürö/hall 1/50 % & #7?"  # an asset's name may hold anything but slashes
PUMP = "plant//pump-1"


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    with served(tmp_path) as made:
        yield made


def write(page: Page, *batches: StoredScores, folded: bool = True, **more: Any) -> None:
    plain = result(batches)
    page.store.write(page.store.written + 1, replace(plain, **more))
    if folded:
        page.store.fold()


def steady(asset: str, seconds: Sequence[int]) -> StoredScores:
    """Rows of two sensors whose score is their second over a thousand."""
    made = batch(*((asset, second) for second in seconds))
    made.rows.score[...] = np.array(seconds, np.float32) / 1000
    made.rows.contribution[:, 1] = made.rows.score
    return made


def row(asset: str, **changes: Any) -> dict[str, Any]:
    """What the line says of an asset."""
    plain = {
        "asset": asset, "class": "pump", "model": "balance", "regime": "load", "status": "watched",
        "heard": START, "newest": START + 3_599_000, "incidents": 0, "threshold": 1.0, "creep": None,
        "drift": None, "maintenance": None,
    }  # fmt: skip
    return {**plain, **changes}


def test_a_chart_is_bounded_and_says_what_its_rows_come_to(page: Page) -> None:
    """An hour at 1 Hz in at most 60 points, of whole minutes: each point by hand, and no row is lost."""
    write(page, steady(ODD, range(3600)))
    page.rows = [row(ODD)]
    status, said = page.get("assets", ODD, points=60, **{"from": START, "to": START + HOUR})
    assert status == 200
    assert (said["asset"], said["name"], said["now"]["regime"]) == (ODD, "50 % & #7? (hall 1, bürö)", "load")
    assert len(said["time"]) <= 60
    assert said["width"] % MINUTE == 0
    score, at = said["score"], said["time"]
    assert sum(score["rows"]) == sum(score["scored"]) == 3600
    for number, first in enumerate(at):
        own = [second for second in range(3600) if first <= START + 1000 * second < first + said["width"]]
        if own:
            assert score["low"][number] == pytest.approx(own[0] / 1000, abs=1e-4)
            assert score["high"][number] == pytest.approx(own[-1] / 1000, abs=1e-4)
            assert (score["threshold"][number], score["status"][number]) == (1, "scored")
    flow, load = said["sensors"]  # the one that contributes most comes first
    assert (flow["name"], load["name"]) == ("flow", "load")
    assert set(flow["mean"]) - {None} == {100}
    assert set(flow["expected"]) - {None} == {110}
    assert {len(each) for each in (flow["low"], flow["high"], score["mean"])} == {len(at)}
    assert said["contributions"]["of"][0] == {"name": "flow", "contribution": pytest.approx(3.5895)}
    assert said["contributions"]["rows"] == asset_facts.LATEST_ROWS


def test_what_is_not_yet_is_null_and_the_reason_stands_beside_it(page: Page) -> None:
    """Warming up, without a model's expectation and with nothing that was measured: no number is made up."""
    made = batch(*((PUMP, second) for second in range(60)), score=float("nan"))
    for values in (made.rows.threshold, made.rows.expected, made.rows.contribution, made.rows.actual[:, 1]):
        values[...] = np.nan
    stretches = Stretches([PUMP], np.array([START]), np.array([START + MINUTE]), ["warming_up"], [""])
    write(page, made, stretches=[stretches])
    _, said = page.get("assets", PUMP, **{"from": START, "to": START + MINUTE})
    for name in ("low", "mean", "high", "threshold"):
        assert set(said["score"][name]) == {None}
    assert set(said["score"]["status"]) == {"warming_up", None}
    sensors = {each["name"]: each for each in said["sensors"]}
    assert set(sensors["load"]["expected"]) == set(sensors["flow"]["mean"]) == {None}
    assert set(sensors["load"]["mean"]) == {50, None}
    assert (said["now"], said["contributions"], said["open"], said["coverage"]) == (None, None, [], None)
    assert said["gaps"] == [{"from": START, "to": START + MINUTE, "reason": "warming_up"}]
    assert "NaN" not in json.dumps(said)


def test_incidents_of_the_range_come_as_spans(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    """What ended before it, or begins behind it, or is of another asset, does not; what is open has no end.

    However many came later.
    """
    monkeypatch.setattr(asset_facts, "INCIDENTS", 3)
    write(page, steady(PUMP, range(100)))  # too low for `flow` to contribute as much as `load`
    for name, at, until, more in (
        ("before", 0, 50, {}),
        ("inside", 120, 180, {"kind": "sensor_stuck", "sensor": "flow"}),
        ("open", 200, None, {}),
        *((f"behind {number}", 400 + number, 500, {}) for number in range(4)),
        ("other", 120, 180, {"stream": ODD}),
    ):
        started = {"started": START + 1000 * at, **more}
        events = [transition(Transition.FIRED, at, incident=name, **started)]
        if until is not None:
            events.append(transition(Transition.CLEARED, until, incident=name, **started))
        write(page, events=events)
    span = {"from": START + 100_000, "to": START + 300_000}
    _, said = page.get("assets", PUMP, **span)
    told = {each["id"]: (each["from"], each["to"], each["title"], each["sensor"]) for each in said["incidents"]}
    assert told == {
        "inside": (START + 120_000, START + 180_000, "flow stuck", "flow"),
        "open": (START + 200_000, None, "anomaly: flow", ""),
    }
    assert [each["id"] for each in said["open"]] == ["open"]
    assert [each["name"] for each in said["sensors"]] == ["flow", "load"]  # who is at fault, then who contributes
    assert said["open"][0]["to_do"]


def test_without_a_range_it_is_the_last_hour_by_the_plant_s_clock_and_all_begins_with_the_first_row(
    page: Page,
) -> None:
    write(page, steady(PUMP, [0, 7000]))
    page.rows = [row(PUMP, newest=START + 7_000_000)]
    _, said = page.get("assets", PUMP)
    assert (said["from"], said["to"]) == (START + 7_000_001 - HOUR, START + 7_000_001)
    assert sum(said["score"]["rows"]) == 1
    _, everything = page.get("assets", PUMP, **{"from": 0})
    assert everything["from"] == everything["begins"] == START // MINUTE * MINUTE
    assert sum(everything["score"]["rows"]) == 2
    _, longer = page.get("assets", PUMP, span=24 * HOUR)
    assert longer["from"] == longer["begins"]


def test_new_rows_come_behind_a_position_with_their_regime_and_contributions(page: Page) -> None:
    """Only that asset's, only once; a sensor that another model lacks is null there."""
    write(page, steady(PUMP, [1]))
    position = page.get("assets", PUMP)[1]["position"]
    assert page.get("assets", PUMP, "rows", after=position)[1]["time"] == []
    mixed = replace(batch((ODD, 2), (PUMP, 2)), regimes=("off", "load"))
    mixed.rows.regime[...] = 1
    one = batch((PUMP, 3))
    rows = {name: getattr(one.rows, name)[:, :1] for name in ("contribution", "expected", "actual")}
    other = replace(one, model="small", sensors=("load",), rows=Scores(**{**_columns(one.rows), **rows}))
    write(page, mixed, other)
    _, said = page.get("assets", PUMP, "rows", after=position)
    assert said["time"] == [START + 2000, START + 3000]
    assert (said["status"], said["regime"]) == (["scored", "scored"], ["load", "all"])
    assert said["sensors"]["flow"] == {"actual": [100, None], "expected": [110, None], "contribution": [0.5, None]}
    assert said["sensors"]["load"]["contribution"] == [0.25, 0.25]
    assert not said["behind"]
    assert page.get("assets", PUMP, "rows", after=said["position"])[1]["time"] == []


def test_rows_are_shown_before_they_are_in_the_history(page: Page) -> None:
    """A daemon that has just begun has no history yet, and a chart all the same."""
    write(page, steady(PUMP, [1, 2]), steady(ODD, [3]), folded=False)
    _, said = page.get("assets", PUMP, **{"from": 0, "to": START + 3000})
    assert (said["begins"], said["from"], said["position"]) == (START + 1000, START + 1000, 2)
    assert sum(said["score"]["rows"]) == 2


def test_who_is_far_behind_is_told_so(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asset_facts, "ROWS_AT_ONCE", 2)
    write(page, steady(PUMP, [1, 2]), steady(PUMP, [3, 4]))
    assert page.get("assets", PUMP, "rows", after=0)[1]["behind"]


def test_what_cannot_be_told_is_refused_in_words(page: Page) -> None:
    status, said = page.get("assets", "plant//nobody <b>")
    assert (status, said) == (
        404,
        {"error": "there is no asset 'plant//nobody <b>'; `enginewatch assets` lists them"},
    )
    write(page, steady(PUMP, [1]))
    page.rows = [row(PUMP)]
    for query in (
        {"points": 1}, {"points": 10**9}, {"points": "x"}, {"from": -1}, {"to": "9" * 40}, {"from": 5, "to": 5},
        {"points": "1²"}, {"sensor": ["a"] * 300},
    ):  # fmt: skip
        assert page.get("assets", PUMP, **query)[0] == 400
    assert page.get("assets", PUMP)[1]["now"] is not None
    page.vitals = Vitals(phase="replaying the journal")
    assert page.get("assets", PUMP)[1]["now"] is None
    page.vitals, page.busy = Vitals(), True
    assert page.get("assets", PUMP)[1]["now"] is None
    assert page.get("assets", PUMP, "map")[0] == 200
    assert page.get("assets", "plant//nobody", "map")[0] == 404


def test_only_so_many_sensors_come_and_others_by_name(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asset_facts, "SENSORS", 1)
    write(page, steady(PUMP, [500]))
    span = {"from": START, "to": START + 10 * MINUTE}
    _, said = page.get("assets", PUMP, **span)
    assert [each["name"] for each in said["sensors"]] == ["flow"]
    assert said["others"] == [{"name": "load", "words": "load"}]
    _, said = page.get("assets", PUMP, sensor=["load", "nothing"], **span)
    assert [each["name"] for each in said["sensors"]] == ["load"]


@pytest.fixture
def engine(page: Page, tmp_path: Path) -> Page:
    """An engine of the shipped model that runs as the training data does on the average."""
    header = load_header(model_folder(Path("pretrained:engine")))
    shutil.copytree(model_folder(Path("pretrained:engine")), tmp_path / "models" / header.hash)
    names, units = (tuple(getattr(each, name) for each in header.sensors) for name in ("name", "unit"))
    spec = shipped("engine")
    route = replace(spec.route, sensors=names)
    page.line = LineSpec("enginewatch", 10, (replace(spec, model_hash=header.hash, route=route, units=units),))
    center = np.tile(np.array(header.scaler.center, np.float32), (3, 1))
    rows = Scores(
        stream=np.zeros(3, np.int32), tick=np.arange(3), status=np.full(3, Status.SCORED, np.uint8),
        score=np.ones(3, np.float32), threshold=np.ones(3, np.float32), contribution=center / center,
        expected=center, actual=center, regime=np.zeros(3, np.uint8),
    )  # fmt: skip
    time = START + 30_000 * np.arange(3)
    write(page, StoredScores(0, "engine", "engine", names, [PUMP] * 3, time, rows))
    page.rows = [row(PUMP, **{"class": "engine"})]
    return page


SPAN = {"from": START, "to": START + MINUTE + 1000}


def test_the_map_places_an_average_engine_amid_the_training_windows(engine: Page) -> None:
    """Nothing deviates, so that it lies near the origin of the second plane and within the cloud of the first."""
    _, said = engine.get("assets", PUMP, "map", **SPAN)
    assert said["why"] is None
    assert len(said["time"]) == 3
    operation, deviation = said["planes"]
    assert (operation["name"], deviation["name"]) == ("operation", "deviation")
    assert len(engine.get("assets", PUMP, "map", **{"from": 0, "to": SPAN["to"]})[1]["time"]) == 3
    for plane in (operation, deviation):
        assert 200 < len(plane["training"]["x"]) == len(plane["training"]["y"]) < 1000
        for axis in ("x", "y"):
            cloud = np.array(plane["training"][axis])
            assert np.all(np.abs(plane["recent"][axis]) < 0.5 * np.abs(cloud).max())
        assert len(plane["axes"][0]) == map_facts.NAMED
    _, told = engine.get("assets", PUMP, **SPAN)
    usual = {each["name"]: (each["usual"], each["unit"]) for each in told["sensors"]}
    assert usual["coolant_temperature"][0] > 0
    assert usual["coolant_temperature"][1] == "°C"


def test_the_map_shows_what_is_there_of_rows_that_another_store_gave_in_part(engine: Page) -> None:
    """Where nothing was expected there are no deviations; where nothing was read there is no place."""
    ((stored,),) = (engine.store.scores_after(0, 10),)
    for hours, gone in ((1, ["expected"]), (2, ["expected", "actual"])):
        nothing = dict.fromkeys(gone, np.full_like(stored.rows.actual, np.nan))
        time = stored.time + 60 * MINUTE * hours
        write(engine, replace(stored, time=time, rows=Scores(**_columns(stored.rows) | nothing)))
    asked = [{"from": START + 60 * MINUTE * hours, "to": SPAN["to"] + 60 * MINUTE * hours} for hours in (1, 2)]
    one, none = (engine.get("assets", PUMP, "map", **span)[1] for span in asked)
    assert [plane["name"] for plane in one["planes"]] == ["operation"]
    assert (none["planes"], none["why"]) == ([], map_facts.NO_READINGS)


def test_without_a_map_it_says_how_to_get_one(engine: Page, tmp_path: Path) -> None:
    """No model; a model of before; a file that was damaged. The chart is shown all the same, without its bands."""
    (path,) = (tmp_path / "models").glob(f"*/{LANDSCAPE}")
    path.write_bytes(path.read_bytes()[:-50])
    assert "landscape.json" in engine.get("assets", PUMP, "map", **SPAN)[1]["why"]
    path.unlink()
    assert engine.get("assets", PUMP, "map", **SPAN)[1]["why"] == map_facts.NO_LANDSCAPE
    status, said = engine.get("assets", PUMP, **SPAN)
    assert (status, {each["usual"] for each in said["sensors"]}) == (200, {None})
    engine.line = LineSpec("enginewatch", 10, (shipped("other"),))
    assert engine.get("assets", PUMP, "map", **SPAN)[1]["why"] == map_facts.NO_MODEL


def test_numbers_have_five_digits_of_the_largest() -> None:
    """And are what a reader of JSON can take: null where there is none, whole where they are."""
    assert short(np.array([123.456789, 0.001, np.nan, np.inf], np.float32)) == [123.46, 0.0, None, None]
    assert short(np.array([0.00012345678])) == [0.00012346]
    assert short(np.array([1234567.8])) == [1234568.0]
    assert short(np.array([])) == []


def _columns(rows: Scores) -> dict[str, Any]:
    return {name: getattr(rows, name) for name in Scores.__slots__}
