"""Joins each asset class with its asset file and its model, and refuses what does not fit together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from config.asset_file import AssetFile, AssetSensor
from config.mistakes import SettingsError
from config.own import SEPARATOR
from config.shipped import model_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from config.load import Loaded
    from config.own import OverrideSettings
    from config.regimes import RegimeRule
    from config.sections import ThresholdSettings
    from config.settings import ClassSettings
    from models.artifact import Header, Reached, Rough
    from models.regimes import Regimes


@dataclass(frozen=True, slots=True)
class ResolvedClass:
    """An asset class with everything that its files say. Without a model nothing is scored."""

    settings: ClassSettings
    name: str  # of an override of some assets CLASS/OVERRIDE
    sensors: tuple[str, ...]  # C, in the model's order
    units: tuple[str, ...]  # C
    lowest: tuple[float | None, ...]  # C, as all three: of sensors that work; None = not checked
    highest: tuple[float | None, ...]
    stuck_s: tuple[float | None, ...]
    period_ms: int
    lateness_ms: int
    one_reading_per_tick: bool
    model: Path | None = None  # its folder
    model_name: str = ""
    model_hash: str | None = None
    window: int | None = None  # T, the ticks in a window
    memory: int = 0  # numbers that the model carries from tick to tick; 0 = it sees whole windows
    judged: int = 0  # ticks at the end of a window that it judges then
    regimes: tuple[RegimeRule, ...] = ()  # in their order; none: there is one, of which all is scored
    published: tuple[str, ...] = ()  # C, as the next two: names in payloads; empty: `sensors`
    scale: tuple[float, ...] = ()  # value = published x scale + offset; empty: as published
    offset: tuple[float, ...] = ()
    ignore: tuple[str, ...] = ()  # globs on published names that are left out
    learned_stuck_s: tuple[float | None, ...] = ()  # C: the model's, where the file says nothing; empty: no model
    moved_within: int = 1  # ticks, of the model: within which a sensor that moves has moved
    learned_regimes: Regimes | None = None  # of the model; None: it has one regime, or there is no model
    reached: Reached | None = None  # what the model's normal data reached; None: it does not say
    compares_itself: bool = False  # that is in deviations from an asset's own level
    max_step: tuple[float | None, ...] = ()  # C, as the next three: the file's; empty: it says nothing
    max_spike: tuple[float | None, ...] = ()
    max_noise: tuple[float | None, ...] = ()
    max_missing: tuple[float | None, ...] = ()
    learned_rough: Rough | None = None  # the model's, where the file says nothing
    among: tuple[str, ...] = ()  # of an override: globs of the class, which must take an asset as well

    @property
    def family(self) -> str:
        """The class whose model this is: an override has that of its class."""
        return self.name.partition(SEPARATOR)[0]

    def regimes_of_model(self, usual: ThresholdSettings) -> Regimes | None:
        """The learned regimes that count: none beside rules, without a model, or where the settings say so."""
        wanted = (self.settings.threshold or usual).learned_regimes != "off"
        return self.learned_regimes if wanted and self.model_hash and not self.regimes else None


def resolve_classes(loaded: Loaded) -> list[ResolvedClass]:
    """The asset classes in their order, the overrides of each before it: the first that takes an asset has it.

    Raises SettingsError with everything that does not fit together.
    """
    if not loaded.settings.classes:
        place = loaded.path or "no settings file"
        sentence = "classes: none is given; add [[classes]] with a name and a file or model"
        raise SettingsError([f"{place}: {sentence}, or see it work without settings: enginewatch demo"])
    mistakes: list[str] = []
    resolved: list[ResolvedClass] = []
    for number, entry in enumerate(loaded.settings.classes):
        key = f"classes.{number}"
        asset = loaded.assets.get(entry.name)
        try:
            header = _header(entry.model) if entry.model is not None else None
        except ValueError as error:
            mistakes.append(loaded.mistake(f"{key}.model", str(error)))
            continue
        if asset is None and header is None:
            sentence = "needs a file or a model, which say what its sensors are"
            mistakes.append(loaded.mistake(f"{key}.name", sentence))
            continue
        if asset is not None and header is not None:
            file = entry.file or "the asset file of the package"
            found = [f"{file} and {sentence}" for sentence in _differences(asset, header)]
            mistakes += [loaded.mistake(f"{key}.model", sentence) for sentence in found]
        whole = _join(entry, asset, header)
        for index, override in enumerate(entry.overrides):
            own = loaded.assets.get(f"{entry.name}{SEPARATOR}{override.name}")
            found = [] if own is None else list(_unlike(own, whole))
            mistakes += [loaded.mistake(f"{key}.overrides.{index}.file", sentence) for sentence in found]
            resolved.append(_overridden(whole, override, own or asset, header))
        resolved.append(whole)
    if mistakes:
        raise SettingsError(mistakes)
    return resolved


def _header(model: Path) -> Header:
    """What a model says of itself. Raises ValueError."""
    from models.artifact import load_header  # noqa: PLC0415 - classes without a model need nothing of it

    return load_header(model_folder(model))


def _join(entry: ClassSettings, asset: AssetFile | None, header: Header | None) -> ResolvedClass:
    """One class of its settings, its file and its model, of which one is there at least."""
    described: AssetFile | Header | None = asset or header
    assert described is not None
    grid = AssetFile.model_fields
    limits = asset.sensors if asset else [AssetSensor(name=sensor.name) for sensor in described.sensors]
    factors = [sensor.factors for sensor in limits]
    converted = any(each != (1.0, 0.0) for each in factors)
    return ResolvedClass(
        settings=entry,
        name=entry.name,
        sensors=tuple(sensor.name for sensor in described.sensors),
        units=tuple(sensor.unit for sensor in described.sensors),
        lowest=tuple(sensor.min for sensor in limits),
        highest=tuple(sensor.max for sensor in limits),
        stuck_s=tuple(sensor.stuck_s for sensor in limits),
        max_step=tuple(sensor.max_step for sensor in limits),
        max_spike=tuple(sensor.max_spike for sensor in limits),
        max_noise=tuple(sensor.max_noise for sensor in limits),
        max_missing=tuple(sensor.max_missing for sensor in limits),
        **_learned(header),
        period_ms=described.period_ms,
        lateness_ms=asset.allowed_lateness_ms if asset else grid["allowed_lateness_ms"].default,
        one_reading_per_tick=asset.one_reading_per_tick if asset else grid["one_reading_per_tick"].default,
        model=model_folder(entry.model) if entry.model is not None else None,
        model_name=header.name if header else "",
        model_hash=header.hash if header else None,
        window=header.window if header else None,
        regimes=asset.rules() if asset else (),
        published=tuple(sensor.published for sensor in limits) if any(sensor.alias for sensor in limits) else (),
        scale=tuple(scale for scale, _ in factors) if converted else (),
        offset=tuple(offset for _, offset in factors) if converted else (),
        ignore=asset.ignore if asset else (),
    )


def _overridden(
    whole: ResolvedClass, override: OverrideSettings, asset: AssetFile | None, header: Header | None
) -> ResolvedClass:
    """Some assets of a class, as a class before it."""
    settings = whole.settings.model_copy(update={"assets": override.assets, "overrides": (), **override.own()})
    joined = _join(settings, asset, header)
    return replace(joined, name=f"{whole.name}{SEPARATOR}{override.name}", among=whole.settings.assets)


def _unlike(asset: AssetFile, whole: ResolvedClass) -> Iterator[str]:
    """In what the asset file of an override differs from its class, where it must not."""
    here = [(sensor.name, sensor.unit) for sensor in asset.sensors]
    there = list(zip(whole.sensors, whole.units, strict=True))
    if here != there:
        yield f"its sensors and units must be those of class {whole.name}, in their order"
    if asset.period_ms != whole.period_ms:
        yield f"period_ms must be {whole.period_ms}, as in class {whole.name}, not {asset.period_ms}"


def _learned(header: Header | None) -> dict[str, Any]:
    """What a model has learned of its machines beside its scores, as the fields of a class."""
    if header is None:
        return {}
    seconds = (None if ticks is None else ticks * header.period_ms / 1000 for ticks in header.still.stuck)
    return {
        "learned_stuck_s": tuple(seconds),
        "moved_within": header.still.moved_within,
        "memory": header.network.memory,
        "judged": header.judged,
        "learned_rough": header.rough,
        "learned_regimes": header.regimes,
        "reached": header.reached,
        "compares_itself": header.levels is not None,
    }


def fitted(given: ResolvedClass, model: Path, header: Header) -> ResolvedClass:
    """A class with another model, between which and the class there are no differences."""
    named = replace(given, model=model, model_name=header.name, model_hash=header.hash, window=header.window)
    return replace(named, **_learned(header))


def model_differences(given: ResolvedClass, header: Header) -> list[str]:
    """In what a class and a model disagree; sentences that begin with the model."""
    return misfits(given.sensors, given.units, given.period_ms, header)


def misfits(sensors: tuple[str, ...], units: tuple[str, ...], period_ms: int, header: Header) -> list[str]:
    """In what sensors with their units, in ticks of a period, and a model disagree; sentences as above."""
    named = tuple(AssetSensor(name=name, unit=unit) for name, unit in zip(sensors, units, strict=True))
    return list(_differences(AssetFile(period_ms=period_ms, sensors=named), header))


def _differences(asset: AssetFile, header: Header) -> Iterator[str]:
    """In what an asset file and a model disagree; sentences that begin with the model."""
    model = f'the model "{header.name}" differ'
    here = {sensor.name: sensor.unit for sensor in asset.sensors}
    there = {sensor.name: sensor.unit for sensor in header.sensors}
    missing, strange = there.keys() - here.keys(), here.keys() - there.keys()
    if missing:
        yield f"{model}: only the model has {', '.join(sorted(missing))}"
    if strange:
        yield f"{model}: only the file has {', '.join(sorted(strange))}"
    if not missing and not strange and list(here) != list(there):
        yield f"{model} in the order of the sensors; the model's is {', '.join(there)}"
    for name in here.keys() & there.keys():
        if here[name] != there[name]:
            yield f'{model}: {name} is in "{here[name]}" there and in "{there[name]}" in the model'
    if asset.period_ms != header.period_ms and not header.tabular:
        yield f"{model} in the period: {asset.period_ms} ms and {header.period_ms} ms"
