"""The driver: brings up the job, tells what goes wrong in words, and ends in order."""

from __future__ import annotations

import logging
import re
import signal
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import structlog
from confluent_kafka import Consumer, KafkaException, Producer
from py4j.protocol import Py4JError
from pyspark.errors import PySparkException

from config.secret import secret
from monitor.fleet import control, job
from monitor.fleet.alerts import AlertLog
from monitor.fleet.client import client_options
from monitor.fleet.ends import Ends
from monitor.fleet.kafka import ASKED_S, FleetError, all_of, bounds, partitions_of, reader_options
from monitor.fleet.metrics import Standing, listener
from monitor.fleet.results import Results
from monitor.notify import Notifier
from monitor.web.server import HttpPort

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyspark.sql.streaming import StreamingQuery

    from config.classes import ResolvedClass
    from config.fleet import FleetSettings
    from config.settings import Settings
    from monitor.fleet.control import Control
    from monitor.fleet.kafka import Offsets

log = structlog.get_logger()

SEARCHED = 1_000  # of the latest control messages, for the one that holds
WATCH_S = 0.5
LAST_S = 30.0  # that the last batch may take; one that is cut off is told at length by Spark
# The last of the sentences that errors of several layers were wrapped into.
SENTENCE = re.compile(r"(?:\w*Error|\w*Exception|FleetError|Unavailable): (.+)")


def publish(settings: FleetSettings, message: Control) -> int:
    """Put a control message on its topic, unless it is what holds already; its offset. Raises FleetError."""
    client = client_options(settings)
    topic = settings.control_topic
    consumer = Consumer(reader_options(client))
    value = control.encode(message)
    try:
        partitions_of(consumer, topic)
        if message.line is not None and (known := _holds(consumer, topic)) is not None and known[1] == value:
            return known[0]
        found: list[tuple[object, int]] = []
        producer = Producer({**client, "enable.idempotence": "true", "message.max.bytes": "100000000"})
        producer.produce(
            topic, value, b"", partition=0, on_delivery=lambda error, sent: found.append((error, sent.offset()))
        )
        producer.flush(ASKED_S)
    except KafkaException as error:
        raise FleetError(f"{topic} cannot be written: {error.args[0].str()}; see fleet.brokers") from error
    finally:
        consumer.close()
    if not found or found[0][0] is not None:
        problem = found[0][0] if found else "no answer"
        sentence = f"{topic} does not take the description ({len(value)} bytes): {problem}"
        raise FleetError(f"{sentence}; see the topic's max.message.bytes")
    return found[0][1]


def _holds(consumer: Consumer, topic: str) -> tuple[int, bytes] | None:
    """The latest message with a line, and its offset."""
    low, high = bounds(consumer, topic, 0)
    latest = None
    for each in all_of(consumer, topic, 0, max(low, high - SEARCHED), high):
        if (each.value() or b"").startswith(b'{"line"'):
            latest = each.offset(), each.value()
    return latest


def beginning(settings: FleetSettings, described: int) -> Offsets:
    """Where a new job begins: the readings by the settings, control at what holds. Raises FleetError."""
    consumer = Consumer(reader_options(client_options(settings)))
    found: Offsets = {settings.control_topic: {"0": described}}
    try:
        for topic in settings.topics:
            found[topic] = {}
            for partition in partitions_of(consumer, topic):
                low, high = bounds(consumer, topic, partition)
                found[topic][str(partition)] = low if settings.start == "earliest" else high
    except KafkaException as error:
        raise FleetError(f"Kafka does not answer: {error.args[0].str()}; see fleet.brokers") from error
    finally:
        consumer.close()
    return found


