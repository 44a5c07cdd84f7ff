"""`enginewatch fleet check`: every hop in one line, by a real client and the broker that comes with it."""

from __future__ import annotations

import argparse
import importlib.util
import json
from dataclasses import replace
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import pytest

from config.fleet import FleetSettings
from monitor.commands import fleet_check
from monitor.decode import encode_telemetry
from monitor.doctor.facts import LineFacts, State
from monitor.fleet import checkpoint_folder, installed, judged, topics
from monitor.fleet.seen import (
    HOPS,
    CheckpointFacts,
    JavaFacts,
    KafkaFacts,
    PackageFacts,
    PartitionFacts,
    TopicFacts,
)
from tests.servers import free_port

NOW = 1_700_000_040_000
needs_client = pytest.mark.skipif(
    importlib.util.find_spec("confluent_kafka") is None, reason='needs the extra "fleet"'
)


@pytest.fixture(scope="module")
def kafka() -> tuple[str, Any]:
    """The address of a broker, and what holds it: some topics with records."""
    from confluent_kafka import Producer  # noqa: PLC0415 - may be missing

    producer = Producer({"bootstrap.servers": "unused", "test.mock.num.brokers": 1, "log_level": 0})
    [broker] = producer.list_topics(timeout=10).brokers.values()
    for second in range(8):
        for asset in "abc":
            values = encode_telemetry(
                time=NOW + 1000 * second, boot="b", seq=second, values={"load": 50, "flow": 110}
            )
            key = f"enginewatch/v1/plant/{asset}/telemetry"
            producer.produce("good", values, key=key, timestamp=NOW + 1000 * second)
    producer.produce("keyless", b"{}", timestamp=NOW)
    producer.produce("keyless", b"{}", key="k", timestamp=NOW)
    producer.produce("foreign", b"\xff", key="enginewatch/v1/plant/a/telemetry", timestamp=NOW)
    for partition in (0, 3):
        values = encode_telemetry(time=NOW + partition, boot="b", seq=0, values={"load": 50, "flow": 110})
        producer.produce("scattered", values, key="enginewatch/v1/plant/a/telemetry", partition=partition)
    for topic in ("empty", "enginewatch-alerts", "enginewatch-control"):
        producer.list_topics(topic, timeout=10)
    producer.flush(10)
    return f"{broker.host}:{broker.port}", producer


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of one class without a model."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pumps.toml").write_text(
        'period_ms = 1000\n[[sensors]]\nname = "load"\nunit = "%"\n[[sensors]]\nname = "flow"\nunit = "l/min"\n'
    )
    file = tmp_path / "enginewatch.toml"
    file.write_text('[[classes]]\nname = "pumps"\nfile = "pumps.toml"\n')
    return file


def check(capsys: pytest.CaptureFixture[str], *sets: str) -> tuple[int, dict[str, tuple[str, str, str]]]:
    """The exit code, and by hop how it does, what is said, and what to change."""
    parser = argparse.ArgumentParser()
    fleet_check.arguments(parser)
    given = [word for each in sets for word in ("--set", each)]
    code = fleet_check.run(parser.parse_args(["--json", "--wait", "0.5", *given]))
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return code, {each["hop"]: (each["state"], each["said"], each["remedy"]) for each in found}


