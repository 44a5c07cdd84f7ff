"""What was found out of a capture or a recording, each guess with its reason."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Mapping:
    """How a payload becomes readings: the keys of a class that say so, under their names."""

    payload: str  # "json", "value", "paths", "line" or "sparkplug"
    time: str = "arrival"
    time_format: str = ""
    time_path: str = ""
    items: str = ""
    values: str | None = None  # None: there is none; "": the whole
    value: str | None = None
    sensor: str = ""
    asset: str = ""  # where the payload names the asset: a path, or a tag of line protocol


@dataclass(frozen=True, slots=True)
class Question:
    """What could not be decided, and the key that decides it."""

    text: str
    key: str


@dataclass(frozen=True, slots=True)
class Aside:
    """What is not used, how often it came, and why not."""

    what: str
    reason: str
    count: int = 1  # topics, sensors or messages: `reason` says which


@dataclass(frozen=True, slots=True)
class SensorFinding:
    """One sensor of a class."""

    name: str
    published: str  # its name in payloads or topics
    kept: bool = True  # False: it stands in the file as a comment
    unit: str = ""
    unit_reason: str = ""  # empty where no unit was found
    unit_guessed: bool = True  # False: the plant says it itself
    period_ms: int | None = None
    irregular: bool = False
    lowest: float = 0.0
    highest: float = 0.0
    share: float = 1.0  # of the assets that have it
    note: str = ""


@dataclass(frozen=True, slots=True)
class ClassFinding:
    """Assets with the same sensors, and how their messages are to be read."""

    name: str
    file: str
    topics: tuple[str, ...]  # templates
    globs: tuple[str, ...]
    assets: tuple[str, ...]  # stream keys that were seen
    mapping: Mapping
    sensors: tuple[SensorFinding, ...]
    period_ms: int
    period_reason: str
    one_reading_per_tick: bool = False
    lateness_ms: int = 2_000
    hold_ms: int = 0
    reasons: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()  # numbers that are published beside the sensors


@dataclass(frozen=True, slots=True)
class Findings:
    """Everything that was found."""

    classes: tuple[ClassFinding, ...] = ()
    asides: tuple[Aside, ...] = ()
    questions: tuple[Question, ...] = ()
    messages: int = 0
    topics: int = 0
    retained: int = 0
    span_ms: int = 0
    left_out: tuple[str, ...] = ()  # what the limits of memory left out, in words

    @property
    def hold_ms(self) -> int:
        """How long values are to be held, for all classes together."""
        return max((each.hold_ms for each in self.classes), default=0)


@dataclass(slots=True)
class Series:
    """What one sensor of one asset reported."""

    times: list[int] = field(default_factory=list)  # epoch ms; the reading's own time where it has one
    values: list[float] = field(default_factory=list)
    old: int = 0  # retained ones among the values; their times say nothing and are left out

    def add(self, time: int, value: float, *, retained: bool) -> None:
        """One more value."""
        self.values.append(value)
        if retained:
            self.old += 1
        else:
            self.times.append(time)
