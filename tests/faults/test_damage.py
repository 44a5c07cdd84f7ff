"""Files of the state folder truncated and flipped: the daemon starts with what is whole, and says what is lost."""

from __future__ import annotations

import random
import re
import shutil
import subprocess
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from monitor.store import Store
from tests.faults.house import House
from tests.faults.oracle import Verdict
from tests.faults.report import Finding, tell
from tests.faults.size import tries
from tests.rig import COMMAND, environment, json_lines, until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.brokers import Mosquitto

pytestmark = pytest.mark.timeout(3600)
TRIES = tries(3, 300)
STARTS = 3  # the first may refuse, with a line that says how to go on: the others follow it
TOLD = ("damaged", "mended", "checkpoint_unusable", "store_lost", "store_behind", "journal_lost", "state_lost")


def test_damaged_files(tmp_path: Path, pump_model: Path, mosquitto: Mosquitto) -> None:
    """Row 13: no crash loop, no traceback, nothing stored that is another than it was; what was lost is said."""
    chance = random.Random(13)  # noqa: S311 - places, not secrets
    with House(tmp_path, pump_model, mosquitto, None) as house:
        house.begin()
        house.plant.publish(90, per_second=40)
        house.fresh()
        house.daemon.kill()
    mosquitto.stop()  # so that nothing new comes
    state = house.daemon.state
    (state / "command.sock").unlink()
    folders = [tmp_path / "killed", tmp_path / "stopped"]
    shutil.copytree(state, folders[0])
    run(tmp_path)
    shutil.copytree(state, folders[1])
    known = contents(state)
    assert known
    verdict, events = Verdict(), Counter[str]()
    lost = 0
    for number in range(TRIES):
        shutil.rmtree(state)
        shutil.copytree(folders[number % 2], state)
        what = damage(state, chance)
        said = run(tmp_path)
        found = contents(state)
        told = {line["event"] for line in said} & set(TOLD)
        events.update(told)
        verdict.count(verdict.corrupted, "rows and transitions", [what] * len(found.keys() - known.keys()))
        verdict.count(verdict.doubled, "rows and transitions", [what for count in found.values() if count > 1])
        missing = len(known.keys() - found.keys())
        lost += missing > 0
        verdict.count(verdict.missing, "rows and transitions, untold", [] if told else [what] * missing)
    remark = f"{lost} times something was lost; told: " + ", ".join(
        f"{event} {count}" for event, count in events.most_common()
    )
    found_out = Finding.of(13, "a file of the state folder truncated or flipped", TRIES, verdict, None, remark)
    tell(replace(found_out, incident=None))  # none was looked for
    assert verdict.clean, verdict


def damage(state: Path, chance: random.Random) -> str:
    """Do something bad to one file; returns what."""
    names = ["journal.db", "store.db", "journal.db-wal", "store.db-wal", "checkpoint-*"]
    paths = [path for name in names for path in sorted(state.glob(name)) if path.stat().st_size]
    path = chance.choice(paths)
    contents = bytearray(path.read_bytes())
    where = chance.randrange(len(contents))
    how = chance.choice(["truncated", "flipped", "flipped often", "page of zeros", "page of noise"])
    if how == "truncated":
        del contents[where:]
    elif how == "flipped":
        contents[where] ^= 1 << chance.randrange(8)
    elif how == "flipped often":
        for _ in range(20):
            contents[chance.randrange(len(contents))] ^= 1 << chance.randrange(8)
    else:
        where -= where % 512
        size = min(512, len(contents) - where)
        contents[where : where + size] = bytes(size) if how == "page of zeros" else chance.randbytes(size)
    path.write_bytes(contents)
    return f"{path.name} {how} at {where} of {len(contents)}"


def run(folder: Path) -> list[dict[str, Any]]:
    """Start the daemon as often as it says, and stop it; returns what it logged."""
    log = folder / "damage.log"
    log.write_bytes(b"")
    for _ in range(STARTS):
        began = log.stat().st_size
        with log.open("ab") as file:
            process = subprocess.Popen(
                [*COMMAND, "monitor"], cwd=folder, env=environment(), stdout=file, stderr=file
            )
        until(
            lambda process=process, began=began: (  # type: ignore[misc]  # bound at once
                b'"event":"started"' in log.read_bytes()[began:] or process.poll() is not None
            )
        )
        process.terminate()
        code = process.wait(30)
        text = log.read_text()
        assert "Traceback" not in text, text
        assert code in {0, 1, 2}, text
        if code == 0:
            break
        if "move it aside" in text:
            found = re.search(r"state/(\S+) has format", text)
            assert found is not None, text
            (folder / "state" / found[1]).rename(folder / found[1])
            continue
        assert "start the daemon again" in text, text
    else:
        raise AssertionError(text)
    return list(json_lines("\n".join(line for line in text.splitlines() if line.startswith("{"))))


def contents(state: Path) -> Counter[tuple[Any, ...]]:
    """The score rows and the transitions that are stored, with all their values, and how often."""
    store = Store(state / "store.db")
    try:
        batches = store.scores_after(0, 10_000_000)
        events = [event for _, event in store.events_after(0, 1_000_000)]
    finally:
        store.close()
    found = Counter[tuple[Any, ...]](
        (stream, time, status, *rows)
        for each in batches
        for stream, time, status, *rows in zip(
            each.streams,
            each.time.tolist(),
            each.rows.status.tolist(),
            map(bytes, each.rows.score),
            map(bytes, each.rows.contribution),
            map(bytes, each.rows.actual),
            strict=True,
        )
    )
    found.update((event.event_id, msgspec.json.encode(event)) for event in events)
    return found
