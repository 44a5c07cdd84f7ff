"""The artifact of a training: header, sensors' file and model card, from what training has found out."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING

from models import artifact
from models.export import onnx_bytes, safetensors_bytes
from models.lasting import SETTLE
from models.residual import FLOOR, MIN_PRESENT, SENSOR_QUANTILE, judged
from models.roughness import SPIKES
from models.split import Part

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    from models.lasting import Lasting
    from models.reference import Reference
    from models.residual import Whole
    from models.roughness import Roughness
    from models.training import Levels, Trained, TrainingConfig

CURVE_ROWS = 10
LOSS_WORDS = {"mse": "squared error", "mae": "absolute error", "huber": "Huber loss"}
LIBRARIES = ("enginewatch", "numpy", "onnx", "safetensors", "torch")


@dataclass(frozen=True, slots=True)
class Origin:
    """What a model is for and what it was trained on."""

    name: str
    created: str  # ISO 8601, UTC
    sensors: tuple[str, ...]  # C, in order
    units: tuple[str, ...]  # C
    period_ms: int
    data_sha256: str
    assets: int
    rows: int
    tabular: bool = False  # rows without time


def save_trained(folder: Path, trained: Trained, config: TrainingConfig, origin: Origin) -> artifact.Header:
    """Write the artifact of a training; returns its header. Raises OSError where the disk refuses."""
    files = {
        artifact.ONNX: onnx_bytes(trained.network),
        artifact.SAFETENSORS: safetensors_bytes(trained.network.network),
        artifact.ASSET: _asset_file(origin).encode(),
        artifact.CARD: _card(trained, config, origin).encode(),
    }
    return artifact.save_artifact(folder, _header(trained, config, origin), files)


def _header(trained: Trained, config: TrainingConfig, origin: Origin) -> artifact.Header:
    network = trained.network.config
    usual = trained.calibration
    return artifact.Header(
        format=artifact.FORMAT,
        name=origin.name,
        created=origin.created,
        period_ms=origin.period_ms,
        window=network.window,
        sensors=tuple(map(artifact.Sensor, origin.sensors, origin.units)),
        network=artifact.Network(
            network.hidden, network.latent, network.layers, network.kind, trained.group, trained.network.memory
        ),
        scaler=artifact.Scaling(_numbers(trained.scaler.center), _numbers(trained.scaler.scale)),
        calibration=artifact.Usual(
            spread=_numbers(usual.usual.spread),
            shift=_numbers(usual.usual.shift),
            step=_numbers(usual.usual.step),
            level=_numbers(usual.usual.level),
            score=usual.score,
            whole=None if usual.whole is None else _together(usual.whole),
            shared=usual.shared,
        ),
        still=artifact.Still(trained.stillness.moved_within, trained.stillness.stuck),
        rough=rough_block(trained.roughness),
        data=artifact.Data(
            sha256=origin.data_sha256,
            assets=origin.assets,
            rows=origin.rows,
            windows_fit=trained.windows[Part.FIT],
            windows_stop=trained.windows[Part.STOP],
            windows_calibration=trained.windows[Part.CALIBRATION],
            split=trained.split,
        ),
        versions={name: version(name) for name in LIBRARIES},
        sha256={},
        tabular=origin.tabular,
        training=artifact.Training(
            loss=config.loss,
            seed=config.seed,
            patience=config.patience,
            max_masked=config.max_masked,
            noise=config.noise if config.kind == "denoising" else 0.0,
            fit=tuple(epoch.fit_loss for epoch in trained.epochs),
            stop=tuple(epoch.stop_loss for epoch in trained.epochs),
            best=trained.best.number,
            above=trained.false_alarm_share,
            doubts=tuple(trained.doubts),
        ),
        levels=None if trained.levels is None else _levels(trained.levels),
        lasting=None if trained.lasting is None else _minutes(trained.lasting),
        regimes=trained.regimes.regimes,
        reached=_reached(trained.reference),
    )


def rough_block(given: Roughness | None) -> artifact.Rough | None:
    """The limits as the header has them."""
    if given is None:
        return None
    return artifact.Rough(given.horizon, given.spike_ticks, given.step, given.spike, given.noise, given.missing)


def _together(whole: Whole) -> artifact.Together:
    return artifact.Together(tuple(map(_numbers, whole.precision)), whole.usual, whole.exponent)


def _minutes(lasting: Lasting) -> artifact.Minutes:
    recent = (
        artifact.Mean(each.windows, tuple(map(_numbers, each.precision)), each.score) for each in lasting.recent
    )
    return artifact.Minutes(_numbers(lasting.unit), _numbers(lasting.bound), tuple(recent))


def _levels(levels: Levels) -> artifact.Levels:
    of = {name: artifact.Scaling(_numbers(each.center), _numbers(each.scale)) for name, each in levels.of.items()}
    return artifact.Levels(levels.rows, _numbers(levels.least), of)


def _reached(reference: Reference) -> artifact.Reached:
    return artifact.Reached(_numbers(reference.lowest), _numbers(reference.highest), reference.score)


def _asset_file(origin: Origin) -> str:
    """The sensors as a class file; JSON's strings are TOML's too."""
    lines = [f"# The sensors of the model {json.dumps(origin.name)}, in its order.", ""]
    lines += [f"period_ms = {origin.period_ms}"]
    for name, unit in zip(origin.sensors, origin.units, strict=True):
        lines += ["", "[[sensors]]", f"name = {_quoted(name)}", f"unit = {_quoted(unit)}"]
    return "\n".join(lines) + "\n"


def _card(trained: Trained, config: TrainingConfig, origin: Origin) -> str:
    best = trained.best
    network = trained.network.config
    quantiles = ", ".join(f"{100 * q:g} %: {value:.3f}" for q, value in trained.score_quantiles.items())
    parts = "\n".join(
        f"| {purpose} | {len(set(trained.runs[part]))} | {trained.windows[part]} |"
        for part, purpose in (
            (Part.FIT, "fits the network and the scaling"),
            (Part.STOP, "stops the training"),
            (Part.CALIBRATION, "calibrates the score"),
        )
    )
    usual = trained.calibration.usual
    columns = zip(
        origin.sensors,
        origin.units,
        *(each.tolist() for each in (trained.scaler.center, trained.scaler.scale)),
        *(each.tolist() for each in (usual.spread, usual.shift, usual.step, usual.level)),
        trained.stillness.stuck,
        strict=True,
    )
    sensors = "\n".join(
        f"| {name} | {unit} | {center:.6g} | {scale:.6g} | {spread:.4g} | {shift:.4g} | {step:.4g} | {level:.4g} |"
        f" {stuck or 'not checked'} |"
        for name, unit, center, scale, spread, shift, step, level, stuck in columns
    )
    ticks = "single rows" if origin.tabular else f"{network.window} ticks of {origin.period_ms} ms"
    doubts = "".join(f"\n* {sentence[0].upper()}{sentence[1:]}." for sentence in trained.doubts)
    return f"""# {origin.name}

