"""The folder of the job's state: whether it can be written, how far a job is there, and by which settings."""

from __future__ import annotations

import json
import os
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from monitor.fleet.seen import CheckpointFacts

if TYPE_CHECKING:
    from config.fleet import FleetSettings

QUERY, IMPORTED = "query", "import"  # what Spark keeps there, and what a new job begins with
PARTITIONS = "spark.sql.shuffle.partitions"


def local(checkpoint: str) -> Path | None:
    """The folder of this host that a checkpoint names; None where it is elsewhere, such as hdfs://."""
    scheme = re.match(r"([a-z][a-z0-9+.-]*):", checkpoint)
    if scheme is None:
        return Path(checkpoint)
    return Path(re.sub("^/*", "/", checkpoint.removeprefix("file:"))) if scheme[1] == "file" else None


def look(fleet: FleetSettings) -> CheckpointFacts:
    """What there is of the checkpoint. Leaves nothing."""
    name = fleet.checkpoint
    place = local(name)
    if place is None:
        return CheckpointFacts(name, elsewhere=True)
    there = next(each for each in (place, *place.absolute().parents) if each.exists())
    if not there.is_dir():
        return CheckpointFacts(name, f"{there} is a file, not a folder")
    try:
        with tempfile.TemporaryFile(dir=there) as file:  # without a name, so that nothing is left
            file.write(b"enginewatch")
            file.flush()
            os.fsync(file.fileno())
        begun, ended = (_batches(place / QUERY / each) for each in ("offsets", "commits"))
        if not begun:
            return CheckpointFacts(name, imported=(place / IMPORTED / "_SUCCESS").exists())
        shards, topics = _laid_out(place / QUERY / "offsets" / str(begun[-1]))
    except OSError as error:
        why = error.strerror or str(error)
        return CheckpointFacts(name, why if there == place else f"cannot be made in {there}: {why}")
    except (ValueError, KeyError, IndexError, TypeError) as error:
        return CheckpointFacts(name, f"what Spark has noted of batch {begun[-1]} is damaged ({error!r})")
    return CheckpointFacts(name, "", False, begun[-1], ended[-1:] == begun[-1:], shards, topics)


def _batches(folder: Path) -> list[int]:
    return sorted(int(each.name) for each in folder.glob("*") if each.name.isdigit())


def _laid_out(offsets: Path) -> tuple[int, tuple[str, ...]]:
    """How many shards a job has, and which topics it reads, as Spark notes them of a batch."""
    _, facts, *sources = offsets.read_text(encoding="utf-8").splitlines()
    return int(json.loads(facts)["conf"][PARTITIONS]), tuple(json.loads(sources[0]))
