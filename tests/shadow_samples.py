"""A daemon's state folder without a daemon: what the shipped model made of two engines, one of which fails."""

from __future__ import annotations

import json
import shutil
from functools import cache
from typing import TYPE_CHECKING

from config.classes import resolve_classes
from config.load import load
from models import pretrained
from models.artifact import load_header
from models.runtime import load_model
from monitor import models_in_use
from monitor.assemble import line_spec
from monitor.commands.as_published import of_recordings, records
from monitor.models_in_use import Use, at_start
from monitor.pipeline import step
from monitor.spec import LineSpec
from monitor.state import LineState
from monitor.store import Store
from simulator.faults import Fault
from simulator.fleet import Fleet
from simulator.recording import Recording
from simulator.records import SENSORS

if TYPE_CHECKING:
    from pathlib import Path

    from monitor.records import Record, StepResult

PERIOD_MS = 500
TICKS = 260
BEGINNING = 1_790_000_000_000
FAULT_MS = 70_000  # after the beginning
FAILS = "fleet//engine-02"


def twin(folder: Path, name: str, **changes: object) -> Path:
    """The shipped model under another name, and so with another hash; and what a test changes in its header."""
    place = folder / name
    shutil.copytree(pretrained.folder("engine"), place)
    header = json.loads((place / "header.json").read_text())
    (place / "header.json").write_text(json.dumps(header | {"name": name} | changes))
    return place


def lax(folder: Path, name: str) -> Path:
    """The same, whose scores are a hundred thousand times smaller: it never raises anything."""
    given = json.loads((pretrained.folder("engine") / "header.json").read_text())["calibration"]
    whole = given["whole"] | {"usual": given["whole"]["usual"] * 1e10}
    return twin(folder, name, calibration=given | {"score": given["score"] * 1e5, "whole": whole})


def journal() -> list[Record]:
    """Two engines, the second of which misfires from second 70 on."""
    fault = Fault(engine=1, kind="misfire", severity="severe", start_ms=FAULT_MS, sensor="")
    fleet = Fleet(2, seed=7, duty="urban", period_ms=PERIOD_MS, faults=[fault])
    block = fleet.block(TICKS)
    recordings = [
        Recording(asset, tuple(SENSORS), block.time + BEGINNING, block.values[:, number])
        for number, asset in enumerate(fleet.assets)
    ]
    published = of_recordings(recordings, goodbye=False)
    return list(records(published, root="enginewatch", site="fleet", slice_ms=2000, first=BEGINNING))


@cache
def results(line: bytes) -> list[tuple[int, StepResult]]:
    """What a line of the shipped model makes of the journal, record by record."""
    spec = LineSpec.decode(line)
    models = {spec.classes[0].model_hash: load_model(pretrained.folder("engine"))}
    state = LineState.empty(spec)
    return [(record.position, step(state, record, models)) for record in journal()]


class House:
    """The state folder; `take` goes on with the journal."""

    def __init__(self, folder: Path) -> None:
        self.state = folder / "state"
        self.state.mkdir()
        self.settings = folder / "enginewatch.toml"
        self.settings.write_text(
            f'[daemon]\nstate_dir = "{self.state}"\n[[classes]]\nname = "engine"\nmodel = "pretrained:engine"\n'
        )
        loaded = load(self.settings, environment={})
        self.spec = line_spec(loaded.settings, resolve_classes(loaded))
        header = load_header(pretrained.folder("engine"))
        self.use(Use(header.name, header.hash, header.window, BEGINNING, "settings"))
        self.store = Store(self.state / "store.db")
        self.store.note({"line": self.spec.encode().decode()})
        self.results = results(self.spec.encode())
        self.taken = 0

    def use(self, use: Use) -> None:
        """A model comes into use, as far as the note says so."""
        known = models_in_use.load(self.state)
        made = known["engine"].with_use(use) if known else at_start(None, use)
        models_in_use.save(self.state, {"engine": made})

    def take(self, share: float = 1.0) -> None:
        """Take the journal up to this share of it."""
        end = round(share * len(self.results))
        for position, result in self.results[self.taken : end]:
            self.store.write(position, result)
        self.taken = end
