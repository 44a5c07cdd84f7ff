"""The table of `make faults` has a line for each fault that was tried, also where a test did not get so far."""

from __future__ import annotations

import pytest

from tests.faults.report import read, table
from tests.faults.size import FULL

pytest_plugins = ["pytester"]

ROWS = '''
import pytest

def test_held():
    """Row 1: it tells of itself."""

def test_broken():
    """Row 2: it ends before it could tell."""
    raise RuntimeError("no | broker\\nat all")

@pytest.mark.skipif(True, reason="strace is not installed")
def test_untried():
    """Row 3: it needs what is not there."""

def test_beside():
    """No row of the table."""
    assert False
'''


@pytest.mark.skipif(FULL, reason="it asks of the table itself")
def test_what_failed_or_was_not_tried_stands_in_the_table(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = pytester.path / "found.jsonl"
    monkeypatch.setenv("ENGINEWATCH_FAULTS_FILE", str(file))
    pytester.makeconftest("from tests.faults.conftest import pytest_runtest_makereport\n")
    pytester.makepyfile(ROWS)
    pytester.runpytest_inprocess("-p", "no:cacheprovider")
    assert table(read(file)).splitlines()[2:] == [
        "| 2 | `test_broken` | 0 |  |  |  |  | **failed**: RuntimeError: no / broker at all |",
        "| 3 | `test_untried` | 0 |  |  |  |  | not tried: strace is not installed |",
    ]
