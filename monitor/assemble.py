"""From the settings to the description of the line."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from monitor.alert import AlertConfig
from monitor.align import AlignConfig
from monitor.carry import CarryConfig
from monitor.decode import ClassRoute, beside_templates, site_of, subscription
from monitor.drift import DriftConfig
from monitor.limits import BLOCKS, LimitsConfig
from monitor.payloads.paths import Paths
from monitor.regime import Regime, RegimeConfig, Step
from monitor.roughness import RoughnessConfig
from monitor.sensor_check import SensorCheckConfig
from monitor.spec import ClassSpec, LineSpec
from monitor.threshold import ThresholdConfig
from monitor.window import WindowConfig

if TYPE_CHECKING:
    from collections.abc import Sequence

    from config.classes import ResolvedClass
    from config.regimes import RegimeRule
    from config.sections import SensorCheckSettings, ThresholdSettings
    from config.settings import DriftSettings, Settings

HOUR_MS = 3_600_000
STALE_PERIODS = 3  # a machine that reports each minute is not silent after one
BLIND_WINDOWS = 2  # filling its window after a pause is no blindness, however slow the ticks
LENGTH_WITHOUT_MODEL = 60  # ticks: without a model nothing is scored, but a gap still needs a length


def line_spec(settings: Settings, classes: Sequence[ResolvedClass]) -> LineSpec:
    """The description that `pipeline` works by, of settings and asset classes that were checked."""
    made = tuple(_class_spec(settings, each) for each in classes)
    return LineSpec(settings.mqtt.root, settings.daemon.max_streams, made)


def topic_filters(settings: Settings, classes: Sequence[ResolvedClass]) -> list[str]:
    """Where telemetry is subscribed."""
    return list(dict.fromkeys(subscription(each, settings.mqtt.root, site) for each, site in _templates(classes)))


def beside_filters(settings: Settings, classes: Sequence[ResolvedClass]) -> list[str]:
    """What else is subscribed with telemetry: what streams say of themselves, and what Sparkplug B needs."""
    pairs = [(each, site) for template, site in _templates(classes) for each in beside_templates(template)]
    return list(dict.fromkeys(subscription(each, settings.mqtt.root, site) for each, site in pairs))


def _templates(classes: Sequence[ResolvedClass]) -> list[tuple[str, str]]:
    """Each template with each site that its class's globs name: what others publish need not come."""
    wanted = []
    for each in classes:
        named = dict.fromkeys(map(site_of, each.settings.assets))
        sites = ["+"] if "+" in named else list(named)
        wanted += [(topic, site) for topic in each.settings.topics for site in sites]
    return wanted


def _class_spec(settings: Settings, each: ResolvedClass) -> ClassSpec:
    own = each.settings  # what the class has in place of the daemon's
    align, window = own.align or settings.align, own.window or settings.window
    threshold, alert = own.threshold or settings.threshold, own.alert or settings.alert
    length = each.window or LENGTH_WITHOUT_MODEL
    count = len(each.sensors)
    learned = each.regimes_of_model(settings.threshold)
    regimes = replace(regime_config(each.regimes, each.period_ms), learned=learned)
    learns = each.model_hash is None and settings.learning.enabled
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
            hold_ms=align.hold_ms,
            max_ahead_ms=align.max_ahead_ms,
            repeat_ticks=align.repeat_ticks,
            gap_ticks=length,
        ),
        sensor_check=_sensor_check(own.sensor_check or settings.sensor_check, each),
        regime=regimes,
        # What is recorded for a first model is every tick: windows are made of ticks that follow each other.
        window=WindowConfig(
            count, length, 1 if learns else window.stride, window.min_coverage, each.judged if each.memory else 0
        ),
        threshold=ThresholdConfig(
            rule=threshold.rule,
            quantile=threshold.quantile,
            margin=threshold.margin,
            deviations=threshold.deviations,
            horizon_ticks=threshold.horizon_s * 1000 / each.period_ms,
            min_rows=threshold.min_rows,
            floor=threshold.floor,
            cap=threshold.cap,
            creep=threshold.creep,
            regime_rows=_regime_rows(threshold, each, len(regimes.names)),
            # Lower floors made three times as many incidents (docs/regimes.md).
            regime_levels=tuple(max(level, 1.0) for level in learned.levels) if learned else (),
        ),
        alert=AlertConfig(
            sensors=each.sensors,
            units=each.units,
            period_ms=each.period_ms,
            k=alert.k,
            n=alert.n,
            on_delay_ticks=alert.on_delay_ticks,
            off_delay_ticks=alert.off_delay_ticks,
            deadband=alert.deadband,
            critical_ratio=alert.critical_ratio,
            stale_after_ms=max(int(alert.stale_after_s * 1000), STALE_PERIODS * each.period_ms),
            blind_after_ms=max(int(alert.blind_after_s * 1000), BLIND_WINDOWS * length * each.period_ms),
            regimes=regimes.names,
        ),
        wanted_ms=int(settings.learning.wanted_hours * HOUR_MS) if learns else 0,
        limits=_limits(settings, each) if learns and settings.learning.limits else None,
        drift=_drift(settings.drift, each, window.stride) if settings.drift.enabled else None,
        carry=CarryConfig(each.memory, length, each.judged) if each.memory else None,
        levels=each.compares_itself,
    )


