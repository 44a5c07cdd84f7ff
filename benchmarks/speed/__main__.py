"""Measures how fast Enginewatch is, prints the table, and keeps it.

    python -m benchmarks.speed [NAME...] [--repeats N] [--compare [FILE]] [--no-write]

NAME is a figure or a module of this package; without any, all are measured but the fleet's, which take long.
Writes `benchmarks/results.json` and the table in docs/performance.md, unless a figure breaks. With `--compare`
nothing is written: it ends with 1 where a figure is worse than the one in FILE by more than the spreads of both. A
figure that misses its bar is told, and is no failure.
"""

from __future__ import annotations

import argparse
import importlib
import os
import pkgutil
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

import benchmarks.speed
from benchmarks.speed import machine
from benchmarks.speed.figures import REPEATS, CannotRunError
from benchmarks.speed.results import Measured, Results, not_met, read, worse, write
from benchmarks.speed.table import into, markdown, row

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.speed.figures import Figure

RESULTS = Path(__file__).parents[1] / "results.json"
PAGE = Path(__file__).parents[2] / "docs" / "performance.md"
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def figures(names: Sequence[str]) -> list[Figure]:
    """The figures of all modules of the package, or of those named. Raises ValueError for unknown names."""
    found: list[Figure] = []
    known: set[str] = set()
    for each in pkgutil.iter_modules(benchmarks.speed.__path__):
        if each.name in {"__main__", "fleet_source"}:
            continue
        module = importlib.import_module(f"benchmarks.speed.{each.name}")
        offered = getattr(module, "FIGURES", ())
        known |= {each.name, *(figure.name for figure in offered)} if offered else set()
        unnamed = not names and not getattr(module, "ONLY_NAMED", False)
        found += [figure for figure in offered if unnamed or {each.name, figure.name} & set(names)]
    if unknown := set(names) - known:
        raise ValueError(f"not known: {'; '.join(sorted(unknown))}; known are {'; '.join(sorted(known))}")
    return found


def measured(chosen: Sequence[Figure], repeats: int) -> tuple[list[Measured], list[str], bool]:
    """What each figure came to, told as it goes; who is left out, with the reason; and whether any broke."""
    done, left_out, broken = [], [], False
    now = {"date": datetime.now(UTC).date().isoformat(), "commit": machine.commit()}
    for figure in chosen:
        begun = time.monotonic()
        try:
            each = Measured.of(figure, figure.pairs(repeats), **now)
        except CannotRunError as error:
            left_out.append(f"{figure.name}: left out: {error}")
            say(left_out[-1])
        except Exception as error:  # noqa: BLE001 - whatever it was: the other figures can still be measured
            broken = True
            left_out.append(f"{figure.name}: broke: {type(error).__name__}: {error}")
            say(left_out[-1])
        else:
            done.append(each)
            say(f"{row(each)}  [{time.monotonic() - begun:.0f} s]")
    return done, left_out, broken


def keep(done: Sequence[Measured], *, all_of_them: bool) -> None:
    """Write the figures into results and page, in the place of their predecessors. Raises ValueError."""
    facts = machine.facts()
    results = Results(facts, list(done))
    if not all_of_them and RESULTS.exists():
        before = read(RESULTS)
        if before.machine.get("processor") != facts["processor"]:
            raise ValueError(f"{RESULTS} is of another processor: measure all figures, or give --no-write")
        results = Results(facts, before.with_these(done))
    write(RESULTS, results)
    PAGE.write_text(into(PAGE.read_text(), markdown(results)))
    say(f"written to {RESULTS} and {PAGE}")


def say(line: str) -> None:
    """Print, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> int:
    """Measure, tell, compare, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="figures or modules of this package (all)")
    parser.add_argument("--repeats", type=int, default=REPEATS, metavar="N", help=f"pairs a figure ({REPEATS})")
    parser.add_argument("--compare", nargs="?", type=Path, const=RESULTS, metavar="FILE", help=f"({RESULTS.name})")
    parser.add_argument("--no-write", action="store_true", help="measure and tell only")
    options = parser.parse_args()
    if options.repeats < 1:
        parser.error("--repeats: give 1 or more")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("warning"))  # rooms of ours run here
    for name in ONE_THREAD:  # before the modules are imported, and numpy with them
        os.environ.setdefault(name, "1")
    try:
        before = read(options.compare) if options.compare else None
        chosen = figures(options.names)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    begun = time.monotonic()
    done, left_out, broken = measured(chosen, options.repeats)
    say(f"{len(done)} of {len(chosen)} figures in {time.monotonic() - begun:.0f} s")
    for line in [*left_out, *not_met(done)]:
        say(line)
    if before is not None:
        lines = worse(done, before, machine.facts())
        for line in lines:
            say(f"worse than before: {line}")
        return int(broken or bool(lines))
    if done and not broken and not options.no_write:
        try:
            keep(done, all_of_them=not options.names)
        except (OSError, ValueError) as error:
            parser.error(str(error))
    return int(broken)


if __name__ == "__main__":
    sys.exit(main())
