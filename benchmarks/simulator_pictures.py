"""The pictures of docs/simulator.md: the simulator beside a recorded car, and what it does when something changes.

    python -m benchmarks.simulator_pictures [--data FOLDER] [--out FOLDER]

FOLDER holds carobd.parquet (column `drive`, one row a second, `anomaly` 0 where nothing was injected). Without it
the pictures that need the recorded car are not drawn, and the others are. Needs the extra `pictures`; with --data
also `parquet`.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from simulator.engine import DRAWS, advance, warm_state
from simulator.faults import Fault
from simulator.fleet import Fleet
from simulator.parameters import draw_parameters
from simulator.records import SENSORS, Demand, Effects

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from monitor.records import Bool, Float64

IMAGES = Path(__file__).parent.parent / "docs" / "images"
NAMES = list(SENSORS)
SIMULATED, RECORDED, FAILING = "#0072b2", "#7f7f7f", "#d55e00"  # told apart also by the colour-blind
PERIOD_S = 0.5
BLOCK = 600  # ticks
WARM_C = 80.0
SHARED = {  # sensor -> the recorded car's column, and the edges of the histogram
    "engine_speed": ("ENGINE_RPM", np.linspace(0, 4000, 41)),
    "vehicle_speed": ("VEHICLE_SPEED", np.linspace(0, 140, 36)),
    "map": ("INTAKE_MANIFOLD_PRESSURE", np.linspace(10, 160, 51)),
    "engine_load": ("ENGINE_LOAD", np.linspace(0, 100, 41)),
    "throttle_position": ("THROTTLE", np.linspace(0, 80, 41)),
    "coolant_temperature": ("COOLANT_TEMPERATURE", np.linspace(20, 110, 46)),
    "control_module_voltage": ("CONTROL_MODULE_VOLTAGE", np.linspace(12.5, 15, 51)),
}


@dataclass(frozen=True, slots=True)
class Car:
    """The recorded car's rows without an injected fault, by the simulator's names."""

    values: dict[str, Float64]  # (R,) each
    drive: list[str]  # of each row


def recorded(folder: Path) -> Car:
    """Read the recorded car."""
    import pyarrow.parquet as pq  # noqa: PLC0415 - an optional extra, and most pictures do without it

    table = pq.read_table(folder / "carobd.parquet")
    normal = np.asarray(table["anomaly"]) == 0
    values = {name: np.asarray(table[column], float)[normal] for name, (column, _) in SHARED.items()}
    drives = table["drive"].to_pylist()
    return Car(values, [drives[row] for row in np.flatnonzero(normal)])


def simulated(fleet: Fleet, minutes: float) -> dict[str, Float64]:
    """(T, N) of each sensor; NaN while an engine does not run."""
    left, blocks = round(minutes * 60 / PERIOD_S), []
    while left:
        block = fleet.block(min(left, BLOCK))
        blocks.append(np.where(block.running[:, :, None], block.values, np.nan))
        left -= len(block.time)
    values = np.concatenate(blocks)
    return {name: values[:, :, column].astype(float) for column, name in enumerate(NAMES)}


def distributions(car: Car) -> Figure:
    """The shared sensors of 10 urban, 3 motorway and 6 idling engines from cold, and of the recorded car."""
    parts = [
        simulated(Fleet(engines, seed=11, duty=duty, start="cold", ambient=27.0), 60)
        for duty, engines in (("urban", 10), ("motorway", 3), ("idle", 6))
    ]
    figure, axes = _panels(2, 4, 11.0, 5.2)
    for axis, (name, (_, edges)) in zip(axes.flat, SHARED.items(), strict=False):
        ours = np.concatenate([part[name].ravel() for part in parts])
        for values, colour, label in (
            (car.values[name], RECORDED, "recorded car"),
            (ours, SIMULATED, "simulated"),
        ):
            counts = np.histogram(values, edges)[0] / len(values) * 100
            axis.stairs(
                counts, edges, color=colour, fill=colour == RECORDED, alpha=0.8, label=label, linewidth=1.3
            )
        axis.set_xlabel(_label(name))
    for axis in axes[:, 0]:
        axis.set_ylabel("% of readings")
    axes.flat[-1].axis("off")
    axes.flat[-1].legend(*axes.flat[0].get_legend_handles_labels(), loc="center", frameon=False)
    return figure


def relations(car: Car) -> Figure:
    """How sensors go together: the gears, and the air for the load."""
    parts = [simulated(Fleet(6, seed=12, duty=duty), 60) for duty in ("urban", "motorway")]
    pairs = (("vehicle_speed", "engine_speed"), ("map", "engine_load"), ("throttle_position", "map"))
    figure, axes = _panels(2, 3, 10.0, 5.6)
    random = np.random.default_rng(1)
    for column, (across, up) in enumerate(pairs):
        ours = {name: np.concatenate([part[name].ravel() for part in parts]) for name in (across, up)}
        for axis, values, colour in zip(axes[:, column], (car.values, ours), (RECORDED, SIMULATED), strict=True):
            some = random.choice(len(values[across]), 4000, replace=False)
            axis.plot(values[across][some], values[up][some], ".", color=colour, markersize=1.5)
            axis.set_xlabel(_label(across))
            axis.set_ylabel(_label(up))
        axes[1, column].sharex(axes[0, column])
        axes[1, column].sharey(axes[0, column])
    axes[0, 1].set_title("recorded car")
    axes[1, 1].set_title("simulated")
    return figure


def load_step() -> Figure:
    """A genset's true values when its load goes from 3 to 18 kW within two seconds, in ticks of a tenth."""
    period, before, after = 0.1, 60.0, 40.0
    time = np.arange(-before, after, period)
    shape = (len(time), 1)
    demand = Demand(
        running=np.ones(shape, bool),
        vehicle_speed=np.zeros(shape),
        shaft_power=np.interp(time, [0.0, 2.0], [3.0, 18.0])[:, None],
        ambient_temperature=np.full(shape, 20.0),
        ambient_pressure=np.full(shape, 101.325),
    )
    own = draw_parameters([np.random.default_rng(0)], spread=0.0)
    truth = advance(
        warm_state(1, own), own, demand, Effects.healthy(*shape), period, np.zeros((*shape, DRAWS))
    )  # (T, 1, C)
    shown = ("torque", "engine_speed", "map", "throttle_position", "fuel_rate", "exhaust_gas_temperature")
    figure, axes = _panels(2, 3, 10.0, 4.6)
    seen = time > -5  # noqa: PLR2004 - seconds of rest before the step
    for axis, name in zip(axes.flat, shown, strict=True):
        axis.plot(time[seen], truth[seen, 0, NAMES.index(name)], color=SIMULATED)
        axis.set_title(_label(name), fontsize=9)
    for axis in axes[-1]:
        axis.set_xlabel("s after the step")
    return figure


