"""Where Kafka's topics end, for the backlog: asked of Kafka itself, as Spark's sources need not say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import structlog

from monitor.printable import printable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from confluent_kafka.admin import AdminClient

log = structlog.get_logger()

LIMIT_S = 3.0  # for each of two questions: whoever asks for metrics gives up after ten


class Ends:
    """`client` are librdkafka's settings, the brokers among them. The connection is made when first asked."""

    def __init__(self, client: Mapping[str, str], topics: Sequence[str], limit_s: float = LIMIT_S) -> None:
        self._client: dict[str, Any] = dict(client)
        self._limit_s = limit_s
        self._topics = topics
        self._admin: AdminClient | None = None
        self._said = ""

    def __call__(self) -> dict[str, dict[str, int]] | None:
        """The next offset of each partition by topic; None where Kafka does not answer."""
        from confluent_kafka import (  # noqa: PLC0415 - an extra, and slow to load
            KafkaException,
            TopicPartition,
            admin,
        )

        found: dict[str, dict[str, int]] = {}
        try:
            if self._admin is None:
                self._admin = admin.AdminClient(self._client)
            known = self._admin.list_topics(timeout=self._limit_s).topics
            wanted = [
                TopicPartition(topic, number)
                for topic in self._topics
                if topic in known
                for number in known[topic].partitions
            ]
            latest = admin.OffsetSpec.latest()
            answers = self._admin.list_offsets(dict.fromkeys(wanted, latest), request_timeout=self._limit_s)
            for each, answer in answers.items():
                found.setdefault(each.topic, {})[str(each.partition)] = answer.result().offset
        except KafkaException as error:
            self._tell(str(error))
            return None
        self._tell("")
        return found

    def _tell(self, reason: str) -> None:
        """Say once why there is no backlog."""
        if reason and reason != self._said:
            log.warning("fleet_backlog_unknown", reason=printable(reason), remedy="see fleet.brokers")
        self._said = reason
