"""A trained model on disk: a folder of files, no pickle among them.

    model.onnx          the network, as the daemon runs it
    model.safetensors   its weights, as torch loads them
    header.json         what the model is for and how its score comes about; names both files by SHA-256
    asset.toml          the sensors and the period, usable as the class file
    card.md             for people: data, split, losses, calibration, limits
    landscape.json      where the training windows lie; optional (`models.landscape_file`)

Nothing here needs torch. Reading trusts nothing: sizes are bounded, the header is checked, and no weight is
looked at before its hash agrees.
"""

from __future__ import annotations

import hashlib
import os
import stat
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
import numpy as np
from msgspec import Meta

from models.lasting import RECENT, Lasting, Recent
from models.level import Level
from models.onnx_check import objection
from models.regimes import Regimes, mistake
from models.residual import Calibration, Energies, Whole, judged
from models.scaling import Scaler

if TYPE_CHECKING:
    from pathlib import Path

FORMAT: Literal[2] = 2
HEADER, CARD, ASSET = "header.json", "card.md", "asset.toml"
WeightFile = Literal["model.onnx", "model.safetensors"]
ONNX: WeightFile = "model.onnx"
SAFETENSORS: WeightFile = "model.safetensors"
WEIGHT_FILES: tuple[WeightFile, ...] = (ONNX, SAFETENSORS)
MAX_HEADER_BYTES = 1 << 20
MAX_WEIGHT_BYTES = 256 << 20
MAX_CARD_BYTES = 1 << 20
MAX_SENSORS = 1000
MAX_MEMORY = 1 << 20  # numbers of one stream
MAX_CELLS = 500_000  # of a window, T x C: a batch of 256 takes half a gigabyte then

Count = Annotated[int, Meta(ge=0)]
Name = Annotated[str, Meta(min_length=1, max_length=200)]
Sha256 = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
# What float32 holds, with room to multiply.
Number = Annotated[float, Meta(ge=-3e38, le=3e38)]
Positive = Annotated[float, Meta(ge=1e-30, le=3e38)]
PerSensor = Annotated[tuple[Number, ...], Meta(min_length=1, max_length=MAX_SENSORS)]
PositivePerSensor = Annotated[tuple[Positive, ...], Meta(min_length=1, max_length=MAX_SENSORS)]


class ArtifactError(ValueError):
    """The folder holds no model that can be used: the sentence says what is wrong; a retry is of no use."""


