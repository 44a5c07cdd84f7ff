"""The job: Kafka's records to shards, each shard through the line, what leaves to the sinks. Spark does the rest.

Records are packed by shard where they are read, and stay so until their shard has them.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyspark.sql import SparkSession
from pyspark.sql import functions as F  # noqa: N812 - as everybody writes it

from monitor.fleet.checkpoint_folder import IMPORTED, QUERY
from monitor.fleet.client import client_options
from monitor.fleet.kafka import NAME, KafkaSource
from monitor.fleet.packed import ROWS, Packer
from monitor.fleet.place import places
from monitor.fleet.processor import OUTPUT, ShardProcessor

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyspark.sql import DataFrame
    from pyspark.sql.streaming import StreamingQuery

    from config.fleet import FleetSettings
    from config.settings import Settings
    from monitor.fleet.kafka import Offsets
    from monitor.spec import LineSpec

TRIED = 64  # numbers for each state partition, of which some fall into it
LOGGING = Path(__file__).with_name("log4j2.properties")
# What goes before fleet.spark. State as changes to what was; no port of a web page; and few words.
OPTIONS = {
    "spark.sql.streaming.stateStore.providerClass": (
        "org.apache.spark.sql.execution.streaming.state.RocksDBStateStoreProvider"
    ),
    "spark.sql.streaming.stateStore.rocksdb.changelogCheckpointing.enabled": "true",
    "spark.sql.streaming.stateStore.rocksdb.trackTotalNumberOfRows": "false",  # it reads what it writes
    "spark.sql.streaming.minBatchesToRetain": "10",  # Spark's own 100 of them take gigabytes
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.redaction.options.regex": "(?i)url|client|kafka",  # the options of Kafka may hold a password
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.log.level": "FATAL",
    "spark.driver.memory": "3g",  # of a local job all of it; the state of a shard is there several times
    # Spark looks through what an error says with expressions that recurse for every character.
    # Large arrays are what G1 does worst.
    "spark.driver.extraJavaOptions": f"-Xss16m -XX:+UseParallelGC -Dlog4j2.configurationFile={LOGGING.as_uri()}",
    "spark.executor.extraJavaOptions": "-XX:+UseParallelGC",
}


def session(settings: FleetSettings, *, master: str = "", name: str = "enginewatch") -> SparkSession:
    """Spark, as spark-submit has it, or at `master`; the executors use this Python."""
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    os.environ.setdefault("PYSPARK_DRIVER_PYTHON", sys.executable)
    builder = SparkSession.builder.appName(name)
    if "PYSPARK_GATEWAY_PORT" not in os.environ:  # else spark-submit has said where
        builder = builder.master(master or settings.master)
        if (master or settings.master).startswith("local"):
            os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    for key, value in (OPTIONS | dict(each.split("=", 1) for each in settings.spark)).items():
        builder = builder.config(key, value)
    return builder.config("spark.sql.shuffle.partitions", settings.shards).getOrCreate()


def rows(spark: SparkSession, settings: FleetSettings, start: Offsets, spec: LineSpec) -> DataFrame:
    """What Kafka has of all topics, those of control too, from `start` on where the job is new.

    Columns as `packed.ROWS`: what was read is packed at once, by what the topics of `spec` name.
    """
    topics = [*settings.topics, settings.control_topic]
    client = client_options(settings)
    headers = "{header:" in settings.mqtt_topic
    known = places([each.route for each in spec.classes], spec.root)
    packing = settings.mqtt_topic, settings.control_topic, known, shard_ids(spark, settings.shards)
    if settings.reader == "spark":
        reader = spark.readStream.format("kafka").options(
            **{f"kafka.{name}": value for name, value in client.items() if name != "log_level"},
            subscribe=",".join(topics),
            startingOffsets=json.dumps(start),
            maxOffsetsPerTrigger=settings.most_per_batch,
            includeHeaders=headers,
            failOnDataLoss=False,
        )
        return reader.load().mapInArrow(Packer(*packing), ROWS)
    spark.dataSource.register(KafkaSource)
    return (
        spark.readStream.format(NAME)
        .options(
            client=json.dumps(client),
            topics=json.dumps(topics),
            start=json.dumps(start),
            most=settings.most_per_batch,
            headers="true" if headers else "false",
            packing=json.dumps(packing),
        )
        .load()
    )


def shard_ids(spark: SparkSession, count: int) -> list[int]:
    """As many numbers as there are state partitions, of which Spark puts one into each."""
    tried = spark.range(TRIED * count).select(F.col("id").cast("int").alias("shard"))
    placed = tried.select("shard", F.expr(f"pmod(hash(shard), {count})").alias("partition"))
    found = placed.groupBy("partition").agg(F.min("shard").alias("shard")).collect()
    if len(found) < count:
        raise ValueError(f"fleet.shards = {count}: no even share is found; take another number")
    return [row.shard for row in sorted(found, key=lambda row: row.partition)]


def judged(rows: DataFrame, settings: Settings) -> DataFrame:
    """What leaves the shards, as `processor.OUTPUT`. What was imported is where a new job begins."""
    fleet = settings.fleet
    processor = ShardProcessor(
        shards=fleet.shards,
        clock_ms=int(fleet.clock_s * 1000),
        readings=settings.influx.write_readings,
        batch_size=settings.score.batch_size,
    )
    spark = rows.sparkSession
    folder = f"{fleet.checkpoint}/{IMPORTED}"
    begun = spark.read.parquet(folder).groupBy("shard") if is_there(spark, folder) else None
    return rows.groupBy("shard").transformWithStateInPandas(processor, OUTPUT, "Append", "ProcessingTime", begun)


def is_there(spark: SparkSession, folder: str) -> bool:
    """Whether a folder is there, wherever Spark keeps it."""
    jvm: Any = spark._jvm  # noqa: SLF001 - pyspark has no other way to the file systems that Spark knows
    path = jvm.org.apache.hadoop.fs.Path(folder)
    return bool(path.getFileSystem(spark._jsc.hadoopConfiguration()).exists(path))  # noqa: SLF001 - as above


def start(told: DataFrame, settings: FleetSettings, sink: Callable[[DataFrame, int], None]) -> StreamingQuery:
    """Begin, or go on where the checkpoint is."""
    folder = f"{settings.checkpoint}/{QUERY}"
    if "://" not in folder:
        folder = str(Path(folder).absolute())
    return (
        told.writeStream.outputMode("append")
        .queryName("enginewatch")
        .option("checkpointLocation", folder)
        .trigger(processingTime=f"{settings.trigger_s} seconds")
        .foreachBatch(sink)
        .start()
    )
