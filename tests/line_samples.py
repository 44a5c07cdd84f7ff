"""What the tests of the pure core share: readings, messages, a line at the settings that ship, an honest model."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

from config.classes import ResolvedClass
from config.rules import parse
from config.settings import ClassSettings, Settings
from monitor.align import AlignConfig
from monitor.assemble import line_spec
from monitor.decode import TELEMETRY_TOPIC, encode_status, encode_telemetry, fill
from monitor.drift import DriftConfig
from monitor.limits import LimitsConfig
from monitor.pipeline import step
from monitor.records import Batch, Change, Clock, Command, Message, Readings, Record, Scores, Status, StepResult
from monitor.regime import Regime, RegimeConfig, Step
from monitor.roughness import RoughnessConfig
from monitor.spec import ClassSpec, LineSpec
from monitor.state import LineState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hypothesis.strategies import DrawFn

    from models.lasting import Lasting
    from monitor.records import AlertEvent, DeadLetter, Float32, Frames, Model, Payload, StoredScores

START = 1_700_000_040_000  # a whole minute, so that it begins a tick of every period used here
ROOT = "enginewatch"
SENSORS = ("load", "flow")
HASH = "balance"
FAST = settings(max_examples=60)

Frame = tuple[int, tuple[float | None, ...], int, bool]  # tick, values (None = missing), count, gap


def grid(**changes: Any) -> AlignConfig:
    """Two sensors at 1 Hz, two seconds of lateness, and what a test changes in that."""
    plain = AlignConfig(
        sensors=2,
        period_ms=1000,
        lateness_ms=2000,
        one_reading_per_tick=False,
        hold_ms=0,
        max_ahead_ms=5000,
        repeat_ticks=16,
        gap_ticks=30,
    )
    return replace(plain, **changes)


def readings(rows: Iterable[tuple[int, int, int, Sequence[float]]]) -> Readings:
    """Rows of (stream, time after START, arrival after START, values) as readings."""
    table = list(rows)
    count = len(table[0][3]) if table else 2
    return Readings(
        stream=np.array([row[0] for row in table], np.int32),
        time=np.array([START + row[1] for row in table], np.int64),
        arrival=np.array([START + row[2] for row in table], np.int64),
        values=np.array([row[3] for row in table], np.float32).reshape(len(table), count),
    )


def by_stream(rounds: Iterable[Frames]) -> dict[int, list[Frame]]:
    """Closed ticks of every stream in their order, ticks counted from START at 1 Hz or as they are."""
    found: dict[int, list[Frame]] = {}
    for frames in rounds:
        assert len(set(frames.stream.tolist())) == len(frames.stream), "a round has at most one tick a stream"
        for stream, tick, values, count, gap in zip(
            frames.stream.tolist(),
            frames.tick.tolist(),
            frames.values.tolist(),
            frames.count.tolist(),
            frames.gap.tolist(),
            strict=True,
        ):
            cells = tuple(None if math.isnan(value) else value for value in values)
            found.setdefault(stream, []).append((tick, cells, count, gap))
    return found


def scores(
    stream: Sequence[int],
    tick: int,
    score: Sequence[float],
    *,
    threshold: float = 1.0,
    status: Status = Status.SCORED,
) -> Scores:
    """One row for each of these streams at a tick; the first sensor is to blame for the score."""
    rows = len(stream)
    blame = np.stack([np.array(score), np.zeros(rows)], axis=1).astype(np.float32)  # (B, 2)
    return Scores(
        stream=np.array(stream, np.int32),
        tick=np.full(rows, tick, np.int64),
        status=np.full(rows, status, np.uint8),
        score=np.array(score, np.float32),
        threshold=np.full(rows, threshold, np.float32),
        contribution=blame,
        expected=np.full((rows, 2), 50, np.float32),
        actual=np.full((rows, 2), 60, np.float32),
        regime=np.zeros(rows, np.uint8),
    )


class Balance:
    """A model that knows the law of its pump, flow = 2 x load + 10, and scores the breach of it.

    A breach of `tolerance` (flow units, the mean over the last five ticks) is a score of 1.
    """

    window = 20
    level_rows = 0
    memory = 0
    lasting: Lasting | None = None

    def __init__(self, tolerance: float = 2.0) -> None:
        self.tolerance = tolerance

    def score(
        self, values: Float32, level: tuple[Float32, Float32] | None = None
    ) -> tuple[Float32, Float32, Float32]:
        """The breach of the law, as contribution of both sensors (B, 2); what load says the flow should be."""
        del level
        load, flow = values[:, -5:, 0], values[:, -5:, 1]  # (B, 5)
        breach = np.abs((flow - (2 * load + 10)).mean(axis=1)) / self.tolerance  # (B,)
        expected = np.stack([(values[:, -1, 1] - 10) / 2, 2 * values[:, -1, 0] + 10], axis=1)
        contribution = np.stack([0.9 * breach, breach], axis=1)  # (B, 2)
        return contribution.astype(np.float32), expected.astype(np.float32), breach.astype(np.float32)


MODELS: dict[str, Model] = {HASH: Balance()}


def shipped(
    name: str = "pumps", *, period_ms: int = 1000, window: int = Balance.window, assets: str = "*"
) -> ClassSpec:
    """A class with the sensors of `Balance`; everything else stands at its default."""
    resolved = ResolvedClass(
        settings=ClassSettings(name=name, assets=(assets,)),
        name=name,
        sensors=SENSORS,
        units=("%", "l/min"),
        lowest=(None, None),
        highest=(None, None),
        stuck_s=(None, None),
        period_ms=period_ms,
        lateness_ms=2000,
        one_reading_per_tick=True,
        model_name="balance",
        model_hash=HASH,
        window=window,
    )
    return line_spec(Settings(), [resolved]).classes[0]


def learning(*sensors: str) -> ClassSpec:
    """The class before it has a model, with these sensors."""
    nothing = (None,) * len(sensors)
    resolved = ResolvedClass(
        settings=ClassSettings(name="pumps"),
        name="pumps",
        sensors=sensors,
        units=("",) * len(sensors),
        lowest=nothing,
        highest=nothing,
        stuck_s=nothing,
        period_ms=1000,
        lateness_ms=2000,
        one_reading_per_tick=True,
    )
    return line_spec(Settings(), [resolved]).classes[0]


def in_regimes(spec: ClassSpec, *, blank_ticks: int = 0, **rules: str) -> ClassSpec:
    """The same class with regimes by these rules; `off` is not scored, and has blanking."""
    regimes = RegimeConfig(
        tuple(
            Regime(
                name,
                tuple(Step(*step) for step in parse(rule, SENSORS)),
                name != "off",
                blank_ticks * (name == "off"),
            )
            for name, rule in rules.items()
        )
    )
    rows = (spec.threshold.min_rows,) * len(regimes.names)
    return replace(
        spec,
        regime=regimes,
        threshold=replace(spec.threshold, regime_rows=rows),
        alert=replace(spec.alert, regimes=regimes.names),
    )


def quick(spec: ClassSpec, **changes: Any) -> ClassSpec:
    """The same class with short windows and delays: an anomaly fires at once, and clears at once."""
    alert = replace(spec.alert, k=1, n=1, on_delay_ticks=0, off_delay_ticks=0)
    plain = replace(
        spec,
        align=replace(spec.align, gap_ticks=5),
        window=replace(spec.window, length=5),
        threshold=replace(spec.threshold, min_rows=20),
        alert=alert,
    )
    return replace(plain, **changes)


def telemetry(asset: str, time: int, values: Mapping[str, float], *, arrival: int | None = None) -> Message:
    """A message of one reading, times counted from START; it arrives when it was made, unless said otherwise."""
    topic = fill(TELEMETRY_TOPIC, root=ROOT, site="plant", area="", asset=asset)
    payload = encode_telemetry(time=START + time, boot="b", seq=0, values=values)
    return Message(topic.encode(), payload, START + (time if arrival is None else arrival), len(payload))


def status(asset: str, arrival: int, payload: bytes) -> Message:
    """A message about a stream's presence."""
    topic = f"{ROOT}/v1/plant/{asset}/status".encode()
    return Message(topic, payload, START + arrival, len(payload))


