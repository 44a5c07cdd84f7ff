"""What the fault rig found, one line a fault; `python -m tests.faults.report FILE` puts it into the page."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from tests.faults.oracle import INCIDENT

if TYPE_CHECKING:
    from tests.faults.oracle import Verdict

FILE = "ENGINEWATCH_FAULTS_FILE"  # where to add what is found; without it nothing is kept
PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
BEGIN, END = "<!-- written by `make faults` -->", "<!-- until here -->"


@dataclass(frozen=True, slots=True)
class Finding:
    """One row of the table. None: the fault has no such figure."""

    fault: int  # its number in the table
    name: str
    tries: int
    missing: int | None = None  # values that were acknowledged and have no row, rows and transitions not delivered
    doubled: int | None = None
    corrupted: int | None = None
    recovery_s: float | None = None  # the longest, until a fresh reading was stored
    remark: str = ""  # what else must hold, as it was found
    incident: bool | None = None  # one fired and one cleared for the fault that was there all the time

    @classmethod
    def of(
        cls, fault: int, name: str, tries: int, verdict: Verdict, recovery_s: float | None = None, remark: str = ""
    ) -> Finding:
        """With the counts of the oracle's verdict."""
        missing, doubled, corrupted = (
            each.total() for each in (verdict.missing, verdict.doubled, verdict.corrupted)
        )
        incident = INCIDENT not in verdict.examples
        return cls(fault, name, tries, missing, doubled, corrupted, recovery_s, remark, incident)


def tell(finding: Finding) -> None:
    """Keep a finding, if the environment says where."""
    if path := os.environ.get(FILE):
        with Path(path).open("a") as file:
            file.write(json.dumps(asdict(finding)) + "\n")


def table(findings: list[Finding]) -> str:
    """The findings as a table in Markdown, by number."""
    rows = [
        "| # | fault | tries | missing | doubled | corrupted | recovery, longest | found |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for each in sorted([*findings, *_incidents(findings)], key=lambda finding: finding.fault):
        seconds = "" if each.recovery_s is None else f"{each.recovery_s:.1f} s"
        counts = ("" if count is None else f"{count:,}" for count in (each.missing, each.doubled, each.corrupted))
        cells = (str(each.fault), each.name, f"{each.tries:,}", *counts, seconds, each.remark)
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def _incidents(findings: list[Finding]) -> list[Finding]:
    """Row 24: what became of the incident that was open, over all faults that were asked of it."""
    asked = [each for each in findings if each.incident is not None]
    if not asked:
        return []
    wrong = sum(not each.incident for each in asked)
    remark = f"one fired and one cleared for each fault of the pump in {len(asked) - wrong} of {len(asked)} rows"
    return [Finding(24, "an incident open across all of these", len(asked), remark=remark)]


def read(path: Path) -> list[Finding]:
    """The findings in a file; what was found again counts as found last."""
    found = [Finding(**json.loads(line)) for line in path.read_text().splitlines()]
    found.sort(key=lambda finding: (finding.fault, finding.name))  # stable: the last stays behind
    return [list(same)[-1] for _, same in groupby(found, key=lambda finding: (finding.fault, finding.name))]


def main() -> None:
    """Write the table between its two marks on the page."""
    text = PAGE.read_text()
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    PAGE.write_text(f"{before}{BEGIN}\n{table(read(Path(sys.argv[1])))}\n{END}{after}")


if __name__ == "__main__":
    main()