def _limits(settings: Settings, each: ResolvedClass) -> LimitsConfig:
    """What simple limits watch by, while there is no model."""
    given = settings.learning
    return LimitsConfig(
        block_ticks=max(1, math.ceil(given.limits_horizon_hours * HOUR_MS / each.period_ms / BLOCKS)),
        min_ticks=max(1, math.ceil(given.limits_after_hours * HOUR_MS / each.period_ms)),
        margin=given.limits_margin,
        period_ms=each.period_ms,
    )


def _drift(given: DriftSettings, each: ResolvedClass, stride: int) -> DriftConfig | None:
    """What the model was trained on; None where it does not say."""
    if each.reached is None or each.model_hash is None:
        return None
    row_ms = stride * each.period_ms
    return DriftConfig(
        sensors=each.sensors,
        units=each.units,
        own=each.compares_itself,
        lowest=each.reached.lowest,
        highest=each.reached.highest,
        score=each.reached.score,
        row_ms=row_ms,
        horizon_rows=given.horizon_hours * HOUR_MS / row_ms,
        # What is left of so many hours of rows.
        min_rows=given.horizon_hours * HOUR_MS / row_ms * -math.expm1(-given.after_hours / given.horizon_hours),
        share=given.share,
        score_share=given.score_share,
    )


def regime_config(rules: Sequence[RegimeRule], period_ms: int) -> RegimeConfig:
    """The regimes as the pipeline sees them."""
    return RegimeConfig(
        tuple(
            Regime(
                rule.name,
                tuple(Step(*step) for step in rule.steps),
                rule.scored,
                math.ceil(rule.blank_s * 1000 / period_ms),
            )
            for rule in rules
        )
    )


def _regime_rows(given: ThresholdSettings, each: ResolvedClass, regimes: int) -> tuple[int, ...]:
    """The rows that each regime's threshold needs, "running" last; none where there is one threshold."""
    if not each.regimes and given.learned_regimes != "own":
        return ()
    usual = given.min_rows
    own = [rule.min_rows or usual for rule in each.regimes]
    return (*own, *[usual] * (regimes - len(own))) if regimes > 1 else ()


def _route(each: ResolvedClass) -> ClassRoute:
    """Where the messages of a class come, and how they are read."""
    given = each.settings
    return ClassRoute(
        sensors=each.sensors,
        topics=given.topics,
        assets=given.assets,
        among=each.among,
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
        ignore=each.ignore,
    )


def _sensor_check(given: SensorCheckSettings, each: ResolvedClass) -> SensorCheckConfig | None:
    """What sensors are checked by; None where that is switched off."""
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
        learned_ticks=tuple(None if seconds is None else ticks(seconds) for seconds in each.learned_stuck_s),
        moved_within=each.moved_within,
        rough=_roughness(each),
    )


def _roughness(each: ResolvedClass) -> RoughnessConfig | None:
    """The limits of the asset file, and the model's where that says nothing; None where neither says anything."""
    learned = each.learned_rough
    own = {
        "step": each.max_step,
        "spike": each.max_spike,
        "noise": each.max_noise,
        "missing": each.max_missing,
    }
    nothing = (None,) * len(each.sensors)
    limits = {
        name: tuple(
            mine or seen for mine, seen in zip(given or nothing, getattr(learned, name, nothing), strict=True)
        )
        for name, given in own.items()
    }
    if not any(any(given) for given in limits.values()):
        return None
    stated = tuple(given is not None for given in each.max_step or nothing)
    config = RoughnessConfig(limits["step"], limits["spike"], limits["noise"], limits["missing"], stated)
    if learned is None:
        return config
    return replace(config, horizon=learned.horizon, spike_ticks=learned.spike_ticks)
