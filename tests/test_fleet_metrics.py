"""What the driver of the line on Spark says of its job, by progress as Spark tells it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prometheus_client.parser import text_string_to_metric_families

from monitor.exposition import exposition
from monitor.fleet.metrics import STILL_S, Offsets, Standing
from tests.http_rig import Fake, ask, port

if TYPE_CHECKING:
    from collections.abc import Callable

    from monitor.web.asked import Asked

START = 1_700_000_000.0
SHARDS = 2
BEGIN = {"enginewatch": {"0": 100, "1": 0}}
HAPPY = {"status": "ready", "reasons": []}


class Clock:
    """Stands still until it is set."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


class Sinks:
    """What the sink of the job counts, and the alert topic knows."""

    def __init__(self) -> None:
        self.books: dict[int, dict[str, Any]] = {}
        self.sent_rows, self.expired_rows, self.events, self.dead_letters = 700, 7, 3, 2

    def open_incidents(self) -> list[str]:
        return ["one"]


def nowhere() -> Offsets:
    return {}


def standing(
    *,
    sinks: Sinks | None = None,
    ends: Callable[[], Offsets | None] = nowhere,
    clock: Clock | None = None,
    notify: str = "",
) -> Standing:
    known = sinks or Sinks()
    return Standing(
        counted=known,
        alerts=known,
        shards=SHARDS,
        begin=BEGIN,
        ends=ends,
        notify=lambda: notify,
        clock=clock or Clock(),
    )


def progress(since: Offsets | None = None, **read: dict[str, int]) -> dict[str, object]:
    """Of a batch of 250 ms; what nobody looks at is left out. How far it has read, by topic, and since when."""
    return {
        "batchDuration": 250,
        "numInputRows": 3,  # of which each may have many records
        "stateOperators": [{"memoryUsedBytes": 1000}, {"memoryUsedBytes": 24}],
        "sources": [
            {"description": "Kafka", "startOffset": since, "endOffset": read},
            {"description": "rate", "startOffset": 2, "endOffset": 3},
        ],
    }


def samples(job: Standing) -> dict[tuple[str, str], float]:
    """What Prometheus reads, by name and label's value."""
    found = {}
    for family in text_string_to_metric_families(exposition(job.metrics())):
        for sample in family.samples:
            found[sample.name, "".join(sample.labels.values())] = sample.value
    return found


def test_batches_and_what_left_them_are_counted() -> None:
    """Records by their offsets: the first batch of a new job begins where it was told to, a new partition at 0."""
    job = standing()
    first: Offsets = {"enginewatch": {"0": 104, "1": 3}}
    job.progressed(progress(None, enginewatch=first["enginewatch"]))
    job.progressed(progress(first, enginewatch={"0": 109, "1": 3, "2": 2}))
    found = samples(job)
    assert found["enginewatch_messages_total", ""] == (4 + 3) + (5 + 2)
    assert found["enginewatch_batches_total", ""] == 2
    assert found["enginewatch_batch_seconds_total", ""] == 0.5
    assert found["enginewatch_batch_seconds", ""] == 0.25
    assert found["enginewatch_state_bytes", ""] == 1024
    assert found["enginewatch_influx_lines_total", ""] == 700
    assert found["enginewatch_influx_expired_lines_total", ""] == 7
    assert found["enginewatch_transitions_total", ""] == 3
    assert found["enginewatch_dead_letters_total", ""] == 2
    assert found["enginewatch_incidents_open", ""] == 1
    assert found["enginewatch_start_time_seconds", ""] == START


def test_the_books_are_those_of_all_shards_and_wait_for_the_last() -> None:
    """A sum of some would be taken for a counter that begins anew, and then leaps."""
    sinks = Sinks()
    job = standing(sinks=sinks)
    one = {"waiting": 1, "streams": 2, "heard": 1, "clock_suspect": False}
    sinks.books[7] = one | {"outcomes": {"in_row": 5, "late": 0}, "rows": {"scored": 3}}
    assert ("enginewatch_values_total", "in_row") not in samples(job)
    sinks.books[9] = one | {"outcomes": {"in_row": 4, "late": 2}, "rows": {"scored": 1}, "clock_suspect": True}
    found = samples(job)
    assert found["enginewatch_values_total", "in_row"] == 9
    assert found["enginewatch_values_total", "late"] == 2
    assert found["enginewatch_rows_total", "scored"] == 4
    assert found["enginewatch_values_waiting", ""] == 2
    assert found["enginewatch_streams", ""] == 4
    assert found["enginewatch_streams_heard", ""] == 2
    assert found["enginewatch_clock_suspect", ""] == 1