A {network.kind} LSTM autoencoder over {ticks} and {network.sensors} sensors, trained
{origin.created} on normal data. It tells how far a window is from normal, and which sensors are.

## Data

{origin.rows} rows of {origin.assets} asset(s); SHA-256 of names, times and values `{origin.data_sha256}`.
Split: {trained.split}, seed {config.seed}. No tick is in two parts.

| part | assets | windows |
|---|---|---|
{parts}

## Training

Hidden {network.hidden}, latent {network.latent} per tick, layers {network.layers}; one window in
{trained.stride} is taken; up to {100 * config.max_masked:g} % of the sensors are hidden in
training{_noise(config)}.
{len(trained.epochs)} epochs of at most {config.epochs}; the best was number {best.number}. Its mean
{LOSS_WORDS[config.loss]} in scaled units: {best.fit_loss:.5f} on the first part, with
sensors hidden, and {best.stop_loss:.5f} on the second, with none hidden.
All epochs are in header.json; some of them:

| epoch | first part | second part | |
|---|---|---|---|
{_curve(trained)}

## Calibration

Score on the third part, by quantile: {quantiles}. {_one(config)}
Share of the windows of the second part, which does not calibrate, that score above 1.0:
{100 * trained.false_alarm_share:.3f} %.

| sensor | unit | mean | scale | usual spread | usual shift | usual step | usual level | stuck after |
|---|---|---|---|---|---|---|---|---|
{sensors}

Usual is the {100 * SENSOR_QUANTILE:g} % quantile on the third part, over the last {judged(network.window)} ticks
of a window, in scaled units, never below {FLOOR:g}. Stuck is a sensor after so many ticks without moving while the
machine runs: most of its other sensors moved within the last {trained.stillness.moved_within} ticks.
{rough_words(trained.roughness, origin.sensors, origin.units)}
{_whole_words(trained)}

{_lasting_words(trained)}

{_level_words(trained)}

## Regimes

{_regime_words(trained, origin)}

## Limits

