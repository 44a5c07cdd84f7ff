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
from monitor.commands.asking import question
from monitor.commands.assets import known
from monitor.commands.common import open_store, state_arguments, state_folder
from monitor.overview import Fleet
from monitor.printable import json_line
from monitor.wording import duration

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from pathlib import Path

    from monitor.overview import View

EVERY_S = 1.0
COLUMNS = ("asset", "status", "score", "threshold", "sensor", "incidents", "scored", "heard", "class")
# What a narrow terminal has no room for, the first of these first; asset, status and score stay.
DROPPED = ("class", "heard", "scored", "sensor", "threshold", "incidents")
GAP = 2  # between columns
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
            return fleet.look(rows, time.monotonic(), standing(folder))

        if options.json:
            sys.stdout.write(json_line(look()) + "\n")
        elif options.once or not sys.stdout.isatty():
            _print(look())
        else:
            _live(look)
    return 0


def standing(folder: Path) -> dict[str, Any]:
    """What the running daemon says of itself; nothing where none runs, or one that does not know the question."""
    try:
        answer = question(folder, "standing")
    except UserError:
        return {}
    found: dict[str, Any] = answer["answer"] if answer["done"] else {}
    return found


def _print(view: View) -> None:
    """One screen, as wide as its lines are, but no wider than a terminal."""
    console = Console(highlight=False, markup=False, emoji=False, width=None if sys.stdout.isatty() else 10_000)
    with console.capture() as written:
        console.print(screen(view, console))
    sys.stdout.write("".join(f"{line.rstrip()}\n" for line in written.get().splitlines()))


def _live(look: Any) -> None:
    """Until q or Ctrl-C. A daemon that is away is waited for."""
    console = Console(highlight=False, markup=False, emoji=False)
    last: Any = Text("looking")
    alive = Live(console=console, screen=True, auto_refresh=False)
    with suppress(KeyboardInterrupt), _keys() as key, alive as live:
        while True:
            try:
                last = screen(look(), console, height=console.height)
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


def screen(view: View, console: Console, *, height: int | None = None) -> Group:
    """Lines about the whole, and a table of as many assets as there is room for: what needs somebody first."""
    head = list(_head(view))
    rows = len(view.assets)
    if height is not None:
        taken = sum(len(line.wrap(console, console.width)) for line in head)
        rows = max(0, min(rows, height - taken - 2))  # the names of the columns, and how many more there are
    lines: list[Any] = [*head, _table(view.assets[:rows], console.width)]
    if len(view.assets) > rows:
        lines.append(Text(f"and {len(view.assets) - rows} more", style="dim"))
    return Group(*lines)


def _head(view: View) -> Iterator[Text]:
    yield _summary(view)
    yield Text(view.watched, style="yellow" if view.broker else "")
    if view.trouble and view.trouble != view.broker:  # which that says by itself
        yield Text(view.trouble, style="yellow")
    told = [text for text in (view.trouble, view.broker, view.canary) if text]
    yield from (Text(each, style="yellow") for each in view.reasons if not each.endswith(tuple(told)))


def _table(assets: list[dict[str, Any]], width: int) -> Table:
    """The columns that fit, each as wide as what stands in it."""
    now = time.time_ns() // 1_000_000
    cells = [dict(zip(COLUMNS, _cells(row, now), strict=True)) for row in assets]
    wide = {name: max(len(name), *(each[name].cell_len for each in cells), 0) for name in COLUMNS}
    kept = list(COLUMNS)
    for name in DROPPED:
        if sum(wide[each] for each in kept) + GAP * (len(kept) - 1) <= width:
            break
        kept.remove(name)
    table = Table(box=None, header_style="bold", pad_edge=False)
    numbers = {"score", "threshold", "incidents", "scored"}
    for name in kept:
        table.add_column(name, no_wrap=True, justify="right" if name in numbers else "left")
    for each in cells:
        table.add_row(*(each[name] for name in kept))
    return table


def _summary(view: View) -> Text:
    count = len(view.assets)
    parts = [Text(f"{count} asset{'' if count == 1 else 's'}")]
    waiting = view.incidents - view.shelved
    plural = "" if waiting == 1 else "s"
    parts.append(Text(f"{waiting} open incident{plural}", style="bold red" if waiting else "green"))
    if view.shelved:
        parts.append(Text(f"{view.shelved} shelved"))
    parts += [Text(f"{rate:.0f} {name}/s") for name, rate in view.rates.items()]
    if view.scored is not None:
        parts.append(Text(f"scored {math.floor(100 * view.scored)} % of the last 24 h"))
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
