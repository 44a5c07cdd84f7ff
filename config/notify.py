"""The section `notify`: who is told of incidents, by which way, and how often."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, SecretStr, field_validator

from config.section import Mistake, Section, Template, in_file_order, in_order, only_one

if TYPE_CHECKING:
    from collections.abc import Iterator

DAY, YEAR = 86_400, 366 * 86_400  # seconds
UpToADay = Annotated[float, Field(gt=0, le=DAY)]
UpToAYear = Annotated[float, Field(gt=0, le=YEAR)]
KINDS = (
    "anomaly", "limit", "stale", "blind", "sensor_range", "sensor_stuck", "sensor_dropout", "sensor_noise",
    "sensor_rate", "sensor_spikes",
)  # fmt: skip


def _zone(name: str) -> str:
    """Refuse what is no time zone. UTC needs no data of the system, which small images do not have."""
    if name == "UTC":
        return name
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError('is no time zone that this machine knows; write it as "Europe/Berlin" or "UTC"') from None
    return name


def _time_of_day(text: str) -> str:
    """Refuse what is no time of day."""
    if text and not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", text):
        raise ValueError('must be a time of day such as "22:00"')
    return text


def _page(url: str) -> str:
    """Refuse what nobody can follow."""
    if url and not re.fullmatch(r"https?://[^\s]+", url):
        raise ValueError("must be the http:// or https:// address of the page as people reach it")
    return url.rstrip("/")


# What belongs to messages that are made by our own rules.
OF_MESSAGES = ("group_by", "quiet_from", "quiet_to", "time_zone", "critical_passes")
TimeOfDay = Annotated[str, AfterValidator(_time_of_day)]


class ChannelSettings(Section):
    """A way to tell people or another system of incidents, and of which."""

    name: str = Field(pattern=r"^[A-Za-z0-9_.-]+$", description="name of the channel, here and in metrics")
    to: Literal["people", "webhook", "alertmanager"] = Field(
        "people", description="people by mail, chat or SMS (apprise); a webhook; a Prometheus Alertmanager"
    )
    url: SecretStr | None = Field(
        None, description="where to; for people an apprise address. It holds secrets: better from a secret file"
    )
    url_file: Path | None = Field(None, description="file that holds the address")
    token: SecretStr | None = Field(
        None, description="webhook, alertmanager: sent as `Authorization: Bearer`; better from a secret file"
    )
    token_file: Path | None = Field(None, description="file that holds the token")
    ca_file: Path | None = Field(None, description="webhook, alertmanager: authority that signed the certificate")
    timeout_s: float = Field(10.0, gt=0, le=300, description="longest wait for an answer")
    assets: tuple[str, ...] = Field(("*",), min_length=1, description="globs on site/area/asset that are told")
    exclude: tuple[str, ...] = Field((), description="globs on site/area/asset that are not; the canary never is")
    kinds: tuple[str, ...] = Field((), description="kinds of incident that are told; empty: all")
    severity: Literal["warning", "critical"] = Field("warning", description="the least that is told")
    group_by: Literal["incident", "asset", "area", "site"] = Field(
        "asset", description="incidents of one such go into one message (alertmanager groups by itself)"
    )
    quiet_from: TimeOfDay = Field("", description='from when on nothing is told, such as "22:00"; empty: never')
    quiet_to: TimeOfDay = Field("", description="until when; what was held back then comes as one message")
    time_zone: Annotated[str, AfterValidator(_zone)] = Field("UTC", description="of the quiet hours")
    critical_passes: bool = Field(True, description="critical incidents are told in quiet hours as well")

    def mistakes(self) -> Iterator[Mistake]:
        """One address, of the kind that the channel takes, and quiet hours that begin and end."""
        yield from only_one(self, "url", "url_file")
        yield from only_one(self, "token", "token_file")
        if self.url is None and self.url_file is None:
            yield Mistake(("name", "url_file"), "has no address: set a url_file or url beside it")
        if self.url is not None and (wrong := wrong_address(self.to, self.url.get_secret_value())):
            yield Mistake(("url",), wrong)
        if self.to == "people" and find_spec("apprise") is None:
            yield Mistake(("to", "name"), "people need the extra: pip install 'enginewatch[people]'")
        for name in ("token", "token_file", "ca_file"):
            if self.to == "people" and getattr(self, name) is not None:
                yield Mistake((name,), "means nothing for people: apprise's address holds all of it")
        for given, other in (("quiet_from", "quiet_to"), ("quiet_to", "quiet_from")):
            if getattr(self, given) and not getattr(self, other):
                yield Mistake((given,), f"needs {other} beside it")
        if self.token is not None and (wrong := wrong_token(self.token.get_secret_value())):
            yield Mistake(("token",), wrong)
        if self.to == "alertmanager":
            for name in OF_MESSAGES:
                if name in self.model_fields_set and getattr(self, name) != type(self).model_fields[name].default:
                    yield Mistake(
                        (name,), "means nothing for an Alertmanager: it groups and mutes by its own rules"
                    )
        if self.quiet_from and self.quiet_from == self.quiet_to:
            yield Mistake(("quiet_to", "quiet_from"), "is when the quiet hours begin, so they would never end")
        strange = [kind for kind in self.kinds if kind not in KINDS]
        if strange:
            yield Mistake(("kinds",), f'"{strange[0]}" is no kind of incident; there are {", ".join(KINDS)}')


def wrong_address(to: str, url: str) -> str:
    """Why an address is none of this kind, in words without it, for it may hold secrets; empty where it is one."""
    if to == "people":
        usable = re.fullmatch(r"[A-Za-z][\w+.-]*://\S.*", url)
        return (
            "" if usable else "must be an apprise address such as mailto://USER:PASSWORD@HOST or ntfy://HOST/TOPIC"
        )
    try:
        parts = urlsplit(url)
        good = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or re.search(r"\s", url):
        return "must be http://HOST:PORT/PATH or https://HOST:PORT/PATH"
    if to == "alertmanager" and "/api/" in f"{parts.path}/":
        return "must be http://HOST:PORT without /api/…, which is added"
    return "" if parts.username is None else "must not hold a user: give a token or token_file"


def wrong_token(token: str) -> str:
    """Why no HTTP header can carry a token, in words without it; empty where one can."""
    return "" if re.fullmatch(r"[!-~]+", token) else "must be one line of ASCII characters without spaces"


class HomeAssistantSettings(Section):
    """Assets as devices of Home Assistant, by its MQTT discovery."""

    enabled: bool = Field(False, description="publish them over MQTT")
    prefix: str = Field(
        "homeassistant", pattern=r"^[^+#\s]+$", description="first level of the discovery topics, as set there"
    )
    every_s: float = Field(10.0, ge=1, le=3600, description="scores are published so often")
    exclude: tuple[str, ...] = Field(
        (), description="globs on site/area/asset that are not published; the canary never is"
    )


class NotifySettings(Section):
    """Telling subscribers over MQTT, and people and systems by channels."""

    mqtt: bool = Field(True, description="publish alerts over MQTT")
    topic: Template = Field(
        "{root}/v1/{site}/{area}/{asset}/alert",
        description="open incidents, retained; transitions go to …/event below it; without an area its level goes",
    )
    page_url: Annotated[str, AfterValidator(_page)] = Field(
        "", description="address of the page as people reach it, for links; empty: that of http on this machine"
    )
    group_wait_s: float = Field(
        30.0, ge=0, le=DAY, description="a first message waits so long for what else comes up"
    )
    group_interval_s: UpToADay = Field(300.0, description="a group is told of changes so often at the most")
    repeat_interval_s: UpToAYear = Field(4 * 3600.0, description="an incident that stays open is told again")
    flood_alarms: int = Field(10, ge=1, description="more incidents of a site than this …")
    flood_within_s: UpToADay = Field(600.0, description="… in so many seconds become one summary of the site")
    resend_s: float = Field(
        60.0, gt=0, le=240, description="alertmanager: open incidents are sent again; its resolve_timeout is 5 min"
    )
    retry_max_s: float = Field(60.0, ge=1, le=3600, description="longest pause after a failure; trying never ends")
    channels: tuple[ChannelSettings, ...] = Field((), description="people and systems that are told")
    home_assistant: HomeAssistantSettings = Field(HomeAssistantSettings(), description="Home Assistant")

    @field_validator("channels", mode="before")
    @classmethod
    def _channels_in_file_order(cls, value: Any) -> Any:
        return in_file_order(value)

    def mistakes(self) -> Iterator[Mistake]:
        """An alert is of an asset, and no two channels have one name."""
        if "{asset}" not in self.topic:
            yield Mistake(("topic",), "{asset} is missing, so assets could not be told apart")
        if "{sensor}" in self.topic:
            yield Mistake(("topic",), "{sensor} has no meaning here, an incident is of an asset")
        yield from in_order(self, "group_interval_s", "repeat_interval_s")
        first: dict[str, int] = {}
        for index, channel in enumerate(self.channels):
            if first.setdefault(channel.name, index) != index:
                sentence = f'"{channel.name}" is the name of channels.{first[channel.name]} already'
                yield Mistake((f"channels.{index}.name",), sentence)