def asked(action: str, number: int = 1, **more: Any) -> Command:
    """An operator's word."""
    return Command(id=f"c{number}", action=action, ts=START, **more)


def spec_of(*classes: ClassSpec) -> bytes:
    """What a change record says of a line with these classes."""
    return LineSpec(ROOT, 100, classes).encode()


def pump(load: float, *, breach: float = 0.0) -> dict[str, float]:
    """A pump's values; `breach` is what its flow lacks of the law."""
    return {"load": load, "flow": 2 * load + 10 - breach}


class Line:
    """A line that takes payloads at times after START, and gathers what comes out."""

    def __init__(self, *classes: ClassSpec, max_streams: int = 100, models: Mapping[str, Model] = MODELS) -> None:
        self.state = LineState.empty(LineSpec(ROOT, max_streams, classes or (shipped(),)))
        self.models = models
        self.position = 0
        self.results: list[StepResult] = []

    def take(self, time: int, payload: Payload) -> StepResult:
        self.position += 1
        result = step(self.state, Record(self.position, START + time, payload), self.models)
        self.results.append(result)
        return result

    def listen(self, time: int = 0) -> Line:
        self.take(time, Change(listening=True))
        return self

    def send(self, time: int, *messages: Message) -> StepResult:
        return self.take(time, Batch(list(messages)))

    def wait(self, time: int) -> StepResult:
        return self.take(time, Clock())

    @property
    def events(self) -> list[AlertEvent]:
        return [event for result in self.results for event in result.events]

    @property
    def dead_letters(self) -> list[DeadLetter]:
        return [letter for result in self.results for letter in result.dead_letters]

    @property
    def batches(self) -> list[StoredScores]:
        return [batch for result in self.results for batch in result.scores]

    def told(self) -> list[tuple[str, str, str]]:
        """What was said of whom: (stream key, kind, transition)."""
        return [(event.stream, event.kind, str(event.transition)) for event in self.events]

    def rows(self, key: str) -> list[tuple[int, Status, float, float]]:
        """The score rows of a stream: seconds after START, status, score, threshold."""
        found = []
        for batch in self.batches:
            for row in (index for index, name in enumerate(batch.streams) if name == key):
                time = (int(batch.time[row]) - START) // 1000
                part = batch.rows
                found.append((time, Status(part.status[row]), float(part.score[row]), float(part.threshold[row])))
        return found


