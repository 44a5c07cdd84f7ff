"""`enginewatch models drift`: which assets have left what their model was trained on, and what to do."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING, Any

from monitor.cli import UserError
from monitor.commands.assets import known
from monitor.commands.common import show, state_folder

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping

    from monitor.models_in_use import ClassModels

STANDS = ("fits", "stale", "not yet", "unknown")
CREPT = 1.1  # a threshold that its recent scores would put so many times as high as its anchor is told
WORDS = {
    "fits": "within what the model was trained on",
    "stale": "stale",
    "not yet": "not judged yet",
    "unknown": "not judged: the model does not say what it was trained on",
}


def drift(options: argparse.Namespace, models: Mapping[str, ClassModels]) -> int:
    """Show it; 0 whatever it says, for it is no alarm. Raises UserError where nobody knows the assets."""
    folder = state_folder(options)
    rows = [row for row in known(folder) if row["drift"] is not None]
    where = ["--state", str(options.state)] if options.state else ["--config", str(options.config)]
    if not options.state and not options.config:
        where = []
    found = [_of_class(name, each, rows, where) for name, each in models.items() if each.now.hash]
    if not found:
        raise UserError("no class has a model: `enginewatch models list` says how far learning is")
    if options.json:
        show(found, (), as_json=True)
    else:
        sys.stdout.writelines(f"{line}\n" for each in found for line in _told(each))
    return 0


def _of_class(name: str, models: ClassModels, rows: list[dict[str, Any]], where: list[str]) -> dict[str, Any]:
    """One class with its overrides, which have its model."""
    use = models.now
    own = [row for row in rows if row["class"].partition("/")[0] == name]
    stale = [row for row in own if row["drift"]["stands"] == "stale"]
    crept = [row for row in own if row["creep"] is not None and row["creep"] >= CREPT]
    again = [
        *("enginewatch", "train", "--from-store", "--asset-class", name, "--since", "7d"),
        *("--window", str(use.window), *where, "--out", f"{use.model}-again"),
    ]
    return {
        "class": name,
        "model": use.model,
        "hash": use.hash,
        "assets": len(own),
        "stands": {stands: sum(row["drift"]["stands"] == stands for row in own) for stands in STANDS},
        "stale": [
            {"asset": row["asset"], "why": row["drift"]["why"], "hours": row["drift"]["hours"]} for row in stale
        ],
        "incidents": [row["asset"] for row in own if row["incidents"]],
        "creep": {row["asset"]: row["creep"] for row in own},
        "crept": [row["asset"] for row in sorted(crept, key=lambda row: -row["creep"])],
        "suggestion": shlex.join(again) if stale or crept else None,
    }


def _told(found: dict[str, Any]) -> Iterator[str]:
    """The same for people."""
    counts = ", ".join(f"{count} {WORDS[stands]}" for stands, count in found["stands"].items() if count)
    yield f"class {found['class']}, model {found['model']}: {counts or 'no assets yet'}"
    for row in found["stale"]:
        yield f"  {row['asset']} is stale: {'; '.join(row['why'])}"
    if found["incidents"]:
        assets = ", ".join(found["incidents"])
        yield f"  with open incidents, and not counted while one is an anomaly: {assets}"
        yield "  (where it is false: `enginewatch incidents verdict`, then `enginewatch accept`)"
    for asset in found["crept"]:
        creep = found["creep"][asset]
        yield f"  {asset}: its recent scores would put its threshold at {creep:.2f} times where it stood at first"
    if found["suggestion"]:
        yield "  where nothing is wrong with them, train on what they do now, and `enginewatch models promote` it:"
        yield f"  {found['suggestion']}"
