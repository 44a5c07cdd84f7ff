"""The hops of the line as the page tells them: each with its own state, and nothing without a bound."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from monitor.budget import Level
from monitor.health import Figures, Thread, Vitals
from monitor.hops import Beside, hops
from monitor.page import health_api
from monitor.records import DeadLetter
from tests.page_rig import served
from tests.store_samples import letter, result

if TYPE_CHECKING:
    from pathlib import Path

ORDER = ["broker", "receive", "journal", "decode", "line", "store", "influx", "notify", "http"]
BOOKS = {"refused": ("plant/x", "not JSON")}
BESIDE = Beside(influx=True, broker="broker.plant:1883")


def test_all_is_well_and_in_order() -> None:
    found = hops(Vitals(), Figures(packet_age_s=3.0), BESIDE)
    assert [hop.name for hop in found] == ORDER
    assert {hop.state for hop in found} == {"good"}
    assert found[0].said == "broker.plant:1883; last heard 3 s ago"


@pytest.mark.parametrize(
    ("vitals", "figures", "beside", "name", "state", "said"),
    [
        (Vitals(broker="refused"), Figures(), BESIDE, "broker", "failed", "refused; broker.plant:1883"),
        (Vitals(paused=True), Figures(), BESIDE, "receive", "failed", "paused, because the line is too far"),
        (Vitals(disk_full=True), Figures(), BESIDE, "journal", "failed", "the disk is full"),
        (Vitals(), Figures(books=BOOKS), BESIDE, "decode", "degraded", "refused on plant/x: not JSON"),
        (Vitals(threads=[Thread("line", alive=False)]), Figures(), BESIDE, "line", "failed", "the thread li"),
        (Vitals(unmodelled=["pump"]), Figures(), BESIDE, "line", "degraded", "no model yet for class pump"),
        (Vitals(), Figures(backlog_records=999), BESIDE, "line", "degraded", "999 records behind"),
        (Vitals(), Figures(), replace(BESIDE, not_scoring="warming up"), "line", "degraded", "warming up"),
        (Vitals(), Figures(), replace(BESIDE, rates={"rows": 0.0}), "line", "idle", ""),
        (Vitals(store="no room"), Figures(), BESIDE, "store", "failed", "no room"),
        (
            Vitals(), Figures(), replace(BESIDE, levels={"store": Level(90, 100, None, near=True, tell=False)}),
            "store", "degraded", "the bound of store is near; 90 B of 100 B",
        ),
        (Vitals(influx="401"), Figures(), BESIDE, "influx", "degraded", "InfluxDB gets nothing, the rows are"),
        (Vitals(), Figures(), Beside(), "influx", "off", "influx.url is not set"),
        (Vitals(notify="refused"), Figures(), BESIDE, "notify", "degraded", "subscribers get nothing, it is kept"),
        (Vitals(), Figures(), replace(BESIDE, still_s=42.4), "http", "degraded", "the live stream has told noth"),
        (Vitals(channels={"a": "no"}), Figures(), BESIDE, "channel a", "degraded", "kept until it gets through"),
    ],
)  # fmt: skip
def test_each_hop_says_what_is_wrong_with_it(
    vitals: Vitals, figures: Figures, beside: Beside, name: str, state: str, said: str
) -> None:
    """And the others are as they were, but for those that cannot do without it."""
    found = {hop.name: hop for hop in hops(vitals, figures, beside)}
    assert (found[name].state, found[name].said.startswith(said)) == (state, True), found[name].said
    assert {hop.state for hop in found.values() if hop.name != name} == {"good"}


def test_rates_lags_and_the_last_error_are_told() -> None:
    beside = replace(BESIDE, rates={"lines": 2.5}, errors={"influx": ("500", 1234)})
    influx = hops(Vitals(), Figures(lag={"influx": 7}), beside)[6]
    assert (influx.rate, influx.unit, influx.lag, influx.error, influx.error_at) == (2.5, "lines", 7, "500", 1234)
    assert influx.state == "good"  # it is over


def test_dead_letters_are_by_reason_the_latest_first_and_bounded() -> None:
    letters = [replace(letter(n, reason=f"reason {n % 30}"), values=2) for n in reversed(range(300))]
    letters.insert(0, DeadLetter(0, "t" * 9_000, b"\x1b[2J\xff" + b"x" * 9_000, "r" * 9_000))
    said = health_api.by_reason(letters, 5_000)
    assert (said["kept"], said["looked_at"]) == (5_000, 301)
    assert len(said["reasons"]) == health_api.REASONS
    assert said["further"] == 31 - health_api.REASONS
    odd, first = said["reasons"][:2]
    assert odd["samples"][0]["payload"].startswith("\\x1b[2J\\xff")
    assert max(map(len, (odd["reason"], odd["samples"][0]["topic"], odd["samples"][0]["payload"]))) < 400
    assert (first["reason"], first["letters"], first["values"], len(first["samples"])) == ("reason 29", 10, 20, 3)
    assert first["latest"] - first["earliest"] == 270  # 299 and 29


def test_health_is_one_answer(tmp_path: Path) -> None:
    with served(tmp_path) as page:
        page.vitals = Vitals(broker="nobody listens", threads=[Thread("line", alive=True)])
        page.store.write(1, result(letters=[letter(1)]))
        page.store.note({"not_scoring": "not told while the broker is away"})
        status, said = page.get("health")
        assert status == 200
        assert (said["status"], said["reasons"]) == ("not ready", ["not connected to the broker: nobody listens"])
        assert [hop["name"] for hop in said["hops"]] == ORDER
        assert {hop["name"]: hop["state"] for hop in said["hops"]}["line"] == "good"
        assert said["letters"]["reasons"][0]["samples"] == [
            {"time": letter(1).time, "topic": "t", "payload": "payload 1"}
        ]
        assert said["threads"] == [{"name": "line", "alive": True, "stuck_s": 0.0, "needed": True}]