def test_the_backlog_is_what_kafka_has_beyond_what_was_read() -> None:
    """A partition that was never read, such as one that is younger than the last batch, is not guessed at."""
    ends = {"enginewatch": {"0": 12, "1": 5, "2": 8}}
    job = standing(ends=lambda: ends)
    assert not [name for name, _ in samples(job) if "backlog" in name]
    job.progressed(progress(enginewatch={"0": 4, "1": 5}))
    job.progressed(progress({"enginewatch": {"0": 4, "1": 5}}, enginewatch={"0": 10, "1": 5}))
    found = samples(job)
    assert found["enginewatch_backlog_records", ""] == 2
    assert {
        key[1]: value for key, value in found.items() if key[0] == "enginewatch_partition_backlog_records"
    } == {
        "enginewatch/0": 2,
        "enginewatch/1": 0,
    }


def test_where_kafka_does_not_say_there_is_no_backlog_and_no_zero() -> None:
    job = standing(ends=lambda: None)
    job.progressed(progress(enginewatch={"0": 4}))
    assert not [name for name, _ in samples(job) if "backlog" in name]


def test_before_its_first_batch_a_job_lives_and_is_not_ready() -> None:
    job = standing()
    assert job.live() == (True, {"status": "alive", "reasons": []})
    assert job.ready() == (False, {"status": "not ready", "reasons": ["no batch has ended yet"]})
    found = samples(job)
    assert (found["enginewatch_live", ""], found["enginewatch_ready", ""]) == (1, 0)
    assert ("enginewatch_batch_seconds", "") not in found


def test_a_job_that_goes_on_is_ready_also_where_there_is_nothing_to_do() -> None:
    clock = Clock()
    job = standing(clock=clock)
    job.progressed(progress())
    assert job.ready() == (True, HAPPY)
    clock.now += STILL_S
    job.idle()
    clock.now += STILL_S
    assert job.ready()[0]
    clock.now += 1
    ready, said = job.ready()
    assert not ready
    assert f"no batch has ended for {STILL_S + 1:.0f} s" in str(said["reasons"])
    assert job.live()[0]  # a batch may take long: to start anew would only make it longer


def test_a_job_whose_alerts_wait_is_degraded_and_ready() -> None:
    job = standing(notify="nobody listens")
    assert job.ready()[1]["status"] == "not ready"
    job.progressed(progress())
    reason = "subscribers get no alerts, they are kept: nobody listens"
    assert job.ready() == (True, {"status": "degraded", "reasons": [reason]})
    assert samples(job)["enginewatch_degraded", ""] == 1


def test_a_job_that_has_ended_is_neither_alive_nor_ready() -> None:
    job = standing()
    job.progressed(progress())
    job.ended()
    reasons = ["the query has ended: the log says why"]
    assert job.live() == (False, {"status": "dead", "reasons": reasons})
    assert job.ready() == (False, {"status": "not ready", "reasons": reasons})


class Driver(Fake):
    """Has a job in place of a daemon's vitals."""

    def __init__(self) -> None:
        super().__init__()
        self.job = standing()

    def asked(self) -> Asked:
        return self.job.asked()


def test_the_daemons_http_port_answers_for_the_job_and_takes_no_commands() -> None:
    driver = Driver()
    with port(driver) as made:
        assert ask(made, "/livez")[0] == 200
        assert ask(made, "/readyz")[0] == 503
        driver.job.progressed(progress())
        assert ask(made, "/readyz")[:2] == (200, HAPPY)
        status, page = ask(made, "/metrics")[:2]
        assert (status, "enginewatch_batches_total 1" in page) == (200, True)
        assert ask(made, "/api/v1/commands", "POST", b"{}", Content_Type="application/json")[0] == 404
        driver.job.ended()
        assert ask(made, "/livez")[0] == 503