class FleetService:
    """Runs the job until it is told to stop."""

    def __init__(self, settings: Settings, classes: Sequence[ResolvedClass], *, master: str = "") -> None:
        """Nothing is opened yet. `master` goes before fleet.master."""
        self._settings = settings
        self._classes = classes
        self._master = master
        self._stop = threading.Event()

    def run(self) -> int:
        """0 where it was told to stop, 1 where the job failed. Raises FleetError, MqttError and OSError."""
        settings, fleet = self._settings, self._settings.fleet
        message = control.description(settings, self._classes)
        assert message.line is not None
        described = publish(fleet, message)
        begin = beginning(fleet, described)
        alerts = AlertLog(fleet, delivers=fleet.mqtt_alerts)
        results = Results(settings, alerts, secret(settings.influx.token, settings.influx.token_file))
        notifier = None
        if fleet.mqtt_alerts:
            notifier = Notifier(settings.notify, settings.mqtt, f"enginewatch-{settings.daemon.id}-fleet", alerts)
        standing = Standing(
            counted=results,
            alerts=alerts,
            shards=fleet.shards,
            begin=begin,
            ends=Ends(client_options(fleet), fleet.topics),
            notify=lambda: "" if notifier is None else notifier.last_error,
        )
        http = self._http(standing)
        logging.getLogger("py4j").setLevel(
            logging.CRITICAL
        )  # it would tell at length what is told below in a line
        before = self._hear_signals()
        spark = query = None
        try:
            spark = job.session(fleet, master=self._master)
            self._hear_signals()  # Spark hears them in a way of its own now
            spark.streams.addListener(listener(standing))
            read = job.rows(spark, fleet, begin, message.line)
            if notifier is not None:
                notifier.start()
                results.on_events = notifier.wake
            query = job.start(job.judged(read, settings), fleet, results)
            names = [each.name for each in message.line.classes]
            log.info(
                "started", classes=names, shards=fleet.shards, topics=fleet.topics, checkpoint=fleet.checkpoint
            )
            while query.isActive and not self._stop.wait(WATCH_S):
                pass
            if not self._stop.is_set():
                self._tell(
                    results.failure or query.exception() or RuntimeError("Spark has ended it without a reason")
                )
                return 1
        except (Py4JError, PySparkException, OSError) as error:
            if not self._stop.wait(WATCH_S):  # else whoever ends us has ended Java, too
                self._tell(results.failure or error)
                return 1
        finally:
            log.info("stopping")
            with suppress(Py4JError, PySparkException, OSError):  # of a Java that has ended already
                self._end(query, results)
            if notifier is not None:
                notifier.stop()
            alerts.close()
            http.stop()
            with suppress(Py4JError, PySparkException, OSError):
                if spark is not None:
                    spark.stop()
            for number, handler in before.items():
                signal.signal(number, handler)
            log.info("stopped")
        return 0

    def _hear_signals(self) -> dict[signal.Signals, Any]:
        """End in order when told to; returns what was there before."""
        numbers = (signal.SIGTERM, signal.SIGINT)
        return {number: signal.signal(number, lambda *_: self._stop.set()) for number in numbers}

    @staticmethod
    def _tell(failure: Exception) -> None:
        remedy = "start it again: it goes on where it was, and nothing is lost"
        log.error("job_failed", reason=words(failure), remedy=remedy)

    def _http(self, standing: Standing) -> HttpPort:
        """The daemon's HTTP port, for what the job says of itself."""
        given = self._settings.http
        port = HttpPort(given, secret(given.token, given.token_file), standing.asked(), told=lambda _: None)
        if given.enabled:
            threading.Thread(target=port.run, name="http", daemon=True).start()
        return port

    def _end(self, query: StreamingQuery | None, results: Results) -> None:
        """Stop between two batches, where one ends soon: else it is done again at the next start."""
        if query is None:
            return
        batch, end = results.last_batch, time.monotonic() + LAST_S
        while query.isActive and time.monotonic() < end and results.last_batch == batch:
            if not query.status["isTriggerActive"]:
                break
            time.sleep(WATCH_S / 10)
        else:
            if query.isActive and results.last_batch == batch:
                log.warning(
                    "batch_cut_off", batch=batch + 1, remedy="none is needed: the next start does it again"
                )
        query.stop()


def words(failure: Exception) -> str:
    """What an error of Spark comes to, without the layers around it."""
    found = SENTENCE.findall(str(failure))
    return str(found[-1] if found else failure).strip().splitlines()[0][:500]
