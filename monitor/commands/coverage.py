"""`enginewatch coverage`: the share of time each asset was scored, and every gap with its reason."""

from __future__ import annotations

import argparse
import re
import sys
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

from monitor.commands.common import at_least_one, clock, open_store, show, state_arguments
from monitor.coverage import coverage

if TYPE_CHECKING:
    from monitor.coverage import Coverage, Stretch

SHARES = ("asset", "scored", "of running", "watched", "not scored")
GAPS = ("asset", "from", "to", "lasted", "reason")
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    state_arguments(parser)
    parser.add_argument("asset", nargs="?", metavar="SITE/AREA/ASSET", help="only this asset")
    parser.add_argument(
        "--since", type=_span, default=86_400, metavar="TIME", help="how far back: 30m, 24h, 7d (default 24h)"
    )
    parser.add_argument(
        "-n", "--limit", type=at_least_one, default=20, metavar="N", help="how many gaps, the latest (default 20)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object an asset, with every gap")


def run(options: argparse.Namespace) -> int:
    """Show the shares, then the gaps; 1 where nothing is known of the asset or the time."""
    since = int((time.time() - options.since) * 1000)
    with closing(open_store(options)) as store:
        found = coverage(store.stretches(since, options.asset), since)
    if options.json:
        show([_json(each) for each in found], (), as_json=True)
    elif found:
        show([_share(each) for each in found], SHARES, as_json=False)
        gaps = sorted((gap for each in found for gap in each.gaps), key=lambda gap: (gap.start, gap.asset))
        if gaps:
            sys.stdout.write("\n")
            sys.stdout.flush()
            show([_gap(gap) for gap in gaps[-options.limit :]], GAPS, as_json=False)
        if len(gaps) > options.limit:
            sys.stdout.write(f"… and {len(gaps) - options.limit} gaps before (-n shows more)\n")
    if not found:
        of = f" of {options.asset}" if options.asset else ""
        sys.stderr.write(f"nothing is known{of} in this time: has the daemon made a row of it?\n")
        return 1
    return 0


def _share(each: Coverage) -> dict[str, Any]:
    running = each.share_running
    reasons = (f"{reason} {_percent(spent / each.total)}" for reason, spent in each.reasons.items())
    return {
        "asset": each.asset,
        "scored": _percent(each.share),
        "of running": "" if running is None else _percent(running),
        "watched": lasted(each.total),
        "not scored": ", ".join(reasons),
    }


def _gap(gap: Stretch) -> dict[str, Any]:
    return {
        "asset": gap.asset,
        "from": clock(gap.start),
        "to": clock(gap.end),
        "lasted": lasted(gap.end - gap.start),
        "reason": gap.reason,
    }


def _json(each: Coverage) -> dict[str, Any]:
    return {
        "asset": each.asset,
        "from": each.start,
        "to": each.end,
        "scored_ms": each.scored,
        "share": each.share,
        "share_running": each.share_running,
        "not_scored_ms": each.reasons,
        "gaps": [
            {"from": gap.start, "to": gap.end, "reason": gap.reason, "status": gap.status} for gap in each.gaps
        ],
    }


def _percent(share: float) -> str:
    """A share in words; a gap of any length is never rounded away.

    >>> _percent(0.99999), _percent(0.00001), _percent(1.0), _percent(0.5)
    ('99.9 %', '0.1 %', '100.0 %', '50.0 %')
    """
    shown = round(100 * share, 1)
    if 0 < share < 1:
        shown = min(max(shown, 0.1), 99.9)
    return f"{shown:.1f} %"


def lasted(span: int) -> str:
    """Milliseconds in words.

    >>> lasted(500), lasted(90_000), lasted(3_600_000), lasted(90_061_000)
    ('0.5 s', '1 min 30 s', '1 h 0 min', '1 d 1 h')
    """
    seconds = span / 1000
    if seconds < UNITS["m"]:
        return f"{seconds:.3g} s"
    whole = int(seconds)
    for name, unit, small, below in (("d", "d", "h", "h"), ("h", "h", "min", "m"), ("min", "m", "s", "s")):
        if whole >= UNITS[unit]:
            return f"{whole // UNITS[unit]} {name} {whole % UNITS[unit] // UNITS[below]} {small}"
    raise AssertionError(span)


def _span(text: str) -> int:
    """Seconds. Raises ArgumentTypeError."""
    match = re.fullmatch(r"(\d+)([smhd])", text)
    if match is None or not int(match[1]):
        raise argparse.ArgumentTypeError(f"{text} is no time such as 30m, 24h or 7d")
    return int(match[1]) * UNITS[match[2]]