def cold_start(car: Car | None) -> Figure:
    """From cold: the coolant beside the recorded car's warm-ups, the oil, its pressure, and the idle speed."""
    figure, axes = _panels(1, 4, 12.0, 3.2)
    minutes = np.arange(round(30 * 60 / PERIOD_S)) * PERIOD_S / 60
    for duty, colour in (("urban", SIMULATED), ("idle", FAILING)):
        values = simulated(Fleet(6, seed=13, duty=duty, start="cold", ambient=27.0), 30)
        axes[0].plot(minutes, values["coolant_temperature"], color=colour, linewidth=0.9, zorder=3)
        axes[1].plot(minutes, values["oil_temperature"], color=colour, linewidth=0.9)
        axes[1].plot([], [], color=colour, label=duty)
    idling = simulated(Fleet(1, seed=13, duty="idle", start="cold", ambient=0.0), 30)
    axes[2].plot(minutes, idling["oil_pressure"], color=FAILING, linewidth=0.6)
    axes[3].plot(minutes, idling["engine_speed"], color=FAILING, linewidth=0.6)
    if car is not None:
        for course, moving in _warm_ups(car):
            axes[0].plot(
                np.arange(len(course)) / 60, course, color=RECORDED, linewidth=0.7, ls="-" if moving else ":"
            )
    shown = ("coolant_temperature", "oil_temperature", "oil_pressure", "engine_speed")
    for axis, name in zip(axes, shown, strict=True):
        axis.set_title(_label(name), fontsize=9)
        axis.set_xlabel("min after a cold start")
    if car is not None:
        axes[1].plot([], [], color=RECORDED, label="recorded, driven")
        axes[1].plot([], [], color=RECORDED, linestyle=":", label="recorded, idling")
    axes[1].legend(frameon=False, fontsize=8, loc="lower right")
    axes[0].set_xlim(0, 30)
    return figure


