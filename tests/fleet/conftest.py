"""One Spark for all tests of the line on Spark: it takes long to start."""

from __future__ import annotations

import importlib.util
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from config.fleet import FleetSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

NEEDED = ("pyspark", "pandas", "pyarrow", "confluent_kafka")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of them run in one process, by a step of their own that asks for the mark; else it says why not."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    why = f'needs the extra "fleet": {", ".join(missing)}' if missing else ""
    why = why or ("" if shutil.which("java") else "needs Java 17")
    for item in items:
        if "tests/fleet/" in item.nodeid:
            item.add_marker(pytest.mark.fleet)
            if why:
                item.add_marker(pytest.mark.skip(reason=why))


@pytest.fixture(scope="session")
def spark() -> Iterator[Any]:
    """On two threads of this host."""
    from monitor.fleet import job  # noqa: PLC0415 - the extra may be missing

    session = job.session(FleetSettings(shards=4), master="local[2]", name="tests")
    yield session
    session.stop()
