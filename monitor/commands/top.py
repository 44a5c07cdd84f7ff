"""`enginewatch top`: the fleet in the terminal, alive; or one screen of it for scripts."""

from __future__ import annotations

import math
import select
import sys
import termios
import time
import tty
from contextlib import closing, contextmanager, suppress
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from monitor.cli import UserError
from monitor.commands.assets import known
from monitor.commands.common import open_store, state_arguments, state_folder
from monitor.fleet import Fleet
from monitor.printable import json_line
from monitor.wording import duration

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from monitor.fleet import View

EVERY_S = 1.0
COLUMNS = ("asset", "status", "score", "threshold", "sensor", "incidents", "scored", "heard", "class")
BESIDE = 5  # lines of the screen that are no assets
STYLES = {
    "silent": "yellow",
    "offline": "dim",
    "maintenance": "cyan",
    "no model": "dim",
    "learning": "cyan",
    "relearning": "cyan",
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    state_arguments(parser)
    parser.add_argument("--once", action="store_true", help="print one screen with every asset, and end")
    parser.add_argument("--asset", metavar="GLOB", default="*", help="only assets (site/area/asset) that match")
    parser.add_argument("--json", action="store_true", help="one JSON object with everything (implies --once)")


def run(options: argparse.Namespace) -> int:
    """Show until q or Ctrl-C; exit code 0."""
    folder = state_folder(options)
    with closing(open_store(options)) as store:
        fleet = Fleet(store)

        def look() -> View:
            rows = [row for row in known(folder) if fnmatchcase(row["asset"], options.asset)]
            return fleet.look(rows, time.monotonic())

        if options.json:
            sys.stdout.write(json_line(look()) + "\n")
        elif options.once or not sys.stdout.isatty():
            _print(look())
        else:
            _live(look)
    return 0


def _print(view: View) -> None:
    """One screen, as wide as its lines are."""
    console = Console(highlight=False, markup=False, emoji=False, width=None if sys.stdout.isatty() else 10_000)
    with console.capture() as written:
        console.print(screen(view, rows=len(view.assets)))
    sys.stdout.write("".join(f"{line.rstrip()}\n" for line in written.get().splitlines()))


def _live(look: Any) -> None:
    """Until q or Ctrl-C. A daemon that is away is waited for."""
    console = Console(highlight=False, markup=False, emoji=False)
    last: Any = Text("looking")
    alive = Live(console=console, screen=True, auto_refresh=False)
    with suppress(KeyboardInterrupt), _keys() as key, alive as live:
        while True:
            try:
                last = screen(look(), rows=console.height - BESIDE)
            except UserError as error:
                last = Group(Text(str(error), style="red"), last)
            live.update(last, refresh=True)
            if key(EVERY_S) == "q":
                return


@contextmanager
def _keys() -> Iterator[Any]:
    """Single keys without Enter; the terminal is as it was afterwards."""
    if not sys.stdin.isatty():
        yield time.sleep
        return
    before = termios.tcgetattr(sys.stdin)
    tty.setcbreak(sys.stdin)

    def key(seconds: float) -> str:
        return sys.stdin.read(1) if select.select([sys.stdin], [], [], seconds)[0] else ""

    try:
        yield key
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def screen(view: View, *, rows: int) -> Group:
    """A line about the whole, and a table of the assets: what needs somebody first."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    numbers = {"score", "threshold", "incidents", "scored"}
    for name in COLUMNS:
        table.add_column(name, no_wrap=True, justify="right" if name in numbers else "left")
    now = time.time_ns() // 1_000_000
    for row in view.assets[:rows]:
        table.add_row(*_cells(row, now))
    lines: list[Any] = [_summary(view)]
    if view.trouble:
        lines.append(Text(view.trouble, style="yellow"))
    if view.assets and any(row["status"] != "watched" for row in view.assets):
        lines.append(Text(view.watched))
    lines.append(table)
    if len(view.assets) > rows:
        lines.append(Text(f"and {len(view.assets) - rows} more", style="dim"))
    return Group(*lines)


def _summary(view: View) -> Text:
    count = len(view.assets)
    parts = [Text(f"{count} asset{'' if count == 1 else 's'}")]
    plural = "" if view.incidents == 1 else "s"
    parts.append(Text(f"{view.incidents} open incident{plural}", style="bold red" if view.incidents else "green"))
    parts += [Text(f"{rate:.0f} {name}/s") for name, rate in view.rates.items()]
    parts += [Text(f"lag {sink} {lag}", style="yellow" if lag else "") for sink, lag in view.lags.items()]
    if view.canary:
        parts.append(Text(view.canary))
    return Text(" · ").join(parts)


def _cells(row: dict[str, Any], now: int) -> list[Text]:
    score, threshold = row["score"], row["threshold"]
    over = score is not None and threshold is not None and score > threshold
    status = str(row["status"])
    return [
        Text(row["asset"]),
        Text(status, style=STYLES.get(status, "")),
        Text("" if score is None else f"{score:.2f}", style="red" if over else ""),
        Text("" if threshold is None else f"{threshold:.2f}"),
        Text(row["sensor"] or ""),
        Text(str(row["incidents"] or ""), style="bold red"),
        Text(_covered(row["coverage"])),
        Text("" if row["heard"] is None else f"{duration(max(now - row['heard'], 0))} ago"),
        Text(row["class"]),
    ]


def _covered(coverage: dict[str, Any] | None) -> str:
    """The share of the last day that it was scored: whole only where nothing is missing."""
    return "" if coverage is None else f"{math.floor(100 * coverage['share'])} %"
