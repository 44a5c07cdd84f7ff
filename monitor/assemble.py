"""From the settings to the description of the line."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from monitor.alert import AlertConfig
from monitor.align import AlignConfig
from monitor.decode import ClassRoute
from monitor.payloads.paths import Paths
from monitor.sensor_check import SensorCheckConfig
from monitor.spec import ClassSpec, LineSpec
from monitor.threshold import ThresholdConfig
from monitor.window import WindowConfig

if TYPE_CHECKING:
    from collections.abc import Sequence

    from config.classes import ResolvedClass
    from config.settings import Settings

STALE_PERIODS = 3  # a machine that reports each minute is not silent after one
LENGTH_WITHOUT_MODEL = 60  # ticks: without a model nothing is scored, but a gap still needs a length


def line_spec(settings: Settings, classes: Sequence[ResolvedClass]) -> LineSpec:
    """The description that `pipeline` works by, of settings and asset classes that were checked."""
    made = tuple(_class_spec(settings, each) for each in classes)
    return LineSpec(settings.mqtt.root, settings.daemon.max_streams, made)


def _class_spec(settings: Settings, each: ResolvedClass) -> ClassSpec:
    length = each.window or LENGTH_WITHOUT_MODEL
    count = len(each.sensors)
    return ClassSpec(
        name=each.name,
        route=_route(each),
        units=each.units,
        model=each.model_name,
        model_hash=each.model_hash or "",
        align=AlignConfig(
            sensors=count,
            period_ms=each.period_ms,
            lateness_ms=each.lateness_ms,
            one_reading_per_tick=each.one_reading_per_tick,
            hold_ms=settings.align.hold_ms,
            max_ahead_ms=settings.align.max_ahead_ms,
            repeat_ticks=settings.align.repeat_ticks,
            gap_ticks=length,
        ),
        sensor_check=_sensor_check(settings, each),
        window=WindowConfig(count, length, settings.window.stride, settings.window.min_coverage),
        threshold=ThresholdConfig(
            rule=settings.threshold.rule,
            quantile=settings.threshold.quantile,
            margin=settings.threshold.margin,
            deviations=settings.threshold.deviations,
            horizon_ticks=settings.threshold.horizon_s * 1000 / each.period_ms,
            min_rows=settings.threshold.min_rows,
            floor=settings.threshold.floor,
            cap=settings.threshold.cap,
        ),
        alert=AlertConfig(
            sensors=each.sensors,
            units=each.units,
            period_ms=each.period_ms,
            k=settings.alert.k,
            n=settings.alert.n,
            on_delay_ticks=settings.alert.on_delay_ticks,
            off_delay_ticks=settings.alert.off_delay_ticks,
            deadband=settings.alert.deadband,
            critical_ratio=settings.alert.critical_ratio,
            stale_after_ms=max(int(settings.alert.stale_after_s * 1000), STALE_PERIODS * each.period_ms),
        ),
    )


def _route(each: ResolvedClass) -> ClassRoute:
    """Where the messages of a class come, and how they are read."""
    given = each.settings
    return ClassRoute(
        sensors=each.sensors,
        topics=given.topics,
        assets=given.assets,
        arrival_time=given.time == "arrival",
        payload=given.payload,
        paths=Paths(
            items=given.paths.items,
            time=given.paths.time,
            time_format=given.paths.time_format or ("ns" if given.payload == "line" else "ms"),
            values=given.paths.values,
            value=given.paths.value,
            sensor=given.paths.sensor,
            asset=given.paths.asset,
        ),
        published=each.published,
        scale=each.scale,
        offset=each.offset,
    )


def _sensor_check(settings: Settings, each: ResolvedClass) -> SensorCheckConfig | None:
    """What sensors are checked by; None where that is switched off."""
    given = settings.sensor_check
    if not given.enabled:
        return None

    def ticks(seconds: float) -> int:
        """As many ticks as last this long, one at the least."""
        return max(1, math.ceil(seconds * 1000 / each.period_ms))

    return SensorCheckConfig(
        sensors=each.sensors,
        units=each.units,
        lowest=each.lowest,
        highest=each.highest,
        stuck_ticks=tuple(None if seconds is None else ticks(seconds) for seconds in each.stuck_s),
        range_ticks=ticks(given.range_s),
        dropout_ticks=ticks(given.dropout_s),
        clear_ticks=ticks(given.clear_s),
        period_ms=each.period_ms,
    )