def _warm_ups(car: Car) -> list[tuple[Float64, bool]]:
    """The coolant (R,) of the recorded drives that begin below 32 °C and get warm, and whether the car moves."""
    drives = np.asarray(car.drive)
    found = []
    for drive in sorted(set(car.drive)):
        rows = drives == drive
        course = car.values["coolant_temperature"][rows]
        if course[0] < 32 and course.max() > WARM_C:  # noqa: PLR2004 - °C, at or near the surroundings
            end = int(np.argmax(course > WARM_C)) + 300
            mean_speed = car.values["vehicle_speed"][rows][:end].mean()  # km/h
            found.append((course[:end], bool(mean_speed > 5)))  # noqa: PLR2004 - faster than it is moved about
    return found


def faults() -> Figure:
    """Two faults of the same two engines on the same drives, with and without."""
    begin = 300_000  # ms
    wrong = (Fault(0, "misfire", "severe", begin), Fault(1, "manifold_leak", "mild", begin))
    shown = (
        ("misfire, severe", ("vibration_rms", "fuel_rate", "exhaust_gas_temperature")),
        ("manifold leak, 3 mm²", ("maf", "throttle_position", "lambda")),
    )
    healthy, failing = (simulated(Fleet(2, seed=14, duty="urban", faults=chosen), 10) for chosen in ((), wrong))
    minutes = np.arange(len(healthy["map"])) * PERIOD_S / 60
    figure, axes = _panels(2, 3, 10.0, 4.6)
    for row, (title, names) in enumerate(shown):
        for axis, name in zip(axes[row], names, strict=True):
            seen = _between(minutes, 4.5, 8.0)
            axis.plot(minutes[seen], failing[name][seen, row], color=FAILING, linewidth=0.9, label="failing")
            axis.plot(minutes[seen], healthy[name][seen, row], color=SIMULATED, linewidth=0.9, label="healthy")
            axis.axvline(begin / 60_000, color="black", linewidth=0.6, linestyle=":")
            axis.set_title(f"{title}: {_label(name)}", fontsize=9)
    axes[0, 0].legend(frameon=False, fontsize=8)
    for axis in axes[-1]:
        axis.set_xlabel("min")
    return figure


def _between(values: Float64, low: float, high: float) -> Bool:
    return (values >= low) & (values <= high)


def _label(name: str) -> str:
    unit = SENSORS[name]
    return name.replace("_", " ") + (f", {unit}" if unit != "1" else "")


def _panels(rows: int, columns: int, width: float, height: float) -> tuple[Figure, Any]:
    import matplotlib as mpl  # noqa: PLC0415 - an optional extra, which nothing else needs

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415 - as above

    figure, axes = plt.subplots(rows, columns, figsize=(width, height), layout="constrained")
    for axis in np.ravel(axes):
        _plain(axis)
    return figure, axes


def _plain(axis: Axes) -> None:
    axis.spines[["top", "right"]].set_visible(False)
    axis.tick_params(labelsize=8)
    axis.xaxis.label.set_fontsize(9)
    axis.yaxis.label.set_fontsize(9)


def main() -> int:
    """Draw them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="the recorded car's")
    parser.add_argument("--out", type=Path, default=IMAGES, metavar="FOLDER", help="where to (docs/images)")
    options = parser.parse_args()
    car = None if options.data is None else recorded(options.data)
    options.out.mkdir(parents=True, exist_ok=True)
    pictures = {"cold-start": cold_start(car), "load-step": load_step(), "faults": faults()}
    if car is not None:
        pictures |= {"distributions": distributions(car), "relations": relations(car)}
    for name, figure in pictures.items():
        path = options.out / f"simulator-{name}.png"
        figure.savefig(path, dpi=80, pil_kwargs={"optimize": True})
        sys.stdout.write(f"{path} {path.stat().st_size / 1000:.0f} kB\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
