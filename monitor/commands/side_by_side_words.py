"""Two models side by side, for people and for programs."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import msgspec

from monitor.commands.common import clock

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from monitor.side_by_side import Found, Side, SideBySide

SHOWN = 5  # incidents of one side
NOTHING = "-"
NONE_YET = "nothing was scored by both yet"


def as_json(found: SideBySide, names: tuple[str, str]) -> dict[str, Any]:
    """All of it as plain objects; `names` are the keys of the two."""
    plain = msgspec.to_builtins(asdict(found))
    first, second = names
    plain[first], plain[second] = plain.pop("first"), plain.pop("second")
    plain[f"only_{first}"], plain[f"only_{second}"] = plain.pop("only_first"), plain.pop("only_second")
    return dict(plain)


def figures(found: SideBySide) -> Iterator[tuple[str, ...]]:
    """A row a figure: what, of the first, of the second."""
    sides = found.first, found.second
    yield "incidents", *(str(each.incidents) for each in sides)
    yield "an asset-day", *(number(each.per_asset_day) for each in sides)
    yield "rows above threshold", *(_share(each.above) for each in sides)
    for name in found.first.quantiles:
        yield f"score, {name}", *(_quantile(each, name) for each in sides)


def watched(found: SideBySide) -> str:
    """What both were looked at on."""
    if not found.rows:
        return NONE_YET
    when = ""
    if found.since is not None and found.until is not None:
        when = f", from {clock(found.since)} to {clock(found.until)}"
    return (
        f"{found.asset_hours:.1f} asset-hours of {found.assets} assets, {found.rows} rows that both scored{when}"
    )


def incident_lines(found: SideBySide, names: tuple[str, str]) -> Iterator[str]:
    """Whose the incidents are, and those of one alone."""
    first, second = names
    yield (
        f"incidents of both: {found.both}; of {first} alone: {len(found.only_first)}, of {second} alone:"
        f" {len(found.only_second)}"
    )
    if found.missed_real:
        yield f"judged real, and missed by {second}: {_ids(found.missed_real)}"
    if found.spared_false:
        yield f"judged false, and not raised by {second}: {found.spared_false}"
    for name, alone in ((first, found.only_first), (second, found.only_second)):
        latest = sorted(alone, key=lambda each: each.started)[-SHOWN:]
        for each in latest:
            verdict = f" ({each.verdict})" if each.verdict else ""
            yield f"  {name} alone: {clock(each.started)} {each.asset} {each.kind}{verdict}: {each.summary}"
        if len(alone) > len(latest):
            yield f"  {name} alone: {len(alone) - len(latest)} earlier ones"
    yield from found.notes


def verdict(found: SideBySide, names: tuple[str, str]) -> str:
    """The whole in a sentence."""
    if not found.rows:
        return NONE_YET
    first, second = names
    raised = ", ".join(
        f"{side.incidents} of {name} ({number(side.per_asset_day)} an asset-day)"
        for side, name in ((found.second, second), (found.first, first))
    )
    missed = f"; it missed {len(found.missed_real)} judged real" if found.missed_real else ""
    hours = f"{found.asset_hours:.1f} asset-hours of {found.assets} assets"
    return f"{hours}, incidents: {raised}, {found.both} of both{missed}"


def number(value: float | None) -> str:
    """Three digits; a dash where there is none."""
    return NOTHING if value is None else f"{value:.3g}"


def _share(value: float | None) -> str:
    return NOTHING if value is None else f"{100 * value:.3g} %"


def _quantile(side: Side, name: str) -> str:
    return number(side.quantiles[name])


def _ids(found: Sequence[Found]) -> str:
    return ", ".join(each.incident_id for each in found[:SHOWN]) + (", …" if len(found) > SHOWN else "")
