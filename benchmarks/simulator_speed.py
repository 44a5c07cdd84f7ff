"""How fast the simulator is: readings of an engine (rows of all its sensors) made in a second of one core.

    OMP_NUM_THREADS=1 python -m benchmarks.simulator_speed [--repeats N]

The whole way is timed: duty, physics, sensors and noise, of a mixed fleet at 2 Hz, block after block. Time is
the process's own (user and system), so that other work on the machine does not count as the simulator's; what it
takes from shared caches still does. Prints the median, the slowest and the fastest of the repeats as JSON.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time

from simulator.fleet import Fleet

FLEETS = (12, 100, 1000)  # engines
TICKS = 120  # of a block, a minute


def rates(engines: int, repeats: int) -> list[float]:
    """Engine-readings a second of one core, of each repeat."""
    fleet = Fleet(engines)
    measured = []
    for _ in range(repeats):
        begun = time.process_time()
        fleet.block(TICKS)
        measured.append(engines * TICKS / (time.process_time() - begun))
    return measured


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5, metavar="N", help="of each size of the fleet (5)")
    options = parser.parse_args()
    if options.repeats < 1:
        parser.error("--repeats: give 1 or more")
    for engines in FLEETS:
        measured = rates(engines, options.repeats)
        figures = {
            "engines": engines,
            "median": round(statistics.median(measured)),
            "slowest": round(min(measured)),
            "fastest": round(max(measured)),
        }
        sys.stdout.write(json.dumps(figures) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
