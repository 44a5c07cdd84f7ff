"""What is called alive and ready, and what Prometheus reads."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from monitor.exposition import Metric, exposition
from monitor.health import Figures, Thread, Vitals, livez, metrics, readyz

WELL = Vitals(threads=(Thread("main", alive=True), Thread("line", alive=True)))
BOOKS = {
    "outcomes": {"in_row": 5, "late": 2},
    "rows": {"scored": 3, "gap": 1},
    "waiting": 4,
    "streams": 2,
    "heard": 1,
    "clock_suspect": False,
}


def test_all_is_well() -> None:
    assert livez(WELL) == (True, {"status": "alive", "reasons": []})
    assert readyz(WELL) == (True, {"status": "ready", "reasons": []})


@pytest.mark.parametrize(
    ("thread", "reason"),
    [
        (Thread("line", alive=False), "the thread line has ended"),
        (Thread("line", alive=True, stuck_s=31.0), "the thread line has not turned for 31 s"),
    ],
)
def test_a_thread_that_is_gone_or_hangs_is_no_life(thread: Thread, reason: str) -> None:
    vitals = replace(WELL, threads=(*WELL.threads, thread))
    assert livez(vitals) == (False, {"status": "dead", "reasons": [reason]})
    assert readyz(vitals) == (False, {"status": "not ready", "reasons": [reason]})


@pytest.mark.parametrize(
    ("vitals", "word"),
    [
        (replace(WELL, phase="recovering"), "recovering"),
        (replace(WELL, broker="nobody listens"), "not connected to the broker: nobody listens"),
        (replace(WELL, disk_full=True), "the disk is full"),
        (replace(WELL, store="database is locked"), "the store cannot be written: database is locked"),
        (replace(WELL, paused=True), "receiving is paused"),
        (replace(WELL, http="127.0.0.1:80 cannot be bound"), "there is no page: 127.0.0.1:80 cannot be bound"),
    ],
)
def test_what_stops_readings_is_not_ready(vitals: Vitals, word: str) -> None:
    """It lives all the same: starting it anew would mend nothing."""
    good, said = readyz(vitals)
    assert not good
    assert word in str(said["reasons"])
    assert livez(vitals)[0]


@pytest.mark.parametrize(
    ("vitals", "word"),
    [
        (replace(WELL, influx="nothing answers"), "InfluxDB gets nothing, the rows are kept: nothing answers"),
        (replace(WELL, notify="refused"), "subscribers get no alerts, they are kept: refused"),
        (
            replace(WELL, channels={"a": "", "b": "channel b: refused"}),
            "kept until it gets through: channel b: refused",
        ),
        (
            replace(WELL, threads=(*WELL.threads, Thread("channel:a", alive=True, stuck_s=90.0, needed=False))),
            "the thread channel:a has not turned for 90 s",
        ),
        (replace(WELL, unmodelled=("pump", "fan")), "no model yet, so nothing is scored of class pump, fan"),
    ],
)
def test_what_loses_nothing_is_degraded_and_ready(vitals: Vitals, word: str) -> None:
    assert readyz(vitals) == (True, {"status": "degraded", "reasons": [word]})
    assert livez(vitals)[0]


def test_prometheus_reads_what_the_books_say() -> None:
    """By the parser of its own client: a counter's samples end in _total, and every family has its words."""
    figures = Figures(books=BOOKS, messages=7, stale_acks=1, lag={"influx": 3, "notify": 0}, packet_age_s=0.25)
    families = list(text_string_to_metric_families(exposition(metrics(WELL, figures))))
    found = {(sample.name, *sample.labels.values()): sample.value for each in families for sample in each.samples}
    assert found["enginewatch_values_total", "in_row"] == 5
    assert found["enginewatch_values_total", "late"] == 2
    assert found["enginewatch_rows_total", "scored"] == 3
    assert found["enginewatch_values_waiting",] == 4
    assert found["enginewatch_messages_total",] == 7
    assert found["enginewatch_stale_acks_total",] == 1
    assert found["enginewatch_sink_lag", "influx"] == 3
    assert found["enginewatch_packet_age_seconds",] == 0.25
    assert found["enginewatch_ready",] == 1
    assert all(each.documentation for each in families)
    counters = [each for each in families if each.type == "counter"]
    assert all(sample.name.endswith("_total") for each in counters for sample in each.samples)


def test_a_channel_that_does_not_get_through_can_be_told_from_one_that_does() -> None:
    vitals = replace(WELL, channels={"a": "", "b": "channel b: refused"})
    figures = Figures(channel_messages={"a": 3, "b": 0}, channel_failures={"a": 0, "b": 7})
    found = {
        (sample.name, sample.labels["channel"]): sample.value
        for family in text_string_to_metric_families(exposition(metrics(vitals, figures)))
        for sample in family.samples
        if "channel" in sample.labels
    }
    assert found == {
        ("enginewatch_channel_degraded", "a"): 0,
        ("enginewatch_channel_degraded", "b"): 1,
        ("enginewatch_channel_messages_total", "a"): 3,
        ("enginewatch_channel_messages_total", "b"): 0,
        ("enginewatch_channel_failures_total", "a"): 0,
        ("enginewatch_channel_failures_total", "b"): 7,
    }


def test_what_is_not_known_yet_is_left_out_and_no_zero() -> None:
    """Before the line has books there are none, and without a connection there is no age."""
    page = exposition(metrics(Vitals(phase="recovering"), Figures()))
    assert "enginewatch_values_total" not in page
    assert "enginewatch_packet_age_seconds" not in page
    assert "enginewatch_ready 0" in page


@given(st.text(), st.text(st.characters(exclude_characters="\r\n\u2028\u2029\x0b\x0c\x1c\x1d\x1e\x85")))
def test_no_text_can_forge_a_sample(value: str, words: str) -> None:
    """Whatever a label holds, there is one sample, and the label comes back."""
    value = "".join(value.splitlines())  # the parser of the client splits at more than Prometheus does
    page = exposition([Metric.counter("a_total", words, {value: 1}, "label")])
    (family,) = text_string_to_metric_families(page)
    (sample,) = family.samples
    assert sample.labels == {"label": value}
