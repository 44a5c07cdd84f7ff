"""The way to another system: a webhook with the body that Alertmanager sends."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from monitor.channels.bodies import test_webhook, webhook

if TYPE_CHECKING:
    from monitor.channels.http import HttpClient
    from monitor.channels.memory import Telling


class Webhook:
    """A `Way`. What was told before in doubt is told with the same `Idempotency-Key`."""

    def __init__(self, client: HttpClient, name: str, page: str) -> None:
        self._client = client
        self._name = name
        self._page = page

    def tell(self, telling: Telling) -> None:
        """Post one message."""
        self._client.post(webhook(telling, self._name, self._page), key=telling.key)

    def again(self) -> None:
        """There is one recipient."""

    def test(self) -> str:
        """Post one that is marked as a test."""
        status = self._client.post(test_webhook(self._name, self._page, int(time.time() * 1000)), key="test")
        return f"taken, with status {status}"

    def reach(self) -> str:
        """Somebody answers there, be it with an error: HEAD is not what it is for."""
        return f"a server answers (status {self._client.reach()} to HEAD)"

    def close(self) -> None:
        """Close the connection."""
        self._client.close()
