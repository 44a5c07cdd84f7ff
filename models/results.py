"""What `enginewatch evaluate` found, as it stands in results.json."""

from __future__ import annotations

from typing import Literal

import msgspec

from models.evaluation import Detector  # noqa: TC001 - msgspec reads the annotations

SCHEMA: Literal[1] = 1


class ModelFacts(msgspec.Struct, frozen=True):
    """Which model was judged."""

    name: str
    hash: str
    created: str
    period_ms: int
    window: int
    sensors: tuple[str, ...]
    units: tuple[str, ...]
    trained_rows: int
    trained_assets: int


class DataFacts(msgspec.Struct, frozen=True):
    """By what it was judged."""

    files: tuple[str, ...]
    sha256: str
    label: str
    runs: int
    judged_rows: int
    scored_rows: int  # of them, by the model
    ranked_rows: int  # of them, by every detector: these rank
    anomalous_rows: int
    hours: float
    normal: str  # what the baselines were fitted on, in words
    normal_rows: int


class RegimeFacts(msgspec.Struct, frozen=True):
    """Rows of one operating regime."""

    name: str
    rows: int
    anomalous: int
    false_alarm_rate: float | None
    score_median: float | None
    threshold_median: float | None
    # Not in results of earlier releases.
    share: float | None = None  # of the judged rows that were scored
    score_tail: float | None = None  # 99.9 % quantile of the normal rows
    false: int | None = None  # incidents that fired in it and belong to no event
    false_per_day: float | None = None  # of these, by the time of its rows
    level: float | None = None  # where the model learned it: what is to it as 1.0 is to all


class CurvePoint(msgspec.Struct, frozen=True):
    """What the model's incidents would be with another floor of the threshold."""

    floor: float
    found: int
    false: int
    false_per_day: float
    event_f1: float | None


class Results(msgspec.Struct, frozen=True):
    """results.json. `schema` grows when a field changes its meaning or goes."""

    schema: Literal[1]
    enginewatch: str
    created: str
    model: ModelFacts
    data: DataFacts
    settings: dict[str, str]  # those that were not at their defaults
    warnings: tuple[str, ...]
    detectors: tuple[Detector, ...]
    floors: tuple[CurvePoint, ...]
    regimes: tuple[RegimeFacts, ...]

    def named(self, name: str) -> Detector:
        """The detector of this name."""
        return next(each for each in self.detectors if each.name == name)
