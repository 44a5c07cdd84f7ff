"""The settings: one class a room, every key with its meaning and its default, and what must agree.

This file only says what there is. Where the values come from (command line, environment, secret files, TOML,
defaults) and how a mistake is told is in `config.load`. Nothing here opens a connection.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from config.addresses import is_loopback
from config.canary import NAME as CANARY
from config.canary import CanarySettings
from config.fleet import FleetSettings
from config.mapping import PathSettings, mapping_mistakes
from config.notify import NotifySettings
from config.overlap import globs_overlap
from config.own import OverrideSettings, OwnSettings, glob_mistakes, inherited, override_mistakes
from config.secret import NO_HEADER, in_a_header
from config.section import (
    Mistake,
    Section,
    Template,
    certificate_with_key,
    in_file_order,
    in_order,
    only_one,
    refuse,
)
from config.sections import (
    AlertSettings,
    AlignSettings,
    Positive,
    SensorCheckSettings,
    Share,
    ThresholdSettings,
    WindowSettings,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


Port = Annotated[int, Field(ge=1, le=65535)]


def _address(url: str) -> str:
    """Refuse what is no address of a server. It is not told again: a user in it would come with a password."""
    if url and not re.fullmatch(r"https?://[^/@?#\s]+(/[^@?#\s]*)?", url):
        raise ValueError("must be http://HOST:PORT or https://HOST:PORT, without a user or a query")
    return url


LEAST_TOKEN = 16  # characters of http.token
Address = Annotated[str, AfterValidator(_address)]


class DaemonSettings(Section):
    """Who this daemon is and where it keeps its state."""

    id: str = Field("main", pattern=r"^[A-Za-z0-9_.-]+$", description="name of this daemon in topics and logs")
    state_dir: Path = Field(Path("state"), description="folder of the journal, the store and the checkpoints")
    max_streams: int = Field(10_000, ge=1, description="assets watched at the most; further ones are refused")
    stop_within_s: float = Field(15.0, ge=2, description="it has ended so soon after SIGTERM, whatever hangs")
    stuck_after_s: Positive = Field(
        60.0, description="a thread without a turn for so long is stuck, and the watchdog is not fed any more"
    )


class TlsSettings(Section):
    """Encryption towards the broker. Certificates and host names are always verified."""

    enabled: bool = Field(False, description="speak TLS; the port is then usually 8883")
    ca_file: Path | None = Field(None, description="authority that signed the broker's certificate")
    cert_file: Path | None = Field(None, description="own certificate, where the broker asks for one")
    key_file: Path | None = Field(None, description="key of the own certificate")

    def mistakes(self) -> Iterator[Mistake]:
        """A certificate goes with its key, and both with encryption."""
        for name in ("ca_file", "cert_file", "key_file"):
            if getattr(self, name) is not None and not self.enabled:
                yield Mistake((name, "enabled"), "given, but enabled is false, so nothing would be encrypted")
        yield from certificate_with_key(self)


class MqttSettings(Section):
    """The connection to the broker."""

    host: str = Field("127.0.0.1", description="name or address of the broker")
    port: Port = Field(1883, description="port of the broker")
    protocol: Literal["3.1.1", "5"] = Field("3.1.1", description="version of MQTT")
    client_id: str = Field("", description='name of the session; empty: "enginewatch-" and daemon.id')
    username: str = Field("", description="user, where the broker asks for one")
    password: SecretStr | None = Field(None, description="password; better from the environment or a secret file")
    password_file: Path | None = Field(None, description="file that holds the password")
    root: str = Field("enginewatch", pattern=r"^[^+#]+$", description="first level of our topics: {root}")
    keepalive_s: int = Field(30, ge=5, le=3600, description="seconds of silence until the broker counts as gone")
    session_expiry_s: int = Field(
        7 * 86400, ge=3600, description="how long the broker keeps our session (MQTT 5; 3.1.1: its own limit)"
    )
    reconnect_min_s: Positive = Field(1.0, description="first pause before connecting again")
    reconnect_max_s: Positive = Field(30.0, description="longest pause before connecting again")
    max_payload_bytes: int = Field(1 << 20, ge=1024, description="a larger message becomes a dead letter")
    max_pending_bytes: int = Field(
        32 << 20, ge=1 << 16, description="bytes held in memory before the journal; when full, reading pauses"
    )
    tls: TlsSettings = Field(TlsSettings(), description="encryption")

    def mistakes(self) -> Iterator[Mistake]:
        """Bounds in order, one password, and a user to whom it belongs."""
        yield from in_order(self, "reconnect_min_s", "reconnect_max_s")
        yield from in_order(self, "max_payload_bytes", "max_pending_bytes")
        yield from only_one(self, "password", "password_file")
        given = [name for name in ("password", "password_file") if getattr(self, name) is not None]
        if given and not self.username and self.protocol == "3.1.1":
            yield Mistake((given[0], "username"), "needs a username beside it (MQTT 3.1.1)")


class ClassSettings(OwnSettings):
    """An asset class: machines with the same sensors, watched by the same model."""

    name: str = Field(pattern=r"^[A-Za-z0-9_.-]+$", description="name of the class")
    file: Path | None = Field(None, description="asset file: sensors in order with units; empty: the model's own")
    model: Path | None = Field(
        None, description="folder of the trained model, or pretrained:engine; empty: nothing is scored"
    )
    topics: tuple[Template, ...] = Field(
        ("{root}/v1/{site}/{asset}/telemetry",), min_length=1, description="topics of the readings"
    )
    assets: tuple[str, ...] = Field(("*",), min_length=1, description="globs on site/area/asset that belong here")
    time: Literal["event", "arrival"] = Field("event", description="a reading's time: its own, or when it came")
    payload: Literal["json", "value", "paths", "line", "sparkplug"] = Field(
        "json",
        description="form of the payload: ours, a bare number, any JSON by paths, line protocol, Sparkplug B",
    )
    paths: PathSettings = Field(PathSettings(), description="where any JSON holds what")
    overrides: tuple[OverrideSettings, ...] = Field((), description="assets that are watched otherwise")

    @field_validator("overrides", mode="before")
    @classmethod
    def _overrides_in_file_order(cls, value: Any) -> Any:
        return in_file_order(value)

    def mistakes(self) -> Iterator[Mistake]:
        """Topics, payload and paths tell together which asset, which sensor and when."""
        yield from mapping_mistakes(self)
        strange = list(glob_mistakes("assets", self.assets))
        yield from strange or override_mistakes(self.assets, self.overrides)


class LearningSettings(Section):
    """A class without a model: it is recorded for one, and watched by simple limits meanwhile."""

    enabled: bool = Field(True, description="a class without a model records and learns; false: it does neither")
    wanted_hours: Positive = Field(
        24.0, description="hours of normal running, of all assets together, that a first model is to be made of"
    )
    limits: bool = Field(
        True, description="watch each sensor by the range that was seen of it, until a model does"
    )
    limits_after_hours: Positive = Field(1.0, description="an asset's limits count after so much running")
    limits_horizon_hours: Positive = Field(24.0, description="running after which the range seen is forgotten")
    limits_margin: Positive = Field(
        0.5, description="beyond the range by this share of it (or 5 % of its level) is beyond the limits"
    )

    def mistakes(self) -> Iterator[Mistake]:
        """What counts after some running is not forgotten by then."""
        yield from in_order(self, "limits_after_hours", "limits_horizon_hours")


class ShadowSettings(Section):
    """A candidate in the shadow of the model in use (`enginewatch models shadow`), and when it takes its place."""

    promote_after_hours: float = Field(
        0.0, ge=0, description="hours watched, in the mean of the assets, before the rule looks; 0: it never does"
    )
    promote_alert_ratio: float = Field(
        1.0, ge=0, description="the candidate's incidents are at most so many times those of the model in use"
    )


class DriftSettings(Section):
    """Whether assets have left what their model was trained on: told, and no incident."""

    enabled: bool = Field(True, description="look for it")
    horizon_hours: Positive = Field(24.0, description="running over which what an asset did is forgotten")
    after_hours: Positive = Field(6.0, description="an asset is judged after so much running")
    share: Share = Field(
        0.2, description="stale where a sensor is beyond all training data in more than this share of the running"
    )
    score_share: Share = Field(
        0.5, description="stale where more than this share of the scores is above the 95 % quantile of training"
    )

    def mistakes(self) -> Iterator[Mistake]:
        """What counts after some running is not forgotten by then."""
        yield from in_order(self, "after_hours", "horizon_hours")


class ScoreSettings(Section):
    """Running the model."""

    batch_size: int = Field(32, ge=1, description="whole windows in one call of the network")
    threads: int = Field(1, ge=1, description="threads of the runtime")


class StoreSettings(Section):
    """The embedded store and the journal."""

    checkpoint_s: Positive = Field(30.0, description="seconds between checkpoints; a restart replays the rest")
    retention_days: Positive = Field(7.0, description="how long score rows stay after they were sent")
    history_days: Positive = Field(400.0, description="how long it stays what an asset's rows came to each minute")
    max_bytes: int = Field(20 << 30, ge=1 << 20, description="disk budget; beyond it the oldest goes")
    journal_max_bytes: int = Field(4 << 30, ge=1 << 20, description="journal backlog at which receiving pauses")
    min_free_bytes: int = Field(1 << 30, ge=0, description="warn when the disk of the state has less free")
    dead_letters: int = Field(10_000, ge=1, description="dead letters kept; all are counted")


class InfluxSettings(Section):
    """InfluxDB, by the v2 write API. Without a URL nothing is sent."""

    url: Address = Field("", description="address, for example http://127.0.0.1:8086; empty: off")
    org: str = Field("", description="organisation (InfluxDB 2)")
    bucket: str = Field("enginewatch", description="bucket, or database/retention policy")
    token: SecretStr | None = Field(None, description="token; better from the environment or a secret file")
    token_file: Path | None = Field(None, description="file that holds the token")
    ca_file: Path | None = Field(None, description="authority that signed the server's certificate")
    cert_file: Path | None = Field(None, description="own certificate, where the server asks for one")
    key_file: Path | None = Field(None, description="key of the own certificate")
    write_readings: bool = Field(False, description="also write every sensor's value as measurement engine")
    write_health: bool = Field(True, description="also write the daemon's own figures as measurement enginewatch")
    health_every_s: Positive = Field(10.0, description="how often these figures are written")
    timeout_s: Positive = Field(10.0, description="longest wait for an answer")
    batch_rows: int = Field(5_000, ge=1, description="lines in one request")
    retry_min_s: Positive = Field(1.0, description="first pause after a failure")
    retry_max_s: Positive = Field(60.0, description="longest pause after a failure")

    def mistakes(self) -> Iterator[Mistake]:
        """Bounds in order, one token, and files for TLS only where it is spoken."""
        yield from in_order(self, "retry_min_s", "retry_max_s")
        yield from only_one(self, "token", "token_file")
        for name in ("ca_file", "cert_file", "key_file"):
            if getattr(self, name) is not None and self.url.startswith("http://"):
                yield Mistake((name, "url"), "given, but url is http://, so nothing would be encrypted")
        yield from certificate_with_key(self)


class CommandSettings(Section):
    """Commands over MQTT (the command line uses the socket in the state folder)."""

    hmac_key_file: Path | None = Field(None, description="key that signs commands over MQTT")
    trust_broker_acl: bool = Field(False, description="take unsigned ones: the broker lets only operators publish")


class HttpSettings(Section):
    """The HTTP port: health, metrics, commands."""

    enabled: bool = Field(True, description="listen")
    host: str = Field(
        "127.0.0.1", min_length=1, description="address to listen on; others than loopback need a token"
    )
    port: int = Field(8080, ge=0, le=65535, description="port to listen on; 0: one that is free")
    token: SecretStr | None = Field(
        None, description="whoever sends it as `Authorization: Bearer` may ask; better from a secret file"
    )
    token_file: Path | None = Field(None, description="file that holds the token")
    allowed_hosts: tuple[str, ...] = Field(
        (), description="further host names by which it is asked, such as a proxy's; they need a token"
    )
    simulator_topic: str = Field(
        "", description="topic at which a simulated fleet takes faults from the page, as in the demo; empty: none"
    )

    def mistakes(self) -> Iterator[Mistake]:
        """One token, that cannot be guessed; and one at all where others than this machine can ask."""
        if set(self.simulator_topic) & set("+#\0") or self.simulator_topic.startswith(("$", "/")):
            yield Mistake(("simulator_topic",), "cannot be a topic: leave out +, #, and a leading $ or /")
        yield from only_one(self, "token", "token_file")
        if self.token is not None and len(self.token.get_secret_value()) < LEAST_TOKEN:
            yield Mistake(("token",), f"has less than {LEAST_TOKEN} characters, so it could be guessed")
        if self.token is not None and not in_a_header(self.token.get_secret_value()):
            yield Mistake(("token",), NO_HEADER)
        if self.token is None and self.token_file is None and self.enabled:
            if not is_loopback(self.host):
                yield Mistake(
                    ("host", "token_file"), f"{self.host} can be reached from elsewhere: set a token_file"
                )
            elif self.allowed_hosts:
                yield Mistake(
                    ("allowed_hosts", "token_file"), "somebody else is to ask, it seems: set a token_file"
                )


class LogSettings(Section):
    """The log, on standard error."""

    format: Literal["console", "json"] = Field("console", description="for people, or one JSON object a line")
    level: Literal["debug", "info", "warning", "error"] = Field("info", description="the least that is written")


class Settings(BaseSettings):
    """All the settings, in the order of the line."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True, validate_default=True)

    daemon: DaemonSettings = Field(DaemonSettings(), description="the daemon itself")
    mqtt: MqttSettings = Field(MqttSettings(), description="the broker")
    classes: tuple[ClassSettings, ...] = Field((), description="the asset classes")
    align: AlignSettings = Field(AlignSettings(), description="ticks")
    sensor_check: SensorCheckSettings = Field(SensorCheckSettings(), description="faulty sensors")
    window: WindowSettings = Field(WindowSettings(), description="windows")
    learning: LearningSettings = Field(LearningSettings(), description="no model yet")
    shadow: ShadowSettings = Field(ShadowSettings(), description="a candidate beside the model")
    score: ScoreSettings = Field(ScoreSettings(), description="the model")
    threshold: ThresholdSettings = Field(ThresholdSettings(), description="thresholds")
    alert: AlertSettings = Field(AlertSettings(), description="incidents")
    drift: DriftSettings = Field(DriftSettings(), description="models that have gone stale")
    store: StoreSettings = Field(StoreSettings(), description="the store")
    influx: InfluxSettings = Field(InfluxSettings(), description="InfluxDB")
    notify: NotifySettings = Field(NotifySettings(), description="subscribers")
    commands: CommandSettings = Field(CommandSettings(), description="commands")
    http: HttpSettings = Field(HttpSettings(), description="the HTTP port")
    canary: CanarySettings = Field(CanarySettings(), description="a simulated engine with known faults")
    fleet: FleetSettings = Field(FleetSettings(), description="the line on Spark")
    log: LogSettings = Field(LogSettings(), description="the log")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Nothing comes in by itself: `config.load` brings every source, knowing where each value stood."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)

    @model_validator(mode="before")
    @classmethod
    def _inherited(cls, value: Any) -> Any:
        return inherited(value) if isinstance(value, dict) else value

    @field_validator("classes", mode="before")
    @classmethod
    def _classes_in_file_order(cls, value: Any) -> Any:
        return in_file_order(value)

    @model_validator(mode="after")
    def _agreeing(self) -> Self:
        refuse([mistake for index in range(len(self.classes)) for mistake in self._class_mistakes(index)])
        return self

    def _class_mistakes(self, index: int) -> Iterator[Mistake]:
        """What is wrong between a class and those before it: the same name, or the same assets twice."""
        later = self.classes[index]
        if later.name == CANARY:
            yield Mistake((f"classes.{index}.name",), f'"{CANARY}" is the name of the canary\'s own class')
        for number, earlier in enumerate(self.classes[:index]):
            if earlier.name == later.name:
                sentence = f'"{later.name}" is the name of classes.{number} already'
                yield Mistake((f"classes.{index}.name",), sentence)
            shared = next((topic for topic in later.topics if topic in earlier.topics), None)
            if shared is not None and "{asset}" not in shared:
                sentence = f"{shared} is a topic of classes.{number} already, and only the payload names the asset"
                yield Mistake((f"classes.{index}.topics",), sentence)
                continue
            pairs = [(one, other) for one in earlier.assets for other in later.assets]
            both = next((pair for pair in pairs if globs_overlap(*pair)), None)
            if shared is not None and both is not None:
                yield Mistake(
                    (f"classes.{index}.assets", f"classes.{index}.topics", f"classes.{index}.name"),
                    f'"{both[1]}" can be the same asset as "{both[0]}" of classes.{number} on the topic {shared}; '
                    "give the two classes different assets or topics",
                )
