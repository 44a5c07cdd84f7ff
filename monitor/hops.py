"""The way of a reading, hop by hop: what is known of each, judged and in words. Pure.

Every hop has a state: `good`; `idle`, where nothing comes its way; `degraded`, where something beside the work is
missing; `failed`; `off`, where the settings do without it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from monitor.health import livez

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from monitor.budget import Level
    from monitor.health import Figures, Vitals

BEHIND = 100  # records that the line may be behind for a moment


class HopState(StrEnum):
    """How a hop is."""

    GOOD = "good"
    IDLE = "idle"
    DEGRADED = "degraded"
    FAILED = "failed"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Hop:
    """One of them."""

    name: str
    does: str  # what it is there for
    state: HopState
    said: str = ""  # what there is to say of it, the error first
    rate: float | None = None  # of `unit` a second; None: not known yet, or it has none
    unit: str = ""
    lag: int | None = None  # of `waiting`, which it has not passed on yet
    waiting: str = ""
    error: str = ""  # the last one, also where it is over
    error_at: int | None = None  # epoch ms


@dataclass(frozen=True, slots=True)
class Beside:
    """What is known beside vitals and figures."""

    rates: Mapping[str, float | None] = field(
        default_factory=dict
    )  # "messages", "records", "values", "rows", "lines"
    errors: Mapping[str, tuple[str, int]] = field(default_factory=dict)  # hop: the last error, and when
    not_scoring: str = ""  # where the readings stopped, while nothing is scored
    broker: str = ""  # host:port
    http: str = ""  # its address
    still_s: float = 0.0  # for which the live page was told of nothing, where that is too long
    influx: bool = False  # whether the settings have one
    levels: Mapping[str, Level] = field(default_factory=dict)  # "store", "journal", "disk": as looked at last


def hops(vitals: Vitals, figures: Figures, beside: Beside) -> list[Hop]:
    """All of them, in the order in which a reading passes them."""
    return [*_in(vitals, figures, beside), *_line(vitals, figures, beside), *_out(vitals, figures, beside)]


def _in(vitals: Vitals, figures: Figures, beside: Beside) -> Iterator[Hop]:
    age = figures.packet_age_s
    heard = "" if age is None else f"last heard {age:.0f} s ago" if age >= 1 else "heard just now"
    again = f"{figures.reconnects} reconnections" if figures.reconnects else ""
    yield _hop(
        "broker", "delivers the messages", beside, wrong=vitals.broker, said=_listed(beside.broker, heard, again)
    )
    yield _hop(
        "receive",
        "takes them, and acknowledges what is kept",
        beside,
        wrong="paused, because the line is too far behind (store.journal_max_bytes)" if vitals.paused else "",
        rate="messages",
        said=_listed(
            f"{figures.stale_acks} acknowledgements came after their connection had ended"
            if figures.stale_acks
            else ""
        ),
    )
    full = (
        "the disk is full, so nothing is acknowledged: make room in daemon.state_dir" if vitals.disk_full else ""
    )
    yield _hop(
        "journal", "keeps them on the disk", beside, wrong=full, said=_level(beside, "journal"), rate="records"
    )


def _line(vitals: Vitals, figures: Figures, beside: Beside) -> Iterator[Hop]:
    books = figures.books
    refused = (books or {}).get("refused")
    letters = figures.dead_letters_kept
    yield _hop(
        "decode",
        "reads values out of them",
        beside,
        rate="values",
        light=f"refused on {refused[0]}: {refused[1]}" if refused else "",
        said=f"{letters} dead letters are kept" if letters else "",
    )
    dead = "; ".join(livez(vitals)[1]["reasons"])  # type: ignore[arg-type]  # they are texts
    behind = figures.backlog_records
    yield _hop(
        "line",
        "aligns, windows, scores and judges them",
        beside,
        wrong=dead,
        light=beside.not_scoring
        or (f"{behind} records behind" if behind > BEHIND else "")
        or (f"no model yet for class {', '.join(vitals.unmodelled)}" if vitals.unmodelled else ""),
        rate="rows",
        lag=behind,
        waiting="records",
    )
    yield _hop(
        "store",
        "keeps scores and incidents",
        beside,
        wrong=vitals.store,
        light=_near(beside),
        said=_level(beside, "store"),
    )


def _out(vitals: Vitals, figures: Figures, beside: Beside) -> Iterator[Hop]:
    if beside.influx:
        dead = figures.influx_dead_letters
        yield _hop(
            "influx",
            "sends scores and incidents to InfluxDB",
            beside,
            light=vitals.influx and f"InfluxDB gets nothing, the rows are kept: {vitals.influx}",
            said=f"{dead} lines were refused and are dead letters" if dead else "",
            rate="lines",
            lag=figures.lag.get("influx"),
            waiting="batches and transitions",
        )
    else:
        yield Hop("influx", "sends scores and incidents to InfluxDB", HopState.OFF, "influx.url is not set")
    yield _hop(
        "notify",
        "tells subscribers of incidents",
        beside,
        light=vitals.notify and f"subscribers get nothing, it is kept: {vitals.notify}",
        lag=figures.lag.get("notify"),
        waiting="transitions",
    )
    for name, error in vitals.channels.items():
        sent = figures.channel_messages.get(name, 0)
        yield _hop(
            f"channel {name}",
            "tells people or another system",
            beside,
            light=error and f"kept until it gets through: {error}",
            said=f"{sent} messages taken since the daemon started" if sent else "",
            lag=figures.lag.get(f"channel:{name}"),
            waiting="transitions",
        )
    still = f"the live stream has told nothing for {beside.still_s:.0f} s" if beside.still_s else ""
    yield _hop("http", "serves this page", beside, light=still, said=beside.http)


def _hop(
    name: str,
    does: str,
    beside: Beside,
    *,
    wrong: str = "",
    light: str = "",
    said: str = "",
    rate: str = "",
    lag: int | None = None,
    waiting: str = "",
) -> Hop:
    """`wrong` makes it failed, `light` degraded; a rate of 0 makes it idle."""
    found = beside.rates.get(rate)
    state = HopState.FAILED if wrong else HopState.DEGRADED if light else HopState.GOOD
    if state is HopState.GOOD and rate and found == 0 and not lag:
        state = HopState.IDLE
    error, at = beside.errors.get(name, ("", None))
    return Hop(name, does, state, _listed(wrong, light, said), found, rate, lag, waiting, error, at)


def _listed(*texts: str) -> str:
    return "; ".join(text for text in texts if text)


def _level(beside: Beside, name: str) -> str:
    level = beside.levels.get(name)
    return "" if level is None else f"{_size(level.used)} of {_size(level.limit)}"


def _near(beside: Beside) -> str:
    near = [name for name, level in beside.levels.items() if level.near]
    return f"the bound of {' and '.join(near)} is near" if near else ""


def _size(count: float) -> str:
    """Bytes as people read them.

    >>> _size(999), _size(1_500_000)
    ('999 B', '1.5 MB')
    """
    for unit in ("B", "kB", "MB"):
        if count < 1000:  # noqa: PLR2004 - of the next unit one
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} GB"
