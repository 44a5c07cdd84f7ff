"""`enginewatch calibrate`: thresholds by a budget of false alarms and what the store holds of normal running."""

from __future__ import annotations

import argparse
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from monitor.alarm_budget import Budget, choose, ladder, parse, shown, wanted_days
from monitor.calibration import Calibration, note, sharing
from monitor.cli import UserError
from monitor.commands import new_floors
from monitor.commands.common import load_settings, open_store, show, state_arguments, state_folder
from monitor.commands.normal_rows import Found, normal_rows
from monitor.false_alarms import FalseAlarms, false_alarms
from monitor.printable import json_line, printable
from monitor.spec import LineSpec
from monitor.synthetic import is_synthetic

if TYPE_CHECKING:
    from config.load import Loaded
    from monitor.alarm_budget import Choice
    from monitor.spec import ClassSpec
    from monitor.store import Store

COLUMNS = ("class", "floor now", "floor", "incidents now", "incidents", "predicted", "at most", "normal data")
FEW_ASSETS = 3
LOUD_SHARE, LOUD_LEAST = 0.5, 4  # of all incidents, by which one asset is named


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one class."""

    name: str
    choice: Choice
    floor: float | None  # as it is written
    before: float
    found: FalseAlarms
    now: int  # incidents at the floor of now
    then: int  # at the chosen one
    assets: int
    rows: list[Found]
    words: list[str]  # what has to be known of it


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    state_arguments(parser)
    parser.add_argument(
        "--budget",
        type=_budget,
        required=True,
        metavar="N/asset-month",
        help="false alarms that are wanted at the most, per asset or fleet, and day, week, month or year of scored"
        " running",
    )
    parser.add_argument("--class", dest="only", metavar="NAME", help="only this class (default: every one)")
    parser.add_argument(
        "--apply",
        action="store_true",
        help="write the floors into the settings file, and have the daemon reload it",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a class")


def _budget(text: str) -> Budget:
    try:
        return parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def run(options: argparse.Namespace) -> int:
    """Count, choose, tell, and write where that is asked for; 1 where a class got no floor."""
    with closing(open_store(options)) as store:
        specs = _classes(store, options.only)
        loaded = _writable(options, specs) if options.apply else None
        outcomes = [outcome(store, family, options.budget) for family in specs]
        chosen = {each.name: each.floor for each in outcomes if each.floor is not None}
        if loaded is not None and chosen:
            new_floors.write(loaded, chosen)
            note(store, {each.name: _noted(each, options.budget) for each in outcomes if each.name in chosen})
        _tell(outcomes, options, applied=loaded is not None)
        if loaded is not None and chosen:
            taken = new_floors.reload(state_folder(options), store, chosen)
            sys.stderr.write(f"{loaded.path} has the new floors; {taken}\n")
        elif chosen:
            sys.stderr.write("nothing was changed: --apply writes the floors into the settings file\n")
    return 0 if len(chosen) == len(outcomes) else 1


def _tell(outcomes: list[Outcome], options: argparse.Namespace, *, applied: bool) -> None:
    if options.json:
        for each in outcomes:
            sys.stdout.write(json_line(_json(each, options.budget, applied=applied)) + "\n")
    else:
        show([_row(each, options.budget) for each in outcomes], COLUMNS, as_json=False)
        for each in outcomes:
            for sentence in each.words:
                sys.stdout.write(printable(f"{each.name}: {sentence}") + "\n")
    sys.stdout.flush()


def _classes(store: Store, only: str | None) -> list[list[ClassSpec]]:
    """The classes of the daemon that have a model, each with the overrides that share its threshold."""
    text = store.facts().get("line")
    if text is None:
        raise UserError("the store does not say what it watches: start the daemon once with this release")
    every = [each for each in LineSpec.decode(text.encode()).classes if each.model and not is_synthetic(each.name)]
    names = dict.fromkeys(each.family for each in every)
    if only is not None and only not in names:
        raise UserError(f"there is no class {only} with a model; there are {', '.join(names) or 'none'}")
    found = [sharing(every, name) for name in (names if only is None else [only])]
    if not found:
        raise UserError("no class has a model yet, so there are no thresholds to set")
    return found


def outcome(store: Store, family: list[ClassSpec], budget: Budget) -> Outcome:
    """The floor of a class, which comes behind those of its overrides that share its threshold."""
    spec = family[-1]
    floors = ladder(spec.threshold.cap)
    before = spec.threshold.floor
    asked = np.append(floors, before)  # (K + 1,)
    kept: list[tuple[ClassSpec, Found]] = []
    for each in family:
        rows = normal_rows(store, each)
        if rows is not None:
            kept.append((each, rows))
    assets = len({name for _, rows in kept for name in rows.assets})
    total = _added(asked, [_counted(rows, each, asked) for each, rows in kept])
    found = FalseAlarms(floors, total.incidents[:-1], total.observed_ms)
    choice = choose(found, budget.a_day(assets))
    floor = None if choice.floor is None else shown(choice.floor)
    words, then = [], 0
    if floor is None:
        words.append(choice.why)
    else:
        by_asset = _by_asset(kept, floor)
        then = sum(by_asset.values())
        words += _loud(by_asset)
        if choice.way == "tail":
            wanted = wanted_days(budget.a_day(assets))
            words.append(
                f"{found.days:.3g} asset-days do not show this rate by themselves ({wanted:.3g} would): the floor"
                " follows the tail of what was seen, and its bound holds in nine cases of ten"
            )
    if 0 < assets < FEW_ASSETS:
        words.append(f"all of the data is of {assets} asset{'s' if assets > 1 else ''}: others may differ from it")
    if any(rows.more for _, rows in kept):
        words.append("only the latest rows were read, older ones are there")
    return Outcome(
        spec.name,
        choice,
        floor,
        before,
        found,
        int(total.incidents[-1]),
        then,
        assets,
        [r for _, r in kept],
        words,
    )


def _counted(rows: Found, spec: ClassSpec, floors: Any) -> FalseAlarms:
    parts = [part for parts in rows.assets.values() for part in parts]
    return false_alarms(parts, spec.alert, floors, ticks_a_row=spec.window.stride)


def _added(floors: Any, found: list[FalseAlarms]) -> FalseAlarms:
    incidents = sum((each.incidents for each in found), np.zeros(len(floors), np.int64))
    return FalseAlarms(floors, incidents, sum(each.observed_ms for each in found))


def _by_asset(kept: list[tuple[ClassSpec, Found]], floor: float) -> dict[str, int]:
    """The incidents of every asset at one floor."""
    one = np.array([floor])
    return {
        name: int(false_alarms(parts, spec.alert, one, ticks_a_row=spec.window.stride).incidents[0])
        for spec, rows in kept
        for name, parts in rows.assets.items()
    }


def _loud(by_asset: dict[str, int]) -> list[str]:
    """The asset that most incidents are of, where there is one among several."""
    count = sum(by_asset.values())
    name = max(by_asset, key=by_asset.__getitem__, default="")
    if len(by_asset) > 1 and count >= LOUD_LEAST and by_asset[name] > LOUD_SHARE * count:
        return [
            f"{by_asset[name]} of {count} incidents are of {name}: look at it, or give it an override of its own"
        ]
    return []


def _writable(options: argparse.Namespace, specs: list[list[ClassSpec]]) -> Loaded:
    """The settings, where they come from a file that has these classes. Raises UserError."""
    loaded, _ = load_settings(options)
    if loaded.path is None:
        raise UserError("--apply needs a settings file to write into: name it with --config")
    names = [each.name for each in loaded.settings.classes]
    for family in specs:
        name = family[-1].name
        if name not in names:
            raise UserError(f"{loaded.path} has no class {name}: is it the daemon's own file?")
    return loaded


def _noted(each: Outcome, budget: Budget) -> Calibration:
    choice = each.choice
    assert each.floor is not None
    assert choice.high is not None
    return Calibration(
        int(time.time() * 1000), str(budget), each.floor, each.before, choice.way, choice.a_day, choice.low,
        choice.high, each.found.days, each.assets,
    )  # fmt: skip


def _row(each: Outcome, budget: Budget) -> dict[str, Any]:
    return {
        "class": each.name,
        "floor now": f"{each.before:g}",
        "floor": "" if each.floor is None else f"{each.floor:g}",
        "incidents now": each.now,
        "incidents": "" if each.floor is None else each.then,
        "predicted": _rate(each.choice.a_day, each, budget),
        "at most": _rate(each.choice.high, each, budget),
        "normal data": f"{each.found.days:.3g} days of {each.assets} asset{'' if each.assets == 1 else 's'}"
        + _without(each),
    }


def _rate(a_day: float | None, each: Outcome, budget: Budget) -> str:
    if a_day is None:
        return ""
    return f"{budget.of_rate(a_day, each.assets):.2g}/{budget.of}-{budget.unit}"


def _without(each: Outcome) -> str:
    """What was left out, as a share of all scored rows."""
    read = sum(rows.read for rows in each.rows)
    counts = {
        "real incidents": sum(rows.real for rows in each.rows),
        "faulty sensors": sum(rows.sensor for rows in each.rows),
        "maintenance": sum(rows.maintenance for rows in each.rows),
    }
    told = [f"{name} {100 * count / read:.2g} %" for name, count in counts.items() if count]
    return f"; left out: {', '.join(told)}" if told else ""


def _json(each: Outcome, budget: Budget, *, applied: bool) -> dict[str, Any]:
    chosen = each.floor is not None

    def rate(a_day: float | None) -> float | None:
        return None if a_day is None else budget.of_rate(a_day, each.assets)

    return {
        "class": each.name,
        "budget": str(budget),
        "floor_now": each.before,
        "floor": each.floor,
        "way": each.choice.way,
        "incidents_now": each.now,
        "incidents": each.then if chosen else None,
        "predicted": rate(each.choice.a_day),
        "low": rate(each.choice.low),
        "high": rate(each.choice.high),
        "asset_days": each.found.days,
        "assets": each.assets,
        "rows": sum(rows.read for rows in each.rows),
        "left_out": {
            name: sum(getattr(rows, name) for rows in each.rows) for name in ("real", "sensor", "maintenance")
        },
        "words": each.words,
        "applied": applied and chosen,
    }
