"""The sections of the settings that a class can have of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from config.section import Mistake, Section, in_order

if TYPE_CHECKING:
    from collections.abc import Iterator

Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]


class AlignSettings(Section):
    """From irregular readings to ticks on a grid (the period and the lateness stand in the asset file)."""

    hold_ms: int = Field(0, ge=0, description="how long a sensor's last value stands in for a missing one")
    max_ahead_ms: int = Field(5_000, ge=0, description="a reading further in the future is quarantined")
    repeat_ticks: int = Field(16, ge=1, description="closed ticks in which a repeat is told from a late reading")


class SensorCheckSettings(Section):
    """Whether what sensors report can be measurements (their limits stand in the asset file)."""

    enabled: bool = Field(True, description="find faulty sensors, and keep them from the model")
    range_s: Positive = Field(
        3.0, description="out of its range for so long is a fault; one value is only left out"
    )
    dropout_s: Positive = Field(10.0, description="missing for so long, while others report, is a fault")
    clear_s: Positive = Field(10.0, description="good for so long, a faulty sensor is trusted again")


class WindowSettings(Section):
    """From ticks to windows (the length is the model's)."""

    stride: int = Field(1, ge=1, description="a score row every so many ticks")
    min_coverage: Share = Field(0.5, description="share of a window's cells that must be there to score it")


class ThresholdSettings(Section):
    """The rolling threshold of every stream."""

    rule: Literal["quantile", "mad"] = Field("mad", description="quantile, or median + deviations x MAD")
    quantile: float = Field(0.9, gt=0.5, lt=1, description="rule quantile: which one of the recent normal scores")
    margin: Positive = Field(1.5, description="rule quantile: the threshold is this many times the quantile")
    deviations: Positive = Field(6.0, description="rule mad: how many scaled MADs above the median")
    horizon_s: Positive = Field(6 * 3600.0, description="event time over which the threshold forgets")
    min_rows: int = Field(
        600, ge=1, description="scored rows before the recent scores count; until then the floor"
    )
    floor: Positive = Field(1.0, description="never lower; 1.0 is the 99.9 % quantile of normal in training")
    cap: Positive = Field(10.0, description="never higher")
    creep: float = Field(
        1.5,
        ge=1,
        description="never higher than this many times that after an asset's first horizon: a slow fault fires",
    )
    learned_regimes: Literal["off", "told", "own"] = Field(
        "told",
        description="regimes that the model learned, where the asset file has none: not followed, told with a "
        "floor by their level, or each with a rolling threshold of its own as well",
    )

    def mistakes(self) -> Iterator[Mistake]:
        """Bounds in order."""
        yield from in_order(self, "floor", "cap")


class AlertSettings(Section):
    """The life of an incident."""

    k: int = Field(3, ge=1, le=64, description="pending after so many rows above the threshold …")
    n: int = Field(5, ge=1, le=64, description="… among so many of the last scored rows")
    on_delay_ticks: int = Field(5, ge=0, description="ticks pending before it fires")
    off_delay_ticks: int = Field(30, ge=0, description="ticks below the threshold before it clears")
    deadband: Share = Field(0.1, description="clearing needs a score this share below the threshold")
    critical_ratio: Positive = Field(3.0, description="severity is critical from this many times the threshold")
    stale_after_s: Positive = Field(
        60.0, description="silence of a stream that is an alert of its own; three periods at the least"
    )
    blind_after_s: Positive = Field(
        600.0,
        description="readings without a score for so long are an alert of their own; two windows at the least",
    )

    def mistakes(self) -> Iterator[Mistake]:
        """At most n of n."""
        yield from in_order(self, "k", "n")
