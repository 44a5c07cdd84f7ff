"""The process that scores for the lab: `python -m monitor.lab.worker`, a request in, a result out.

It reads one line of JSON and, behind it, the file to be scored; it writes one line of JSON, either the result or
`{"error": …}`. Everything that takes long happens here, so that the daemon's line has its interpreter for itself;
the process gives way to everything else on the machine, and the system ends it where it computes for too long.
"""

from __future__ import annotations

import os
import resource
import sys
import tempfile
from contextlib import chdir, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from config.mistakes import SettingsError
from models.artifact import ArtifactError
from models.runtime import load_model
from monitor.cli import UserError
from monitor.commands.checked_for_model import check
from monitor.commands.normal_rows import normal_rows
from monitor.lab import judged, models, sample, uploaded
from monitor.lab.matched import LabError
from monitor.schema import StoreError
from monitor.store import Store

if TYPE_CHECKING:
    from models.artifact import Header

NICE = 10
CPU_S = 60  # of the processor
MOST_STORED = 1_000_000  # rows of the store, the newest, that false alarms are predicted from
MOST_NAME = 80  # characters of a file's name


def main() -> int:
    """Answer one request."""
    os.nice(NICE)
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    line = sys.stdin.buffer.readline()
    content = sys.stdin.buffer.read()
    try:
        said = answer(msgspec.json.decode(line, type=dict[str, Any]), content)
    except (LabError, UserError, ArtifactError, StoreError, SettingsError) as error:
        said = {"error": str(error)}
    sys.stdout.buffer.write(msgspec.json.encode(said) + b"\n")
    return 0


def answer(asked: dict[str, Any], content: bytes) -> dict[str, Any]:
    """The result of a request. Raises LabError and the errors of those who read models, store and files."""
    state = Path(asked["state"]).absolute()
    with closing(Store(state / "store.db")) as store:
        candidate, header = models.find(state, store, str(asked.get("model", "")))
        spec = candidate.spec
        fault: dict[str, Any] | None = None
        assets: tuple[str, ...] = ()
        if asked["what"] == "sample":
            made = sample.make(header, asked)
            recording, fault, timed = made.recording, made.fault, False
            notes: list[str] = []
        else:
            found = _uploaded(asked, content, header)
            recording, assets, timed, notes = found.recording, found.assets, found.timed, list(found.notes)
            notes += list(check([recording], header))
        model = load_model(candidate.folder)
        outcome = judged.score(recording, spec, model)
        found_normal = normal_rows(store, spec, MOST_STORED)
    stored = [] if found_normal is None else list(found_normal.assets.values())
    healthy = asked["what"] == "sample" and fault is None
    return {
        "model": candidate.id,
        "assets": list(assets),
        "timed": timed,
        "simulated": asked["what"] == "sample",
        "notes": notes,
        "fault": fault,
        **judged.told(recording, outcome, spec, header),
        **judged.floors_tried(spec, outcome, stored, healthy=healthy),
        "training": {
            "quantiles": judged.quantiles_of_training(models.card(candidate.folder)),
            "above": None if header.training is None else header.training.above,
            "windows": header.data.windows_calibration,
        },
    }


def _uploaded(asked: dict[str, Any], content: bytes, header: Header) -> uploaded.Uploaded:
    """The rows of the file, which goes by its own name for as long as it is read."""
    with tempfile.TemporaryDirectory(prefix="enginewatch-lab-") as folder, chdir(folder):
        path = Path(file_name(str(asked.get("name", ""))))
        path.write_bytes(content)
        return uploaded.read(
            path,
            header,
            time=str(asked.get("time") or ""),
            period_ms=asked.get("period_ms"),
            asset=str(asked.get("asset") or ""),
            allow_missing=bool(asked.get("allow_missing")),
        )


def file_name(name: str) -> str:
    """A name under which any file can lie in a folder of its own, and be read as CSV.

    >>> file_name("../../etc/run 1.csv"), file_name("a.parquet"), file_name("")
    ('run 1.csv', 'a.parquet.csv', 'upload.csv')
    """
    last = name.replace("\\", "/").rpartition("/")[2]
    printable = "".join(each for each in last if each.isprintable())[-MOST_NAME:].lstrip(".-") or "upload.csv"
    return printable if printable.lower().endswith((".csv", ".txt", ".tsv")) else f"{printable}.csv"


if __name__ == "__main__":
    sys.exit(main())
