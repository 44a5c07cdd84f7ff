"""A real Alertmanager (Debian's prometheus-alertmanager), one that answers on a loopback port."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
import urllib.request
from typing import TYPE_CHECKING, Any

from tests.servers import find, free_port, missing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

START_LIMIT_S = 20.0
CONFIG = """
route: {{ receiver: hook, group_by: [site], group_wait: 0s, group_interval: 1s, repeat_interval: 1h }}
receivers: [ {{ name: hook, webhook_configs: [ {hook} ] }} ]
"""


class Alertmanager:
    """A running one. `stop` and `start` keep its port."""

    def __init__(self, folder: Path, hook: str = "") -> None:
        """`hook` is where it sends webhooks itself."""
        self._folder = folder
        self._config = CONFIG.format(hook=f'{{ url: "{hook}" }}' if hook else "")
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it is ready."""
        program = find("prometheus-alertmanager")
        assert program is not None
        (self._folder / "alertmanager.yml").write_text(self._config, encoding="utf-8")
        self._process = subprocess.Popen(
            [
                program,
                f"--config.file={self._folder / 'alertmanager.yml'}",
                f"--storage.path={self._folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{self._port}",
                "--cluster.listen-address=",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        end = time.monotonic() + START_LIMIT_S
        while time.monotonic() < end:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{self.url}/-/ready", timeout=1).close()  # noqa: S310 - ours
                return
            time.sleep(0.02)
        raise TimeoutError("Alertmanager has not become ready")

    def stop(self) -> None:
        """Stop it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None

    def alerts(self) -> list[dict[str, Any]]:
        """The alerts that are open, as it tells them."""
        with urllib.request.urlopen(f"{self.url}/api/v2/alerts", timeout=5) as answer:  # noqa: S310 - ours
            return list(json.load(answer))

    def groups(self) -> list[tuple[dict[str, str], int]]:
        """Its groups: the labels, and how many alerts."""
        with urllib.request.urlopen(f"{self.url}/api/v2/alerts/groups", timeout=5) as answer:  # noqa: S310 - ours
            return [(group["labels"], len(group["alerts"])) for group in json.load(answer)]

    def wait(
        self, condition: Callable[[list[dict[str, Any]]], bool], limit_s: float = 15.0
    ) -> list[dict[str, Any]]:
        """The alerts, once they are as they should be."""
        end = time.monotonic() + limit_s
        while not condition(found := self.alerts()):
            assert time.monotonic() < end, found
            time.sleep(0.02)
        return found


@contextlib.contextmanager
def alertmanager(folder: Path, hook: str = "") -> Iterator[Alertmanager]:
    """One that runs for as long as it is needed. Skips the test where it is not installed."""
    if find("prometheus-alertmanager") is None:
        missing("prometheus-alertmanager")
    made = Alertmanager(folder, hook)
    made.start()
    try:
        yield made
    finally:
        made.stop()