@needs_client
@pytest.mark.usefixtures("settings")
def test_what_is_good_is_told_hop_by_hop(kafka: tuple[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    """The newest records as the classes read them; what a job would make itself is a warning."""
    code, found = check(capsys, f"fleet.brokers={kafka[0]}", 'fleet.topics=["good"]')
    assert code == 0, found
    assert found["records"] == ("ok", "good: of the newest 24 records: 48 values of 3 assets taken", "")
    assert found["kafka"][:2] == ("ok", f"{kafka[0]} answers")
    assert found["checkpoint"][:2] == ("ok", "fleet-checkpoint is new: a job begins there")
    assert found["topics"][:2] == (
        "warning",
        "good (4 partitions); there is no topic enginewatch-dead-letters yet",
    )
    assert list(found) == list(HOPS)
    assert (
        list(Path().iterdir()) == [Path("pumps.toml"), Path("enginewatch.toml")]
        or not Path("fleet-checkpoint").exists()
    )


@needs_client
@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize(
    ("sets", "hop", "state", "said", "remedy"),
    [
        (['fleet.topics=["keyless"]'], "records", "failed", "1 of the newest 2 records have no key", "as key"),
        (["fleet.mqtt_topic={header:mqtt}"], "records", "failed", "24 records have no header mqtt", ""),
        (['fleet.topics=["foreign"]'], "records", "failed", "0 values of 0 assets taken, 1 refused", "asset file"),
        (['fleet.topics=["scattered"]'], "records", "warning", "in more than one partition", "set the key"),
        (['fleet.topics=["empty"]'], "records", "warning", "empty: no record yet", "is the bridge running"),
        (['fleet.topics=["absent","good"]'], "topics", "failed", "there is no topic absent", "fleet.topics"),
        (["fleet.alert_topic=absent"], "topics", "failed", "there is no topic absent", "one partition"),
        (["fleet.control_topic=absent"], "control", "failed", "there is no topic absent", "one partition"),
        (["fleet.control_topic=empty"], "control", "warning", "empty has 4 partitions", "with one"),
        (["fleet.shards=2"], "shards", "warning", "2 shards, 4 partitions to read", "fleet.shards"),
        (['fleet.options=["no.such=1"]'], "kafka", "failed", "No such configuration property", "fleet.options"),
        (["fleet.master=spark://far:7077"], "checkpoint", "warning", "the executors run on others", "hdfs://"),
        (["fleet.checkpoint=hdfs://far/job"], "checkpoint", "skipped", "no folder of this host", ""),
        (["fleet.checkpoint=pumps.toml"], "checkpoint", "failed", "is a file, not a folder", "fleet.checkpoint"),
        (["fleet.reader=spark"], "packages", "warning", "needs spark-sql-kafka", "spark-sql-kafka-0-10_2.13:"),
        (["fleet.shards=0"], "settings", "failed", "fleet.shards", ""),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_line_with_its_remedy(
    kafka: tuple[str, Any],
    capsys: pytest.CaptureFixture[str],
    sets: list[str],
    hop: str,
    state: str,
    said: str,
    remedy: str,
) -> None:
    code, found = check(capsys, f"fleet.brokers={kafka[0]}", 'fleet.topics=["good"]', *sets)
    assert found[hop][0] == state, found[hop]
    assert said in found[hop][1]
    assert remedy in found[hop][2]
    assert code == (2 if hop == "settings" else int(state == "failed"))


@needs_client
@pytest.mark.usefixtures("settings")
def test_no_kafka_is_told_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    """What it would have said is skipped."""
    code, found = check(capsys, f"fleet.brokers=127.0.0.1:{free_port()}")
    assert code == 1
    assert found["kafka"][0] == "failed"
    assert found["kafka"][1].endswith("failed: Connection refused")
    assert {found[hop][0] for hop in ("topics", "control", "shards", "records")} == {"skipped"}


@pytest.mark.usefixtures("settings")
def test_without_the_extra_it_says_what_to_install(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(installed, "version", absent)
    code, found = check(capsys)
    assert code == 1
    assert found["packages"][0] == "failed"
    assert {"pyspark", "confluent-kafka"} < set(found["packages"][1].removeprefix("not installed: ").split(", "))
    assert found["packages"][2] == "pip install 'enginewatch[fleet]'"
    assert found["kafka"] == ("skipped", "confluent-kafka is not installed", "")


@pytest.mark.parametrize(
    ("script", "state", "said"),
    [
        ("echo 'openjdk version \"17.0.15\" 2025-04-15' >&2", "ok", "is Java 17"),
        ("echo 'java version \"1.8.0_402\"' >&2", "failed", "is Java 8"),
        ("echo nothing", "failed", "does not tell its version"),
        (None, "failed", "there is no such program"),
    ],
)
def test_java_is_that_of_java_home(tmp_path: Path, script: str | None, state: str, said: str) -> None:
    if script is not None:
        (tmp_path / "bin").mkdir()
        (tmp_path / "bin" / "java").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "bin" / "java").chmod(0o755)
    found = judged.java(installed.java({"JAVA_HOME": str(tmp_path), "PATH": "/nowhere"}))
    assert (found.state, said in found.said) == (state, True), found


def test_no_java_at_all_is_told() -> None:
    assert (
        judged.java(installed.java({"PATH": "/nowhere"})).said
        == "there is no java on PATH, and JAVA_HOME is not set"
    )
    assert judged.java(JavaFacts()).remedy.startswith("install Java 17")


def test_packages_that_do_not_go_together_are_told() -> None:
    unfit = judged.packages(PackageFacts({}, unfit=("pandas 3.0.1, where it takes <3,>=2.2",)), FleetSettings())
    assert (unfit.state, unfit.said) == (State.FAILED, "pandas 3.0.1, where it takes <3,>=2.2")
    assert (
        judged.packages(PackageFacts({}, problem="x cannot be loaded: y"), FleetSettings()).state is State.FAILED
    )


def begun(folder: Path, *batches: int, ended: int, shards: int = 8) -> FleetSettings:
    """A checkpoint as Spark leaves it, and settings that name it."""
    for part in ("offsets", "commits"):
        (folder / "query" / part).mkdir(parents=True)
    conf = {"batchWatermarkMs": 0, "conf": {"spark.sql.shuffle.partitions": str(shards)}}
    offsets = {"a": {"0": 5}, "enginewatch-control": {"0": 1}}
    for batch in batches:
        text = f"v1\n{json.dumps(conf)}\n{json.dumps(offsets)}"
        (folder / "query" / "offsets" / str(batch)).write_text(text)
    (folder / "query" / "commits" / str(ended)).touch()
    return FleetSettings(topics=("a",), shards=8, checkpoint=f"file://{folder}")


@pytest.mark.parametrize(
    ("ended", "change", "state", "said"),
    [
        (11, {}, "ok", "a job goes on behind batch 11"),
        (9, {}, "ok", "a job goes on behind batch 11, which is done again"),
        (11, {"shards": 16}, "failed", "was made with fleet.shards = 8, and now they are 16"),
        (11, {"topics": ("b",)}, "warning", "until now it has read a as well"),
        (11, {"topics": ("a", "b")}, "ok", "it has not read b before, and does so from the beginning"),
    ],
)
def test_a_checkpoint_of_other_settings_is_told_apart(
    tmp_path: Path, ended: int, change: dict[str, Any], state: str, said: str
) -> None:
    """By what Spark has noted of the latest batch."""
    fleet = begun(tmp_path, 0, 11, 9, ended=ended).model_copy(update=change)
    found = judged.checkpoint(checkpoint_folder.look(fleet), fleet)
    assert found.state == state
    assert found.said.endswith(said), found
    assert ("enginewatch fleet export" in found.remedy) == (state == "failed")


def test_an_imported_state_waits_for_the_job(tmp_path: Path) -> None:
    fleet = FleetSettings(checkpoint=str(tmp_path))
    (tmp_path / "import").mkdir()
    assert "with what was imported" not in judged.checkpoint(checkpoint_folder.look(fleet), fleet).said
    (tmp_path / "import" / "_SUCCESS").touch()  # Spark writes it last
    assert judged.checkpoint(checkpoint_folder.look(fleet), fleet).said.endswith(
        "begins there with what was imported"
    )


def test_a_damaged_or_closed_checkpoint_is_told(tmp_path: Path) -> None:
    fleet = begun(tmp_path, 3, ended=3)
    (tmp_path / "query" / "offsets" / "3").write_text("v1\n{}")
    assert "what Spark has noted of batch 3 is damaged" in checkpoint_folder.look(fleet).problem
    found = judged.checkpoint(CheckpointFacts("/x", "Permission denied"), fleet)
    assert (found.state, found.said) == (State.FAILED, "/x: Permission denied")


GOOD = TopicFacts("t", (PartitionFacts(9, NOW), PartitionFacts(9, NOW - 700_000), PartitionFacts(0)), seen=2)
TAKEN = LineFacts(outcomes={"in_row": 4, "dead_letter": 0, "ignored": 0})
SEEN = KafkaFacts("k:9092", topics=(GOOD,), written={"enginewatch-control": 1}, control_bytes=1 << 20)


def test_a_partition_that_stopped_is_told() -> None:
    """One without any record is none that stopped."""
    [found] = judged.records(SEEN, FleetSettings(), [TAKEN])
    assert found.state is State.WARNING
    assert "nothing new in partition 1 (11 min) while others go on" in found.said
    going = replace(GOOD, partitions=(GOOD.partitions[0], GOOD.partitions[2]))
    [found] = judged.records(replace(SEEN, topics=(going,)), FleetSettings(), [TAKEN])
    assert found.state is State.OK


@needs_client
def test_a_partition_that_does_not_answer_is_named() -> None:
    """The others are read all the same; after a few no more are asked, as each takes its time."""
    from confluent_kafka import KafkaError, KafkaException  # noqa: PLC0415 - may be missing

    class Consumer:
        """Stands in for one whose leaders are partly away, which the broker of these tests cannot be."""

        def __init__(self) -> None:
            self.asked: list[int] = []

        def get_watermark_offsets(self, place: Any, timeout: float) -> tuple[int, int]:
            self.asked.append(place.partition)
            assert timeout == 0.5
            if place.partition % 2:
                raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
            return 7, 7

    consumer = Consumer()
    facts = topics._topic(consumer, FleetSettings(), "t", 9, 0.5)
    assert consumer.asked == [0, 1, 2, 3, 4, 5]
    [found] = judged.records(replace(SEEN, topics=(facts,)), FleetSettings(), [LineFacts()])
    assert found.state is State.FAILED
    assert found.said == "t: partition 1, 3, 5 does not answer: Local: Timed out"


@pytest.mark.parametrize(
    ("told", "models", "state"),
    [(1 << 20, 1 << 19, "ok"), (1 << 20, 1 << 21, "failed"), (None, 1 << 19, "ok"), (None, 1 << 21, "warning")],
)
def test_the_control_topic_must_have_room_for_the_models(told: int | None, models: int, state: str) -> None:
    found = judged.control(replace(SEEN, control_bytes=told), FleetSettings(), models)
    assert found.state == state
    assert ("max.message.bytes" in found.remedy) == (state != "ok")


@pytest.mark.parametrize(
    ("streams", "stream_bytes", "state", "said"),
    [
        (
            1000,
            10_000,
            "ok",
            "16 shards, 3 partitions to read; 1000 assets make 63 and 615.2 KiB of state a shard",
        ),
        (1_000_000, 10_000, "warning", "which each batch reads and writes"),
        (10, 10_000, "warning", "some have nothing to do"),
    ],
)
def test_shards_are_held_against_partitions_and_assets(
    streams: int, stream_bytes: int, state: str, said: str
) -> None:
    found = judged.shards(SEEN, FleetSettings(), max_streams=streams, stream_bytes=stream_bytes)
    assert (found.state, said in found.said) == (state, True), found
