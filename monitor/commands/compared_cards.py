"""The cards of two models side by side, out of their headers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitor.commands.side_by_side_words import number

if TYPE_CHECKING:
    from collections.abc import Iterator

    from models.artifact import Header

SHOWN = 12  # digits of a hash


def card_of(header: Header) -> Iterator[tuple[str, str]]:
    """What a card says, a row each: the name of the row, and what stands there."""
    network, data, training = header.network, header.data, header.training
    yield "model", header.name
    yield "hash", header.hash[:SHOWN]
    yield "created", header.created
    yield "sensors", str(len(header.sensors))
    yield "window", f"{header.window} x {header.period_ms} ms" if not header.tabular else "single rows"
    yield "network", f"{network.kind}, hidden {network.hidden}, latent {network.latent}, layers {network.layers}"
    yield "data", f"{data.rows} rows of {data.assets} assets"
    yield "data hash", data.sha256[:SHOWN]
    yield "split", data.split
    yield "windows fit, stop, calibrate", f"{data.windows_fit}, {data.windows_stop}, {data.windows_calibration}"
    if training is not None:
        noise = f", noise {training.noise:g}" if training.noise else ""
        yield "training", f"{training.loss}, seed {training.seed}, patience {training.patience}{noise}"
        yield "epochs", f"{len(training.stop)}, the best {training.best}"
        yield "error held out", number(training.stop[training.best - 1])
    if training is not None and training.above is not None:
        yield "held out above 1.0", f"{100 * training.above:.3g} %"
    yield "assets compared with themselves", "no" if header.levels is None else "yes"
    yield "all sensors together (T²)", "no" if header.calibration.whole is None else "yes"
    yield "what lasts for minutes (MEWMA)", "no" if header.lasting is None else "yes"
    yield "stillness checked", f"{sum(each is not None for each in header.still.stuck)} sensors"
    versions = (f"{name} {header.versions[name]}" for name in ("enginewatch", "torch") if name in header.versions)
    yield "made with", ", ".join(versions)
    for number_of, sentence in enumerate(training.doubts if training is not None else (), start=1):
        yield f"limit {number_of}", sentence


def side_by_side(first: Header, second: Header) -> list[tuple[str, str, str]]:
    """A row each, with what stands on both cards; empty where one says nothing."""
    one, other = dict(card_of(first)), dict(card_of(second))
    return [(name, one.get(name, ""), other.get(name, "")) for name in {**one, **other}]


def differences(first: Header, second: Header) -> list[str]:
    """Why the two cannot judge the same rows, in sentences; nothing where they can."""
    one, other = ({each.name: each.unit for each in header.sensors} for header in (first, second))
    found = []
    for mine, theirs, name in ((one, other, first.name), (other, one, second.name)):
        alone = [sensor for sensor in mine if sensor not in theirs]
        if alone:
            found.append(f"only {name} has {', '.join(alone)}")
    if not found and list(one) != list(other):
        found.append(f"their order of sensors differs: {', '.join(one)}, and {', '.join(other)}")
    found += [
        f'{sensor} is in "{one[sensor]}" and in "{other[sensor]}"'
        for sensor in one
        if sensor in other and one[sensor] != other[sensor]
    ]
    if first.period_ms != second.period_ms:
        found.append(f"a tick is {first.period_ms} ms and {second.period_ms} ms")
    return found