class Block(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A block of the header: unknown keys are errors."""


class Sensor(Block, frozen=True):
    """A sensor of the model."""

    name: Name
    unit: Annotated[str, Meta(max_length=50)]


class Network(Block, frozen=True, omit_defaults=True):
    """The network's size and kind."""

    hidden: Annotated[int, Meta(ge=1, le=4096)]
    latent: Annotated[int, Meta(ge=1, le=4096)]
    layers: Annotated[int, Meta(ge=1, le=8)]
    kind: Literal["plain", "variational", "denoising"] = "plain"
    hidden_together: tuple[Annotated[int, Meta(ge=0, lt=MAX_SENSORS)], ...] = ()  # (C,) as `models.masking`
    # Numbers that the file takes and gives, to go on behind other ticks; 0 = it takes whole windows only.
    memory: Annotated[int, Meta(ge=0, le=MAX_MEMORY)] = 0


class Scaling(Block, frozen=True):
    """As `models.scaling.Scaler`, in the sensors' units."""

    center: PerSensor
    scale: PositivePerSensor


class Together(Block, frozen=True):
    """As `models.residual.Whole`, in scaled units."""

    precision: Annotated[tuple[PerSensor, ...], Meta(min_length=1, max_length=MAX_SENSORS)]
    usual: Positive
    exponent: Annotated[float, Meta(gt=0, le=1)]


class Usual(Block, frozen=True, omit_defaults=True):
    """As `models.residual.Calibration`, in scaled units."""

    spread: PositivePerSensor
    shift: PositivePerSensor
    step: PositivePerSensor
    level: PositivePerSensor
    score: Positive
    whole: Together | None = None
    shared: bool = False


class Levels(Block, frozen=True):
    """Where assets are compared with themselves: the level of those in the data, and how others come to theirs."""

    rows: Annotated[int, Meta(ge=1)]  # of a new asset, that say what its level is
    least: PositivePerSensor  # no scale of a level is below
    of: dict[Name, Scaling]


class Mean(Block, frozen=True):
    """As `models.lasting.Recent`, in units."""

    windows: Positive
    precision: Annotated[tuple[PerSensor, ...], Meta(min_length=1, max_length=MAX_SENSORS)]
    score: Positive


class Minutes(Block, frozen=True):
    """As `models.lasting.Lasting`, in scaled units."""

    unit: PositivePerSensor
    bound: PositivePerSensor
    recent: Annotated[tuple[Mean, ...], Meta(min_length=1, max_length=len(RECENT))]


class Still(Block, frozen=True):
    """As `models.stillness.Stillness`."""

    moved_within: Annotated[int, Meta(ge=1)]
    stuck: Annotated[tuple[Annotated[int, Meta(ge=1)] | None, ...], Meta(min_length=1, max_length=MAX_SENSORS)]


class Reached(Block, frozen=True):
    """As `models.reference.Reference`: what normal data reached, to tell by when an asset has left it."""

    lowest: PerSensor
    highest: PerSensor
    score: Positive


Limits = Annotated[tuple[Positive | None, ...], Meta(min_length=1, max_length=MAX_SENSORS)]


class Rough(Block, frozen=True):
    """As `models.roughness.Roughness`, in the sensors' units."""

    horizon: Annotated[int, Meta(ge=1)]
    spike_ticks: Annotated[int, Meta(ge=1)]
    step: Limits
    spike: Limits
    noise: Limits
    missing: Limits


class Data(Block, frozen=True):
    """What the model was trained on."""

    sha256: Sha256  # of the assets' names, sensors, times and values
    assets: Count
    rows: Count
    windows_fit: Count
    windows_stop: Count
    windows_calibration: Count
    split: str


class Training(Block, frozen=True, omit_defaults=True):
    """How it was trained, and how that went: the mean error of each epoch, in scaled units, by `loss`."""

    loss: Literal["mse", "mae", "huber"]
    seed: Count
    patience: Count
    max_masked: Number
    noise: Number
    fit: tuple[Number, ...]  # on what fits, with sensors hidden
    stop: tuple[Number, ...]  # on what stops the training, as in service
    best: Annotated[int, Meta(ge=1)]  # the epoch that was kept, from 1
    above: Annotated[float, Meta(ge=0, le=1)] | None = None  # share of windows held out that score above 1.0
    doubts: tuple[str, ...] = ()  # why its score may be worth less, in sentences


class Header(Block, frozen=True, omit_defaults=True):
    """header.json. `hash` names the model: it is the SHA-256 of the file, which names the weights by theirs."""

    format: Literal[2]
    name: Name
    created: str  # ISO 8601, UTC
    period_ms: Annotated[int, Meta(ge=1)]
    window: Annotated[int, Meta(ge=1, le=10_000)]  # T, ticks
    sensors: Annotated[tuple[Sensor, ...], Meta(min_length=1, max_length=MAX_SENSORS)]  # C, in order
    network: Network
    scaler: Scaling
    calibration: Usual
    still: Still
    data: Data
    versions: dict[str, str]
    sha256: dict[WeightFile, Sha256]
    tabular: bool = False  # rows without time: `period_ms` is then only a number to count them by
    training: Training | None = None
    levels: Levels | None = None  # None: all assets have the same
    lasting: Minutes | None = None  # None: windows are judged alone
    regimes: Regimes | None = None  # None: there is one
    reached: Reached | None = None  # None: made before this was noted
    rough: Rough | None = None  # None: models of before, and of rows without time
    hash: str = ""  # never in the file itself

    @property
    def judged(self) -> int:
        """J, the ticks at the end of a window that are judged."""
        return judged(self.window)

    def scaling(self) -> Scaler:
        """The scaler as arrays (C,)."""
        return Scaler(np.array(self.scaler.center, np.float32), np.array(self.scaler.scale, np.float32))

    def usual(self) -> Calibration:
        """The calibration as arrays (C,)."""
        given = self.calibration
        whole = None
        if given.whole is not None:
            precision = np.array(given.whole.precision, np.float32)
            whole = Whole(precision, given.whole.usual, given.whole.exponent)
        columns = (np.array(each, np.float32) for each in (given.spread, given.shift, given.step, given.level))
        return Calibration(Energies(*columns), given.score, whole, given.shared)

    def lasting_usual(self) -> Lasting | None:
        """What is usual of deviations that last; None where windows are judged alone.

        Its unit is in the sensors' units, or, where assets are compared with themselves, in deviations of theirs.
        """
        given = self.lasting
        if given is None:
            return None
        unit, bound = np.array(given.unit, np.float32), np.array(given.bound, np.float32)
        recent = (Recent(each.windows, np.array(each.precision, np.float32), each.score) for each in given.recent)
        return Lasting(self.window, unit * self.scaling().scale, bound, tuple(recent))

    def level(self, asset: str) -> Level | None:
        """The level of an asset of the data, as arrays (C,); by its name or, behind the last "/", by its end."""
        if self.levels is None:
            return None
        found = self.levels.of.get(asset) or self.levels.of.get(asset.rpartition("/")[2])
        if found is None:
            return None
        return Level(np.array(found.center, np.float32), np.array(found.scale, np.float32))


def save_artifact(folder: Path, header: Header, files: dict[str, bytes]) -> Header:
    """Write the files, then the header with their hashes, and return the header with its own.

    Each file appears whole or not at all. The header comes last: a folder that was being written when the
    machine stopped is refused by its hashes, not half loaded. Raises OSError where the disk refuses.
    """
    folder.mkdir(parents=True, exist_ok=True)
    sha256 = {name: hashlib.sha256(files[name]).hexdigest() for name in WEIGHT_FILES}
    complete = msgspec.structs.replace(header, sha256=sha256, hash="")
    encoded = msgspec.json.format(msgspec.json.encode(complete), indent=2) + b"\n"
    for name, content in (files | {HEADER: encoded}).items():
        write_whole(folder / name, content)
    return msgspec.structs.replace(complete, hash=hashlib.sha256(encoded).hexdigest())


def load_header(folder: Path) -> Header:
    """The checked header of a model whose weight files are there and unchanged. Raises ArtifactError."""
    encoded = read_bounded(folder / HEADER, MAX_HEADER_BYTES)
    try:
        format_ = msgspec.json.decode(encoded, type=_Format).format
        if format_ != FORMAT:
            raise ArtifactError(
                f"{folder}: the model has format {format_}, this version of enginewatch reads {FORMAT}: "
                "train it again"
            )
        header = msgspec.json.decode(encoded, type=Header)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ArtifactError(f"{folder / HEADER}: {error}") from error
    header = msgspec.structs.replace(header, hash=hashlib.sha256(encoded).hexdigest())
    _check(folder, header)
    for name in WEIGHT_FILES:
        content = read_weights(folder, header, name)
        if name == ONNX and (wrong := objection(content)):
            raise ArtifactError(f"{folder / name} {wrong}")
    return header


def read_weights(folder: Path, header: Header, name: WeightFile) -> bytes:
    """The bytes of a weight file, which are those that the header names. Raises ArtifactError."""
    content = read_bounded(folder / name, MAX_WEIGHT_BYTES)
    if hashlib.sha256(content).hexdigest() != header.sha256[name]:
        raise ArtifactError(
            f"{folder / name} is not the file that header.json was written for: restore the folder"
        )
    return content


class _Format(msgspec.Struct):
    """Only the version, so that a header of another one is told by that and not by its differences."""

    format: int


def _check(folder: Path, header: Header) -> None:
    """What the types cannot say."""
    sensors = len(header.sensors)
    lengths: dict[str, tuple[object, ...]] = {
        "scaler.center": header.scaler.center,
        "scaler.scale": header.scaler.scale,
        "calibration.spread": header.calibration.spread,
        "calibration.shift": header.calibration.shift,
        "calibration.step": header.calibration.step,
        "calibration.level": header.calibration.level,
        "still.stuck": header.still.stuck,
    }
    if header.reached is not None:
        lengths |= {"reached.lowest": header.reached.lowest, "reached.highest": header.reached.highest}
    if (rough := header.rough) is not None:
        names = ("step", "spike", "noise", "missing")
        lengths |= {f"rough.{name}": getattr(rough, name) for name in names}
    if header.network.hidden_together:
        lengths["network.hidden_together"] = header.network.hidden_together
    if (whole := header.calibration.whole) is not None:
        lengths |= {"calibration.whole.precision": whole.precision}
        lengths |= {f"calibration.whole.precision.{row}": each for row, each in enumerate(whole.precision)}
    if (lasting := header.lasting) is not None:
        lengths |= {"lasting.unit": lasting.unit, "lasting.bound": lasting.bound}
        for number, mean in enumerate(lasting.recent):
            key = f"lasting.recent.{number}.precision"
            lengths |= {key: mean.precision}
            lengths |= {f"{key}.{row}": each for row, each in enumerate(mean.precision)}
        if tuple(mean.windows for mean in lasting.recent) != RECENT[: len(lasting.recent)]:
            raise ArtifactError(f"{folder / HEADER}: lasting.recent is over other windows than {RECENT}")
    if header.levels is not None:
        lengths["levels.least"] = header.levels.least
        for asset, each in header.levels.of.items():
            lengths |= {f"levels.of.{asset}.center": each.center, f"levels.of.{asset}.scale": each.scale}
    if header.window * sensors > MAX_CELLS:
        said = f"window has {header.window} ticks of {sensors} sensors, and {MAX_CELLS:,} numbers are allowed"
        raise ArtifactError(f"{folder / HEADER}: {said}")
    for key, values in lengths.items():
        if len(values) != sensors:
            raise ArtifactError(f"{folder / HEADER}: {key} has {len(values)} numbers for {sensors} sensors")
    if len({sensor.name for sensor in header.sensors}) < sensors:
        raise ArtifactError(f"{folder / HEADER}: two sensors have the same name")
    if header.regimes is not None and (wrong := mistake(header.regimes, sensors)):
        raise ArtifactError(f"{folder / HEADER}: regimes: {wrong}")
    for name in WEIGHT_FILES:
        if name not in header.sha256:
            raise ArtifactError(f"{folder / HEADER}: sha256 lacks {name}")


def read_bounded(path: Path, most: int) -> bytes:
    """A file's bytes, where it is a file and not larger than that. Raises ArtifactError."""
    try:
        # A pipe must not hold up whoever opens it.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise ArtifactError(f"{path} is no file")
            content = file.read(most + 1)
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read: {error.strerror}") from error
    if len(content) > most:
        raise ArtifactError(f"{path} is larger than {most} bytes, which no model of ours is")
    return content


def write_whole(path: Path, content: bytes) -> None:
    """A file that is there whole, and on the disk, or not at all. Raises OSError."""
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
