"""The README's picture of the demo, from a real run in a terminal of its own.

    python -m benchmarks.demo_capture [--out docs/demo.svg] [--alerts 3]

Runs `enginewatch demo` in a pseudo-terminal until so many alerts stand on the screen, takes what the screen shows
then, and ends the demo as Ctrl-C does. Nothing is drawn or changed by hand.
"""

from __future__ import annotations

import argparse
import fcntl
import io
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
from pathlib import Path

from rich.console import Console
from rich.text import Text

COLUMNS, ROWS = 100, 40
LIMIT_S = 300.0
AFTER_S = 2.0  # the status line follows the last alert
ALERT = re.compile(r"\d\d:\d\d:\d\d.*(ALERT|SENSOR)")
CONTROL = re.compile(r"\x1b\[(\??[\d;]*)([A-Za-z])|\r|\n")
COMMAND = str(Path(sys.executable).with_name("enginewatch"))


class Terminal:
    """As much of a terminal as the demo uses: lines, and going back to write one anew."""

    def __init__(self) -> None:
        self.lines = [""]  # with their colours, as escape sequences
        self._row = 0

    def feed(self, text: str) -> None:
        """Take in some output; a control sequence must not be cut."""
        place = 0
        for found in CONTROL.finditer(text):
            self._write(text[place : found.start()])
            place = found.end()
            amount, letter = found.groups()
            if found[0] == "\n":
                self._row += 1
                self.lines += [""] * (self._row + 1 - len(self.lines))
            elif letter == "m":
                self._write(found[0])
            elif letter == "A":
                self._row = max(0, self._row - int(amount or 1))
            elif letter == "K":
                self.lines[self._row] = ""
        self._write(text[place:])

    def _write(self, text: str) -> None:
        self.lines[self._row] += text


def record(arguments: list[str], alerts: int) -> list[str]:
    """What the screen shows when so many alerts have come."""
    child, screen = pty.fork()
    if child == 0:
        os.environ["TERM"] = "xterm-256color"
        os.environ["PATH"] = f"{Path(COMMAND).parent}:{os.environ['PATH']}"  # as in an activated environment
        os.environ["COLUMNS"], os.environ["LINES"] = str(COLUMNS), str(ROWS)
        os.execv(COMMAND, [COMMAND, "demo", *arguments])  # noqa: S606 - no shell is wanted
    fcntl.ioctl(screen, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    terminal = Terminal()
    until, took = time.monotonic() + LIMIT_S, False
    shown: list[str] = []
    while data := _read(screen):
        terminal.feed(data)
        seen = sum(ALERT.search(line) is not None for line in terminal.lines)
        if not took and seen >= alerts:
            took, until = True, time.monotonic() + AFTER_S
        if not shown and time.monotonic() > until:
            shown = terminal.lines.copy()
            os.kill(child, signal.SIGINT)
    _, status = os.waitpid(child, 0)
    if not took or os.waitstatus_to_exitcode(status):
        raise SystemExit("the demo did not show it:\n" + "\n".join(terminal.lines))
    return shown


def _read(screen: int) -> str:
    """The next whole piece of output; empty at the end."""
    data = b""
    while True:
        ready, _, _ = select.select([screen], [], [], 0.05)
        if data and not ready:
            return data.decode()
        if ready:
            try:
                piece = os.read(screen, 1 << 16)
            except OSError:  # the other side has closed it
                piece = b""
            if not piece:
                return data.decode()
            data += piece


def picture(lines: list[str]) -> str:
    """The lines as SVG."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    for line in lines:
        console.print(Text.from_ansi(line), soft_wrap=True)
    svg = console.export_svg(title="enginewatch demo")
    return re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL)  # nothing is fetched from elsewhere


def main() -> None:
    """Run it and write the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("docs/demo.svg"))
    parser.add_argument("--alerts", type=int, default=3, help="taken when so many stand there (%(default)s)")
    parser.add_argument("rest", nargs="*", help="arguments of the demo, after --")
    options = parser.parse_args()
    lines = record(options.rest, options.alerts)
    options.out.write_text(picture(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
