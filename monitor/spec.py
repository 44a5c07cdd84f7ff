"""The description of the line: what change records and checkpoints hold, and every stage is given. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

import msgspec

from monitor.alert import AlertConfig  # noqa: TC001 - msgspec reads the annotations
from monitor.align import AlignConfig  # noqa: TC001 - msgspec reads the annotations
from monitor.carry import CarryConfig  # noqa: TC001 - msgspec reads the annotations
from monitor.decode import ClassRoute  # noqa: TC001 - msgspec reads the annotations
from monitor.drift import DriftConfig  # noqa: TC001 - msgspec reads the annotations
from monitor.limits import LimitsConfig  # noqa: TC001 - msgspec reads the annotations
from monitor.regime import RegimeConfig
from monitor.sensor_check import SensorCheckConfig  # noqa: TC001 - msgspec reads the annotations
from monitor.threshold import ThresholdConfig  # noqa: TC001 - msgspec reads the annotations
from monitor.window import WindowConfig  # noqa: TC001 - msgspec reads the annotations


@dataclass(frozen=True, slots=True)
class ClassSpec:
    """An asset class as the pipeline sees it."""

    name: str
    route: ClassRoute
    units: tuple[str, ...]  # (C,)
    model: str  # its name, empty where nothing is scored
    model_hash: str
    align: AlignConfig
    window: WindowConfig
    threshold: ThresholdConfig
    alert: AlertConfig
    sensor_check: SensorCheckConfig | None = None  # None = sensors are not checked
    regime: RegimeConfig = RegimeConfig()  # noqa: RUF009 - frozen
    wanted_ms: int = 0  # without a model: so much normal running is to be recorded for one; 0 = it does not learn
    limits: LimitsConfig | None = None  # the simple limits that watch meanwhile; None = none do
    drift: DriftConfig | None = None  # what the model was trained on; None = it does not say, or nobody asks
    carry: CarryConfig | None = None  # what the model carries from tick to tick; None = it sees whole windows
    levels: bool = True  # the model may compare assets with themselves; earlier descriptions do not say

    @property
    def thresholds(self) -> tuple[str, ...]:
        """The regimes that have a rolling threshold of their own; one name where all of them have the same."""
        return self.regime.names if len(self.threshold.rows_to_learn) > 1 else ("all",)

    @property
    def sensors_with_level(self) -> int:
        """Of how many sensors each asset has a level of its own: all, or none."""
        return self.align.sensors if self.levels else 0

    @property
    def checks_roughness(self) -> bool:
        """Whether anything says how far sensors may leap, spike and be noisy."""
        return self.sensor_check is not None and self.sensor_check.rough is not None

    @property
    def family(self) -> str:
        """The class whose model this is: CLASS/OVERRIDE has that of CLASS."""
        return self.name.partition("/")[0]

    def keeps_windows_of(self, other: ClassSpec) -> bool:
        """Whether windows and open ticks filled under the other description mean the same here."""
        same = (self.route.measures, self.units, self.align, self.window)
        return same == (other.route.measures, other.units, other.align, other.window)

    def carries_windows_of(self, other: ClassSpec) -> bool:
        """Whether ticks closed under the other description are the same ticks here, though windows differ."""
        return self.keeps_windows_of(
            replace(
                other,
                align=replace(other.align, gap_ticks=self.align.gap_ticks),
                window=replace(
                    other.window,
                    length=self.window.length,
                    stride=self.window.stride,
                    judged=self.window.judged,
                ),
            )
        )

    def keeps_limits_of(self, other: ClassSpec) -> bool:
        """Whether what was seen of sensors under the other description would have been seen here."""
        same = (self.route.measures, self.units, self.limits)
        return same == (other.route.measures, other.units, other.limits)

    def keeps_sensor_faults_of(self, other: ClassSpec) -> bool:
        """Whether what was found of sensors under the other description would have been found here.

        Another model may have seen sensors stand still for longer, or leap further; what was found before goes on
        until it is over.
        """
        same = (self.route.measures, self.units, self.align.period_ms, _but_learned(self.sensor_check))
        theirs = _but_learned(other.sensor_check)
        return same == (other.route.measures, other.units, other.align.period_ms, theirs)


def _but_learned(config: SensorCheckConfig | None) -> SensorCheckConfig | None:
    return None if config is None else replace(config, learned_ticks=(), moved_within=1, rough=None)


@dataclass(frozen=True, slots=True)
class LineSpec:
    """The whole description of the pipeline: what a change record and a checkpoint hold."""

    root: str
    max_streams: int
    classes: tuple[ClassSpec, ...]

    def home(self, of: ClassSpec, key: str) -> ClassSpec | None:
        """The class to which a stream belongs that was heard as one of `of`; None where no class takes it.

        A key does not say on which topic it comes: it is looked for in the classes with a template of `of`, and
        in the one of that name.
        """
        near = (
            each for each in self.classes if each.name == of.name or set(each.route.topics) & set(of.route.topics)
        )
        return next((each for each in near if each.route.takes(key)), None)

    def encode(self) -> bytes:
        """As JSON; equal descriptions give equal bytes."""
        return msgspec.json.encode(self)

    @staticmethod
    def decode(text: bytes) -> LineSpec:
        """From JSON."""
        return msgspec.json.decode(text, type=LineSpec)
