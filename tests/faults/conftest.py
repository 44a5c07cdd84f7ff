"""What `make faults` could not find out stands in its table, too: a test that failed, or was not tried."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.faults.report import Finding, tell

if TYPE_CHECKING:
    from collections.abc import Generator

ROW = re.compile(r"Row (\d+):")  # how the docstring of a row's test begins
WORDS = 120  # characters of a reason


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Tell of a row's test that failed or was skipped: without that its line would only be absent."""
    report = yield
    row = ROW.match(getattr(getattr(item, "function", None), "__doc__", None) or "")
    if row is not None and (finding := untold(int(row[1]), item.name, report)) is not None:
        tell(finding)
    return report


def untold(number: int, name: str, report: pytest.TestReport) -> Finding | None:
    """What the table has to say of a test's report; None where the test told it itself."""
    if report.skipped:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        return Finding(number, f"`{name}`", 0, remark=f"not tried: {_line(reason.removeprefix('Skipped: '))}")
    if report.failed:
        crash = getattr(report.longrepr, "reprcrash", None)
        reason = crash.message if crash else str(report.longrepr)
        return Finding(number, f"`{name}`", 0, remark=f"**failed**: {_line(reason)}")
    return None


def _line(text: str) -> str:
    """A cell of a table in Markdown."""
    return " ".join(text.split()).replace("|", "/")[:WORDS]
