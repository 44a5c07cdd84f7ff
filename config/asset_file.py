"""What an asset file says: the sensors of a class in order, its time grid and its regimes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from config.regimes import RegimeRule, RegimeSettings, rules
from config.regimes import mistakes as regime_mistakes
from config.section import Mistake, Section, in_order
from config.units import conversion

if TYPE_CHECKING:
    from collections.abc import Iterator


class AssetSensor(Section):
    """One sensor of an asset class."""

    name: str = Field(min_length=1, description="name in the payload and everywhere else")
    unit: str = Field("", description="unit of its values")
    min: float | None = Field(None, description="lowest value a working sensor reports")
    max: float | None = Field(None, description="highest value a working sensor reports")
    stuck_s: float | None = Field(
        None,
        gt=0,
        description="not changing for so many seconds, while most others do, is a fault; "
        "give at least twice as long as it stands still in normal running; none: not checked",
    )
    max_step: float | None = Field(
        None,
        gt=0,
        description="a change from one tick to the next that is larger and stays is a fault, because no working "
        "sensor makes it; none: one beyond what the model has learned is withheld until it is known to stay",
    )
    max_spike: float | None = Field(
        None,
        gt=0,
        description="a single value that is above or below both of its neighbours by more is a spike; "
        "none, as of the next two: as the model has learned it",
    )
    max_noise: float | None = Field(
        None,
        gt=0,
        description="values that are above or below both of their neighbours by more on the average are noise",
    )
    max_missing: float | None = Field(
        None, gt=0, le=1, description="a larger share of missing readings, while others report, is a fault"
    )
    alias: str = Field("", description="name in payloads and topics, where it is published under another")
    scale: float = Field(1.0, description="value = published x scale + offset")
    offset: float = Field(0.0, description="value = published x scale + offset")
    published_unit: str = Field("", description="unit it is published in, such as degF; converted to unit")
    vss: str = Field("", description="path in the COVESA Vehicle Signal Specification")
    pid: str = Field("", description="OBD-II parameter id")

    def mistakes(self) -> Iterator[Mistake]:
        """Bounds in order, and one way to come from what is published to the value."""
        yield from in_order(self, "min", "max")
        if self.scale == 0:
            yield Mistake(("scale",), "0 would make every value the same")
        if self.published_unit and (self.scale != 1 or self.offset != 0):
            given = "scale" if self.scale != 1 else "offset"
            sentence = f"{given} is given as well; keep one of the two"
            yield Mistake(("published_unit", given), sentence)
        elif self.published_unit:
            try:
                conversion(self.published_unit, self.unit)
            except ValueError as error:
                yield Mistake(("published_unit", "unit"), str(error))

    @property
    def published(self) -> str:
        """Its name in payloads and topics."""
        return self.alias or self.name

    @property
    def factors(self) -> tuple[float, float]:
        """Scale and offset."""
        return conversion(self.published_unit, self.unit) if self.published_unit else (self.scale, self.offset)


class AssetFile(Section):
    """An asset class's own file: its sensors in order, its time grid, and its regimes."""

    period_ms: int = Field(ge=1, description="length of a tick")
    one_reading_per_tick: bool = Field(
        False,
        description="a tick closes as soon as every sensor has reported, because each reports once a tick",
    )
    allowed_lateness_ms: int = Field(2_000, ge=0, description="how long a tick waits for late readings")
    sensors: tuple[AssetSensor, ...] = Field(min_length=1, description="the sensors, in the model's order")
    ignore: tuple[str, ...] = Field(
        (), description="globs on published names of sensors that are left out: counted, and no dead letters"
    )
    regimes: dict[str, RegimeSettings] = Field({}, description="operating regimes by name, in their order")

    def rules(self) -> tuple[RegimeRule, ...]:
        """The regimes with their rules understood."""
        return rules(self.regimes, [sensor.name for sensor in self.sensors])

    def mistakes(self) -> Iterator[Mistake]:
        """Every sensor has names of its own, here and in payloads, and every regime's rule can be understood."""
        first: dict[str, int] = {}
        for index, sensor in enumerate(self.sensors):
            if first.setdefault(sensor.name, index) != index:
                key = f"sensors.{index}.name"
                yield Mistake((key,), f'"{sensor.name}" is there already, as sensors.{first[sensor.name]}')
        for index, sensor in enumerate(self.sensors):
            if sensor.alias and first.setdefault(sensor.alias, index) != index:
                key = f"sensors.{index}.alias"
                yield Mistake((key,), f'"{sensor.alias}" is a name of sensors.{first[sensor.alias]} already')
        published = {sensor.published: index for index, sensor in enumerate(self.sensors)}
        for index, name in enumerate(self.ignore):
            if name in published:
                key = f"ignore.{index}"
                yield Mistake((key,), f'"{name}" is watched, as sensors.{published[name]}; keep one of the two')
        yield from regime_mistakes(self.regimes, [sensor.name for sensor in self.sensors])
