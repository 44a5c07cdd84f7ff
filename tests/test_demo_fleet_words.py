"""What the demo of a fleet says on its live line and at its end."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from monitor.demo.fleet_words import FleetState, missing, sentence, status

STARTING = FleetState(
    since_s=12.3,
    published_s=4000.4,
    rows=0,
    scored=0,
    covered_s=None,
    behind=49_200,
    delay_s=None,
    open_incidents=0,
    faults=0,
    found=0,
)


def test_before_there_are_rows_it_says_that_spark_is_starting() -> None:
    assert status(STARTING).plain == "4,000 readings/s published · Spark is starting (12 s)"


def test_rows_without_a_score_are_windows_that_fill() -> None:
    filling = replace(STARTING, rows=1500, covered_s=9000.0)
    told = "4,000 readings/s published · windows are filling: 1,500 rows, none scored yet · 49,200 behind"
    assert status(filling).plain == told


def test_what_is_scored_is_told_with_its_delay_and_what_was_found() -> None:
    scored = replace(
        STARTING,
        rows=1500,
        scored=800,
        covered_s=3999.6,
        behind=8,
        delay_s=(3.14, 5.0),
        open_incidents=1,
        faults=3,
    )
    told = (
        "4,000 readings/s published · 4,000 readings/s in rows · 8 behind · delay 3.1 s, 95 % within 5.0 s"
        " · 1 open incident · 0 of 3 faults found"
    )
    assert status(scored).plain == told


def test_trouble_is_told_in_place_of_what_it_hides() -> None:
    troubled = replace(STARTING, trouble="InfluxDB does not answer: refused")
    assert status(troubled).plain == "4,000 readings/s published · InfluxDB does not answer: refused"


@given(st.dictionaries(st.sampled_from("abcdef"), st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1))
def test_a_row_too_many_of_one_vehicle_hides_none_that_another_lacks(counts: dict[str, tuple[int, int]]) -> None:
    sent = {asset: 8 * reports + 3 for asset, (reports, _) in counts.items()}
    rows = {asset: there for asset, (_, there) in counts.items() if there}
    lacking = sum(1 for reports, there in counts.values() for number in range(reports) if number >= there)
    assert missing(sent, rows, 8) == lacking


def test_the_end_is_told_in_a_sentence() -> None:
    faults = [{"seconds_to_alert": seconds} for seconds in (21.4, None, 17.0, 30.0)]
    result = {
        "vehicles": 2000,
        "reports": 60_000,
        "readings": 480_000,
        "rows": 59_999,
        "missing_rows": 1,
        "let_go": False,
        "delay_s": (3.2, 5.1),
        "faults": faults,
        "false_alarms": 1,
    }
    assert sentence(result) == (
        "480,000 readings of 2,000 vehicles published in 60,000 messages; 59,999 rows in InfluxDB, half of them "
        "3.2 s after their readings or sooner, 1 missing; 3 of 4 faults found, half of them within 21 s, "
        "1 false alarm"
    )
    slow = sentence(result | {"let_go": True})
    assert "1 missing; this machine was too slow for what Kafka keeps here: take fewer --vehicles; 3 of 4" in slow