@st.composite
def journals(draw: DrawFn) -> list[tuple[int, Payload]]:
    """Records of three pumps with everything that can happen to them, each with its time after START."""
    spec = quick(shipped(), threshold=replace(quick(shipped()).threshold, min_rows=4))
    assert spec.sensor_check is not None
    check = replace(spec.sensor_check, highest=(100.0, None), stuck_ticks=(3, 3))
    check = replace(check, range_ticks=2, dropout_ticks=2, clear_ticks=2)
    leaps = RoughnessConfig((60.0, None), (2.0, 20.0), (None, 5.0), (0.4, 0.4), horizon=4, spike_ticks=30)
    beyond = DriftConfig(SENSORS, spec.units, False, (0.0, 100.0), (60.0, 120.0), 1.0, 1000, 10.0, 3.0, 0.2, 0.5)
    spec = replace(spec, sensor_check=replace(check, rough=leaps), drift=beyond)
    strict = replace(spec, threshold=replace(spec.threshold, floor=3.0))
    wider = replace(spec, sensor_check=replace(check, highest=(500.0, None)))
    longer = replace(spec, window=replace(spec.window, length=7))
    ruled = in_regimes(spec, blank_ticks=2, off="load < 51 and flow < 115", load="load >= 200")
    ruled = replace(ruled, alert=replace(ruled.alert, blind_after_ms=6_000))
    other = in_regimes(spec, load="load > 50", off="flow > 110")
    first = draw(st.sampled_from([spec, ruled]))
    learning: dict[str, Any] = {"model": "", "model_hash": "", "wanted_ms": 3_600_000}
    bare = [replace(each, **learning, limits=LimitsConfig(4, 3, 0.5, 1000)) for each in (spec, ruled)]
    overridden = [
        (replace(each, name="pumps/a", route=replace(each.route, assets=("plant//a",))), spec)
        for each in (strict, other)
    ]
    lines = [*((each,) for each in (spec, strict, longer, wider, ruled, other, *bare)), *overridden]
    records: list[tuple[int, Payload]] = [(0, Change(listening=True, line=spec_of(first)))]
    now = 0
    for number in range(draw(st.integers(10, 30))):
        now += draw(st.sampled_from([100, 1000, 1000, 1000, 4000, 90_000]))
        kind = draw(st.integers(0, 19))
        asset = draw(st.sampled_from("abc"))
        payload: Payload
        if kind < 14:
            messages = []
            for each in "abc":
                for back in draw(st.sampled_from([[0], [0], [1000, 0], [0, 0, 700], [9000], [-60_000], []])):
                    breach = draw(st.sampled_from([0.0, 1.0, 10.0]))
                    values = pump(draw(st.sampled_from([50, 50, 51, 200])), breach=breach)
                    missing = draw(st.sampled_from(["", "", "", "load", "flow"]))
                    values.pop(missing, None)
                    messages.append(telemetry(each, now - back, values, arrival=now))
            payload = Batch(messages)
        elif kind == 14:
            payload = Clock()
        elif kind == 15:
            payload = Change(listening=draw(st.booleans()))
        elif kind == 16:
            payload = Change(line=spec_of(*draw(st.sampled_from(lines))))
        elif kind == 17:
            payload = Batch([status(asset, now, encode_status(online=False, time=now, reason="shutdown"))])
        else:
            action = draw(st.sampled_from(["acknowledge", "accept", "shelve"]))
            payload = asked(action, number, asset=f"plant//{asset}", until=START + now + 5000)
        records.append((now, payload))
    return records
