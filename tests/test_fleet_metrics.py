"""What the driver of the line on Spark says of its job, by progress as Spark tells it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

from monitor.exposition import exposition
from monitor.fleet.metrics import STILL_S, Job, Offsets, in_words
from tests.http_rig import Fake, ask, port

if TYPE_CHECKING:
    from monitor.web.asked import Asked

START = 1_700_000_000.0


class Clock:
    """Stands still until it is set."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


def progress(batch: int, read: Offsets, **observed: int | None) -> dict[str, object]:
    """Of a batch of 250 ms with seven records; what Job does not look at is left out."""
    return {
        "batchId": batch,
        "batchDuration": 250,
        "numInputRows": 7,
        "stateOperators": [{"memoryUsedBytes": 1000}, {"memoryUsedBytes": 24}],
        "sources": [{"description": "KafkaV2", "endOffset": read}, {"description": "rate", "endOffset": 3}],
        "observedMetrics": {"enginewatch": observed, "another": {"values_late": 99}},
    }


def samples(job: Job) -> dict[tuple[str, str], float]:
    """What Prometheus reads, by name and label's value."""
    found = {}
    for family in text_string_to_metric_families(exposition(job.metrics())):
        for sample in family.samples:
            found[sample.name, "".join(sample.labels.values())] = sample.value
    return found


def nowhere() -> Offsets:
    return {}


def test_what_the_batches_observe_is_added_up_under_the_daemons_names() -> None:
    """A sum over no row is none, and no number."""
    job = Job(nowhere, Clock())
    job.progressed(progress(0, {}, values_in_row=5, values_late=2, rows_scored=3))
    job.progressed(progress(1, {}, values_in_row=4, values_late=None, rows_scored=None))
    found = samples(job)
    assert found["enginewatch_values_total", "in_row"] == 9
    assert found["enginewatch_values_total", "late"] == 2
    assert found["enginewatch_rows_total", "scored"] == 3
    assert found["enginewatch_messages_total", ""] == 14
    assert found["enginewatch_batches_total", ""] == 2
    assert found["enginewatch_batch_seconds_total", ""] == 0.5
    assert found["enginewatch_batch_seconds", ""] == 0.25
    assert found["enginewatch_state_bytes", ""] == 1024
    assert found["enginewatch_start_time_seconds", ""] == START


def test_the_backlog_is_what_kafka_has_beyond_what_was_read() -> None:
    """A partition that was never read, or that is younger than the last batch, is not guessed at."""
    ends = {"enginewatch": {"0": 12, "1": 5, "2": 8}}
    job = Job(lambda: ends, Clock())
    job.progressed(progress(0, {"enginewatch": {"0": 4, "1": 5}}))
    job.progressed(progress(1, {"enginewatch": {"0": 10, "1": 5}}))
    found = samples(job)
    assert found["enginewatch_backlog_records", ""] == 2
    assert {
        key[1]: value for key, value in found.items() if key[0] == "enginewatch_partition_backlog_records"
    } == {
        "enginewatch/0": 2,
        "enginewatch/1": 0,
    }


def test_where_kafka_does_not_say_there_is_no_backlog_and_no_zero() -> None:
    job = Job(lambda: None, Clock())
    job.progressed(progress(0, {"enginewatch": {"0": 4}}))
    assert not [name for name, _ in samples(job) if "backlog" in name]


def test_before_its_first_batch_a_job_lives_and_is_not_ready() -> None:
    job = Job(nowhere, Clock())
    assert job.live() == (True, {"status": "alive", "reasons": []})
    assert job.ready() == (False, {"status": "not ready", "reasons": ["no batch has ended yet"]})
    found = samples(job)
    assert (found["enginewatch_live", ""], found["enginewatch_ready", ""]) == (1, 0)
    assert not [name for name, _ in found if name in {"enginewatch_values_total", "enginewatch_batch_seconds"}]


def test_a_job_that_goes_on_is_ready_also_where_there_is_nothing_to_do() -> None:
    clock = Clock()
    job = Job(nowhere, clock)
    job.progressed(progress(0, {}))
    assert job.ready() == (True, {"status": "ready", "reasons": []})
    clock.now += STILL_S
    job.idle()
    clock.now += STILL_S
    assert job.ready()[0]
    clock.now += 1
    reason = f"no batch has ended for {STILL_S + 1:.0f} s, the last one took 0 s"
    assert job.ready() == (False, {"status": "not ready", "reasons": [reason]})
    assert job.live()[0]  # a batch may take long: to start anew would only make it longer


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (None, "it was stopped"),
        (
            "py4j.X: Traceback (most recent call last):\n  File\nValueError: no\n\n\tat a.b(C.java:1)\n",
            "ValueError: no",
        ),
        ("SparkException: lost\nDriver stacktrace:\n\tat a.b(C.java:1)", "SparkException: lost"),
    ],
)
def test_a_job_that_has_ended_is_neither_alive_nor_ready_and_says_why(error: str | None, words: str) -> None:
    job = Job(nowhere, Clock())
    job.progressed(progress(0, {}))
    job.ended(error)
    reasons = [f"the query has ended: {words}"]
    assert job.live() == (False, {"status": "dead", "reasons": reasons})
    assert job.ready() == (False, {"status": "not ready", "reasons": reasons})


def test_an_error_is_one_line_that_steers_no_terminal() -> None:
    assert in_words("a\n\x1b[2Jb" + "x" * 1000)[:8] == "\\x1b[2Jb"
    assert len(in_words("x" * 1000)) == 300
    assert in_words("") == "nothing was said"


class Driver(Fake):
    """Has a job in place of a daemon's vitals."""

    def __init__(self) -> None:
        super().__init__()
        self.job = Job(nowhere, Clock())

    def asked(self) -> Asked:
        return self.job.asked(self.command)


def test_the_daemons_http_port_answers_for_the_job() -> None:
    driver = Driver()
    with port(driver) as made:
        assert ask(made, "/livez")[0] == 200
        assert ask(made, "/readyz")[0] == 503
        driver.job.progressed(progress(0, {}, values_in_row=5))
        assert ask(made, "/readyz")[:2] == (200, {"status": "ready", "reasons": []})
        status, page = ask(made, "/metrics")[:2]
        assert (status, 'enginewatch_values_total{outcome="in_row"} 5' in page) == (200, True)
        driver.job.ended(None)
        assert ask(made, "/livez")[0] == 503
