"""One class: its sensors, its grid, and what is to be asked about both."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from monitor.discovery import units
from monitor.discovery.findings import ClassFinding, Question, SensorFinding
from monitor.discovery.names import LABELS, plain
from monitor.discovery.statistics import Profile, profile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.discovery.groups import Group

SETTLE_MS = 2_000  # how long a tick waits for late readings, at the least
LONGEST_WAIT_MS = 60_000
AHEAD_MS = 5_000  # align.max_ahead_ms as it comes
ZONE_MS = 1_800_000  # clocks that differ by more are in another zone
LISTED = 5
SWITCH = "only 0 and 1: a switch?"


def describe(
    each: Group, chosen: tuple[tuple[str, ...], str], known_units: dict[str, str]
) -> tuple[ClassFinding, list[Question]]:
    """A class with its sensors and its grid, and what is to be asked about it."""
    file = f"{each.name}.toml"
    questions = list(each.questions)
    names = _names(each, file, questions)
    profiles = {
        published: profile(
            published, [stream.series[published] for stream in each.streams if published in stream.series]
        )
        for published in names
    }
    sensors = tuple(
        _sensor(each, published, name, profiles[published], known_units, file, questions)
        for published, name in names.items()
    )
    if any(found.live for found in profiles.values()):
        sensors = tuple(sensor if profiles[sensor.published].live else _old(sensor) for sensor in sensors)
    kept = [profiles[sensor.published] for sensor in sensors if sensor.kept]
    period, why = _period(kept)
    steady = all(each.steady and each.period_ms == period for each in kept)
    joined = all(stream.joined and len(stream.templates) == 1 for stream in each.streams)
    mapping = each.streams[0].mapping
    ahead = [lead for stream in each.streams for lead in stream.ahead]
    reasons = list(dict.fromkeys(reason for stream in each.streams for reason in stream.reasons))
    glob, glob_reason = chosen
    reasons += [f"assets: {glob_reason}"] if glob_reason else []
    lateness = _lateness(ahead, reasons)
    _ask_about_time(each, kept, ahead, file, questions)
    _ask_about_rare(sensors, questions)
    _ask_about_units(sensors, file, questions)
    _ask_about_parts(sensors, questions)
    finding = ClassFinding(
        name=each.name,
        file=file,
        topics=tuple(sorted(each.templates)),
        globs=glob,
        assets=tuple(sorted(stream.key for stream in each.streams)),
        mapping=mapping,
        sensors=sensors,
        period_ms=period,
        period_reason=why,
        one_reading_per_tick=steady and joined and mapping.time == "event",
        lateness_ms=lateness,
        hold_ms=_hold(kept, period, apart=not joined and not steady),
        reasons=tuple(reasons),
        ignored=tuple(sorted({name for stream in each.streams for name in stream.ignored} - set(names))),
    )
    return finding, questions


def _names(each: Group, file: str, questions: list[Question]) -> dict[str, str]:
    """Published name -> plain one; two that would be the same are told apart by a number."""
    # In the order that most assets publish them in: of the one that was heard first the beginning may be missing.
    orders = Counter(tuple(stream.series) for stream in each.streams)
    usual = max(orders, key=lambda order: orders[order])
    ordered = dict.fromkeys([*usual, *(name for stream in each.streams for name in stream.series)])
    names: dict[str, str] = {}
    used = {
        name: name for name in ordered if plain(name) == name
    }  # these keep theirs, so no alias is another's name
    for published in ordered:
        if published in used:
            names[published] = published
            continue
        short = re.sub(r"\.(value|val|v)$", "", published)
        name, number = plain(short), 2
        if name in used and name != "sensor":
            questions.append(
                Question(
                    f"{used[name]} and {published} have nearly the same name: are they two sensors?",
                    f"name in {file}",
                )
            )
        while name in used:
            name, number = f"{plain(short)}_{number}", number + 1
        used[name] = published
        names[published] = name
    return names


def _sensor(
    each: Group,
    published: str,
    name: str,
    found: Profile,
    known: dict[str, str],
    file: str,
    questions: list[Question],
) -> SensorFinding:
    given = {unit for stream in each.streams for unit in stream.units.get(published, ())}
    short = re.sub(r"\.(value|val|v)$", "", published)
    unit, reason, guessed = "", "", True
    if given or published in known:
        unit, reason, guessed = (
            units.written(min(given) if given else known[published]),
            "the plant gives it",
            False,
        )
        if len(given) > 1:
            told = " and ".join(sorted(given))
            questions.append(
                Question(f"{published} comes in {told} from different assets", f"published_unit in {file}")
            )
    else:
        unit, reason = units.from_name(short)
        guessed = not units.in_name(short)
    kept, note = True, ""
    if plain(published) in LABELS:
        kept, note = False, "a label, by its name"
    elif found.counter:
        kept, note = False, "a counter: it only grew"
        questions.append(
            Question(
                f"{published} only grew ({found.lowest:g} to {found.highest:g}): a counter is no sensor, its rate "
                "would be; it stands commented out",
                f"[[sensors]] {name} in {file}",
            )
        )
    elif found.grew and not found.irregular:
        note = "grew all the time"
        questions.append(
            Question(
                f"{published} grew all the time ({found.lowest:g} to {found.highest:g}): "
                "a counter, or does it warm up?",
                f"[[sensors]] {name} in {file}",
            )
        )
    elif found.constant:
        note = "never changed"
        questions.append(
            Question(
                f"{published} was {found.lowest:g} all the time: a set point, or does it stand still?",
                f"[[sensors]] {name} in {file}",
            )
        )
    elif found.switch:
        note = SWITCH
    having = [stream for stream in each.streams if published in stream.series]
    return SensorFinding(
        name=name,
        published=published,
        kept=kept,
        unit=unit,
        unit_reason=reason,
        unit_guessed=guessed,
        period_ms=found.period_ms,
        irregular=found.irregular,
        lowest=found.lowest,
        highest=found.highest,
        share=len(having) / len(each.streams),
        note=note,
    )


def _old(sensor: SensorFinding) -> SensorFinding:
    """A sensor that was only kept by the broker, while others report: in the line it would be missing for ever."""
    return replace(sensor, kept=False, note="only a retained (old) value was heard")


def _period(kept: list[Profile]) -> tuple[int, str]:
    periods = sorted(each.period_ms for each in kept if each.period_ms)
    if not periods:
        return 1_000, "a guess: too few messages to tell"
    period = periods[len(periods) // 2]
    if periods[0] == periods[-1]:
        return period, "the usual distance of two readings"
    return period, f"the usual one of the sensors, whose periods are {periods[0]} to {periods[-1]} ms"


def _hold(kept: list[Profile], period: int, *, apart: bool) -> int:
    """How long a value must be held so that no tick lacks the sensors that report more rarely than it."""
    known = [each.longest_ms if each.irregular or not each.period_ms else each.period_ms for each in kept]
    slowest = max(known, default=0)
    if slowest > 1.2 * period:
        return int(-(-1.5 * slowest // 100) * 100)
    return period if apart else 0


def _lateness(ahead: list[int], reasons: list[str]) -> int:
    if not ahead:
        return SETTLE_MS
    spread = float(np.quantile(ahead, 0.99) - np.quantile(ahead, 0.01))
    if spread <= 0.75 * SETTLE_MS or spread > LONGEST_WAIT_MS:
        return SETTLE_MS
    wait = int(-(-1.5 * spread // 500) * 500)
    reasons.append(f"readings came up to {spread / 1000:.1f} s later than others: allowed_lateness_ms = {wait}")
    return wait


def _ask_about_time(
    each: Group, kept: list[Profile], ahead: list[int], file: str, questions: list[Question]
) -> None:
    if not any(found.period_ms for found in kept):
        questions.append(
            Question(
                f"{each.name}: too few readings to tell the period; listen longer, or set it",
                f"period_ms in {file}",
            )
        )
    if any(found.irregular for found in kept):
        slow = max(found.longest_ms for found in kept if found.irregular)
        questions.append(
            Question(
                f"{each.name}: some sensors report only when something changes (up to {slow / 1000:g} s of "
                "silence); for how long is a value still true?",
                "align.hold_ms",
            )
        )
    if ahead and AHEAD_MS / 2 < (lead := float(np.median(ahead))) < ZONE_MS:
        questions.append(
            Question(
                f"{each.name}: the devices' clocks are {lead / 1000:.1f} s ahead of this host's; set the clocks, "
                "or readings are quarantined",
                'align.max_ahead_ms, or time = "arrival"',
            )
        )


def _ask_about_rare(sensors: Sequence[SensorFinding], questions: list[Question]) -> None:
    """Sensors whose period could not be told, beside others."""
    rare = [sensor.name for sensor in sensors if sensor.kept and not sensor.period_ms]
    if rare and any(sensor.kept and sensor.period_ms for sensor in sensors):
        shown = ", ".join(rare[:LISTED]) + (f" and {len(rare) - LISTED} more" if len(rare) > LISTED else "")
        questions.append(
            Question(
                f"{shown} came too rarely to tell how often; listen longer, or set for how long a value is true",
                "--listen, or align.hold_ms",
            )
        )


def _ask_about_parts(sensors: Sequence[SensorFinding], questions: list[Question]) -> None:
    """Names such as Line.Pump1.Temp and Line.Pump2.Temp may hold several assets."""
    ends: dict[str, set[str]] = {}
    for sensor in sensors:
        head, dot, end = re.sub(r"[/:|]", ".", sensor.published).rpartition(".")
        if dot:
            ends.setdefault(end, set()).add(head)
    heads = sorted({head for each in ends.values() if len(each) > 1 for head in each})
    if heads and sum(len(each) > 1 for each in ends.values()) > 1:
        shown = ", ".join(heads[:LISTED])
        questions.append(
            Question(
                f"the same sensors stand under {shown}: are these assets of their own? Here they are one; "
                "assets are told apart by topic, or by a field that names them",
                "topics, or paths.asset",
            )
        )


def _ask_about_units(sensors: Sequence[SensorFinding], file: str, questions: list[Question]) -> None:
    kept = [sensor for sensor in sensors if sensor.kept]
    for sensor in kept:
        usual = units.choices(sensor.name)
        if not sensor.unit and usual:
            seen = f"{sensor.lowest:g} to {sensor.highest:g}"
            questions.append(Question(f"{sensor.name} ({seen}): {usual}?", f"unit in {file}"))
    others = [
        sensor.name
        for sensor in kept
        if not sensor.unit and not units.choices(sensor.name) and sensor.note != SWITCH
    ]
    if others:
        shown = ", ".join(others[:LISTED]) + (f" and {len(others) - LISTED} more" if len(others) > LISTED else "")
        questions.append(Question(f"what is the unit of {shown}?", f"unit in {file}"))
    guessed = [f"{sensor.name} in {sensor.unit}" for sensor in kept if sensor.unit and sensor.unit_guessed]
    if guessed:
        shown = ", ".join(guessed[:LISTED]) + (
            f" and {len(guessed) - LISTED} more" if len(guessed) > LISTED else ""
        )
        questions.append(Question(f"units guessed from names: {shown}: right?", f"unit in {file}"))
