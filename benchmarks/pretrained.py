"""Makes the model that comes with the package, and judges it.

    python -m benchmarks.pretrained build [--out FOLDER]     train it, judge it, write its card
    python -m benchmarks.pretrained judge [--out FOLDER]     judge it again, and write its card
    python -m benchmarks.pretrained landscape [--out FOLDER] lay its landscape again, of the same training data
    python -m benchmarks.pretrained verify                   build it again elsewhere and compare

`build` needs the extra `train`, a quarter of an hour to train and half an hour of two cores to judge. The same
machine and libraries give the same model bit for bit; others give an equivalent one, which is what `verify` asks:
scores of the same windows within TOLERANCE.
"""

from __future__ import annotations

import argparse
import datetime as dt
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.pretrained_data import JUDGING_SEEDS, PERIOD_MS, training_data
from benchmarks.pretrained_judge import judged
from benchmarks.pretrained_report import chapters, judged_card
from config.files import load_asset_file
from models import training
from models.artifact import CARD, write_whole
from models.card import Origin, save_trained
from models.landscape import learn
from models.landscape_file import lay_landscape, load_landscape
from models.runtime import load_model
from monitor.commands.recorded_windows import windows_of
from simulator.fleet import Fleet
from simulator.recording import data_hash
from simulator.records import SENSORS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.split import Run
    from simulator.recording import Recording

HOME = Path(__file__).parent.parent
MODEL = HOME / "models" / "pretrained" / "engine"
ASSET_FILE = HOME / "config" / "assets" / "engine.toml"
# One window in a thousand above 1.0 is too many for engines whose load changes every few seconds: neighbours go
# together, and make incidents.
CONFIG = training.TrainingConfig(hidden=32, latent=6, epochs=70, stride=30, patience=70, stricter=1.75)
WINDOW = 60
DAYS = 10.0
FAR = 0.01  # of a point of the landscape, in standard deviations: numerics only, the weights are the same
TOLERANCE = 0.25  # of the score, relative: median over normal windows, between two trainings


def build(out: Path, *, days: float, epochs: int | None = None, keep: Path | None = None) -> None:
    """Train and judge; after every epoch `keep` holds the training's state, from which it goes on."""
    recordings = training_data()
    runs = _runs(recordings)
    config = CONFIG if epochs is None else replace(CONFIG, epochs=epochs)
    trained = training.train(
        runs,
        config,
        lambda epoch: _say(f"epoch {epoch.number}: {epoch.stop_loss:.5f}"),
        keep=(lambda _state: None) if keep is None else (lambda state: write_whole(keep, state)),
        resume=keep.read_bytes() if keep is not None and keep.exists() else None,
        sensors=tuple(SENSORS),
    )
    asset = load_asset_file(ASSET_FILE)
    origin = Origin(
        name="engine",
        created=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        sensors=tuple(SENSORS),
        units=tuple(sensor.unit for sensor in asset.sensors),
        period_ms=PERIOD_MS,
        data_sha256=data_hash(recordings),
        assets=len(recordings),
        rows=sum(len(each.time) for each in recordings),
    )
    save_trained(out, trained, config, origin)
    lay_landscape(out, runs)
    if days:
        judge(out, days)


def judge(folder: Path, days: float) -> None:
    """Find out what the model finds, and write it into its card in place of what stood there."""
    text = chapters(*judged(folder, JUDGING_SEEDS, days))
    card = folder / CARD
    card.write_text(judged_card(card.read_text(encoding="utf-8"), text), encoding="utf-8")


def verify() -> bool:
    """Whether a model built anew scores as the one that ships."""
    fleet = Fleet(16, seed=JUDGING_SEEDS[-1], period_ms=PERIOD_MS)
    values = fleet.block(20 * WINDOW).values  # (T, N, C)
    windows = np.concatenate([values[i : i + WINDOW].transpose(1, 0, 2) for i in range(0, len(values), WINDOW)])
    with tempfile.TemporaryDirectory() as name:
        build(Path(name), days=0)
        ours, theirs = (load_model(folder).score(windows)[2] for folder in (MODEL, Path(name)))
    difference = float(np.median(np.abs(np.log(ours / theirs))))
    _say(f"median relative difference of {len(windows)} scores: {difference:.4f} (allowed {TOLERANCE})")
    return difference <= TOLERANCE


def _landscape_holds() -> bool:
    """Whether the landscape that ships is that of its training data."""
    model = load_model(MODEL)
    ours, theirs = load_landscape(MODEL, model.header), learn(model, _runs(training_data()), model.header.hash)
    assert ours is not None
    assert theirs is not None
    pairs = [(ours.operation, theirs.operation), (ours.deviation, theirs.deviation)]
    difference = max(float(np.abs(np.subtract(a.points, b.points)).max()) for a, b in pairs)
    _say(f"largest difference of a point of its landscape: {difference:.4f} (allowed {FAR})")
    return difference <= FAR


def _runs(recordings: Sequence[Recording]) -> list[Run]:
    """The windows that it is trained on."""
    return windows_of(recordings, period_ms=PERIOD_MS, window=WINDOW)


def main() -> int:
    """Run one of the commands."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("build", "judge", "landscape", "verify"))
    parser.add_argument("--out", type=Path, default=MODEL)
    parser.add_argument("--days", type=float, default=DAYS, help="engine-days for the false alarms (%(default)s)")
    parser.add_argument("--epochs", type=int, help="fewer, to try something")
    parser.add_argument("--keep", type=Path, help="a file for the training's state, to go on from")
    options = parser.parse_args()
    match options.command:
        case "build":
            build(options.out, days=options.days, epochs=options.epochs, keep=options.keep)
        case "judge":
            judge(options.out, options.days)
        case "landscape":
            lay_landscape(options.out, _runs(training_data()))
        case _:
            return 0 if _landscape_holds() and verify() else 1
    return 0


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - progress


if __name__ == "__main__":
    sys.exit(main())