It knows only what it has seen: an operating state that is not in the data scores like a fault. Whatever was
wrong during the recordings counts as normal. Neighbouring windows overlap, so that quantiles stand on fewer
independent windows than the table says. A sensor with less than {100 * MIN_PRESENT:g} % of its values in a
window is not judged.
{doubts}
"""


def rough_words(given: Roughness | artifact.Rough | None, sensors: Sequence[str], units: Sequence[str]) -> str:
    """The limits of leaps, spikes, noise and missing readings as a table; empty where there are none."""
    if given is None:
        return ""
    limits = (given.step, given.spike, given.noise, given.missing)
    words = [["not checked" if each is None else f"{each:.4g}" for each in column] for column in limits]
    rows = "\n".join(f"| {' | '.join(row)} |" for row in zip(sensors, units, *words, strict=True))
    return f"""
Beyond these limits a sensor is faulty too. They are in its unit, but for missing, which is a share. A value stands
out by how much it is above both of its neighbours, or below both; noise is how much values do on the
average of {given.horizon} ticks, missing is over as many, and {SPIKES} spikes in {given.spike_ticks} are a fault.

| sensor | unit | leaps by more than | a spike stands out by | noise | missing |
|---|---|---|---|---|---|
{rows}
"""


def _one(config: TrainingConfig) -> str:
    if config.stricter == 1:
        return "By definition the 99.9 % quantile is 1."
    return f"A score of 1 is {config.stricter:g} times the 99.9 % quantile."


def _noise(config: TrainingConfig) -> str:
    return f", and noise of {config.noise:g} scaled units is put on" if config.kind == "denoising" else ""


def _curve(trained: Trained) -> str:
    """About CURVE_ROWS epochs as rows of a table, the first, the best and the last among them."""
    last = len(trained.epochs)
    shown = {*range(1, last + 1, max(1, -(-last // CURVE_ROWS))), trained.best.number, last}
    return "\n".join(
        f"| {epoch.number} | {epoch.fit_loss:.5f} | {epoch.stop_loss:.5f} |"
        f" {'kept' if epoch.number == trained.best.number else ''} |"
        for epoch in trained.epochs
        if epoch.number in shown
    )


def _whole_words(trained: Trained) -> str:
    """What stands beside the sensors."""
    whole = trained.calibration.whole
    if whole is None:
        return "There is too little data, or there are too many sensors, to judge all sensors together (T²)."
    return f"All sensors together are judged by T², whose root is usually up to {whole.usual:.4g}."


def _lasting_words(trained: Trained) -> str:
    """Whether anything but the window is judged."""
    if trained.lasting is None:
        return f"Every window is judged alone, not what lasts for minutes: {trained.lasting_why}."
    window, of = trained.lasting.window, trained.lasting.recent
    horizons = " and ".join(f"{each.windows * window:.0f}" for each in of)
    roots = " and ".join(f"{each.score:.4g}" for each in of)
    return (
        f"What lasts is judged too: mean deviations over {horizons} ticks against that of the asset's own past,"
        f" of {SETTLE * window:.0f} ticks at the least. Usual {trained.lasting_why}: T² whose root is up to"
        f" {roots}, with the 99 % quantile of each sensor's deviation as unit."
    )


def _level_words(trained: Trained) -> str:
    """Whether assets are compared with themselves."""
    if trained.levels is None:
        return f"All assets are held to the same level: {trained.levels_why}."
    return (
        f"Every asset is compared with itself: {trained.levels_why}. An asset that is not in the data learns its"
        f" level from its first {trained.levels.rows} rows; what is usual is that of the asset in the middle."
    )


def _regime_words(trained: Trained, origin: Origin) -> str:
    """The operating regimes that the data has, or why there is one."""
    regimes = trained.regimes.regimes
    if regimes is None:
        return f"One: {trained.regimes.why}."
    sensors = [origin.sensors[each] for each in regimes.sensors]
    heads = "".join(f" {name} |" for name in sensors)
    rows = "\n".join(
        f"| {each.name} | {100 * each.share:.0f} % |{''.join(f' {value:.4g} |' for value in each.center)}"
        f" {each.held_out} | {each.level:.2f} |"
        for each in regimes.of
    )
    return f"""{trained.regimes.why}, by their means over {regimes.smooth} ticks.

| regime | share |{heads} windows that calibrate | level |
|---|---|{"---|" * len(sensors)}---|---|
{rows}

The level is what is to a regime as a score of 1 is to all windows; it is not 1 only where that is certain. They
count where the asset file has no regimes of its own."""


def _numbers(values: npt.NDArray[np.float32]) -> tuple[float, ...]:
    return tuple(values.tolist())


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
