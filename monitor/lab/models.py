"""The models that the lab can try: those in use, and the one that comes with the package."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from config.classes import resolve_classes
from config.load import load
from config.shipped import PREFIX
from models import pretrained
from models.artifact import CARD, MAX_CARD_BYTES, ArtifactError, load_header, read_bounded
from monitor.assemble import line_spec
from monitor.lab.matched import LabError
from monitor.spec import LineSpec
from monitor.synthetic import is_synthetic

if TYPE_CHECKING:
    from pathlib import Path

    from models.artifact import Header
    from monitor.spec import ClassSpec
    from monitor.store import Store

SHELF = "models"  # in the state folder


class Candidate(NamedTuple):
    """A model with the settings by which it is tried."""

    id: str  # the class that uses it, or pretrained:NAME
    spec: ClassSpec
    folder: Path


def candidates(state: Path, store: Store) -> list[Candidate]:
    """All of them; those in use first. The shipped ones that no class uses have the settings that ship."""
    text = store.facts().get("line", "")
    classes = LineSpec.decode(text.encode()).classes if text else ()
    ours = [each for each in classes if each.model_hash and not is_synthetic(each.name)]
    found = [Candidate(each.name, each, state / SHELF / each.model_hash) for each in ours]
    used = {each.spec.model_hash for each in found}
    shipped = [_shipped(name) for name in pretrained.names()]
    return found + [each for each in shipped if each.spec.model_hash not in used]


def _shipped(name: str) -> Candidate:
    loaded = load(None, overrides=["classes.0.name=lab", f"classes.0.model={PREFIX}{name}"], environment={})
    spec = line_spec(loaded.settings, resolve_classes(loaded)).classes[0]
    return Candidate(f"{PREFIX}{name}", spec, pretrained.folder(name))


def find(state: Path, store: Store, wanted: str) -> tuple[Candidate, Header]:
    """The one of an id, with its header. Raises LabError."""
    there = candidates(state, store)
    for each in there:
        if each.id == wanted:
            try:
                return each, load_header(each.folder)
            except ArtifactError as error:
                raise LabError(f"the model of {wanted} cannot be read: {error}") from error
    raise LabError(f"there is no model {wanted!r}; there are {', '.join(each.id for each in there)}")


def described(state: Path, store: Store) -> list[dict[str, Any]]:
    """For those who choose one."""
    return [
        {
            "id": each.id,
            "model": each.spec.model,
            "hash": each.spec.model_hash[:12],
            "in_use": not each.id.startswith(PREFIX),
            "sensors": [
                {"name": name, "unit": unit}
                for name, unit in zip(each.spec.route.sensors, each.spec.units, strict=True)
            ],
            "period_ms": each.spec.align.period_ms,
            "window": each.spec.window.length,
            "floor": each.spec.threshold.floor,
        }
        for each in candidates(state, store)
    ]


def card(folder: Path) -> str:
    """What the card of a model says; empty where there is none."""
    try:
        return read_bounded(folder / CARD, MAX_CARD_BYTES).decode("utf-8", "replace")
    except ArtifactError:
        return ""
