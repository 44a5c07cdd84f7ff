"""`init --from-broker`: listen until nothing new comes, and find out what was heard."""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live

from config.overlap import globs_overlap
from monitor.cli import UserError
from monitor.commands.births import decoder, rebirth_request
from monitor.commands.connection import mqtt_settings
from monitor.discovery.capture import to_line
from monitor.discovery.discover import discover
from monitor.discovery.written import quoted
from monitor.listen import Listener
from monitor.log import only_errors_logged
from monitor.mqtt import MqttError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from config.settings import MqttSettings
    from monitor.discovery.capture import Capture
    from monitor.discovery.findings import Findings

USUAL_S = 30.0  # where no time is given; then less can be enough
QUIET_S = 10.0  # without a new topic; then it is enough, unless some topic was heard too rarely
LOOK_S = 0.25


@dataclass(frozen=True, slots=True)
class Found:
    """Findings and what the command says around them."""

    findings: Findings
    heading: str
    origin: str  # for the files: "from …"
    nothing: str  # what to say where nothing was found
    mqtt: Sequence[str] = ()  # lines of that block
    commands: Sequence[str] = ()  # what comes next beside check and monitor
    aliases: bool = True


def from_broker(options: argparse.Namespace) -> Found:
    """Listen as the options say. Raises UserError where the broker cannot be reached or refuses."""
    settings = _settings(options)
    filters = options.topic or ["#"]
    for topic in filters:
        if not topic or "#" in topic[:-1] or any("+" in level and level != "+" for level in topic.split("/")):
            raise UserError(
                f"--topic {topic!r} is no topic filter: + stands for a whole level, # for all that follow"
            )
    capture, seconds = _listen(settings, filters, options.listen, rebirth=options.rebirth)
    if options.capture is not None:
        _write_capture(options.capture, capture)
    findings = discover(capture, globs_overlap, decoder())
    where = ", ".join(filters)
    old = f", {findings.retained} of them retained (old)" if findings.retained else ""
    url = f"{settings.host}:{settings.port}"
    return Found(
        findings=findings,
        heading=f"Listened {seconds:.0f} s on {url}, topics {where}: {findings.messages} messages on "
        f"{findings.topics} topics{old}.",
        origin=f"from {findings.messages} messages on {url}",
        nothing=_nothing(findings, where),
        mqtt=_mqtt(settings),
    )


def _nothing(findings: Findings, where: str) -> str:
    if findings.messages:
        return "No machine was found in what was heard, so nothing is written. The lines above say why."
    return (
        f"Nothing was heard on {where}, so nothing is written. Do the machines publish on this broker, and may "
        "this user read there (the broker's ACL)? --listen 5m listens longer, --topic listens elsewhere."
    )


def _settings(options: argparse.Namespace) -> MqttSettings:
    given = argparse.Namespace(
        **{**vars(options), "broker": options.from_broker, "site": "-", "root": "enginewatch"}
    )
    try:
        return mqtt_settings(given)
    except UserError as error:
        raise UserError(str(error).replace("--broker", "--from-broker")) from error


def _listen(
    settings: MqttSettings, filters: Sequence[str], limit: float | None, *, rebirth: bool
) -> tuple[Capture, float]:
    """What was heard, and for how long. Ctrl-C ends it early, and what was heard counts."""
    options = "(here by --from-broker, --password-file and --ca-file)"
    with only_errors_logged():
        try:
            listener = Listener(settings, filters, rebirth=rebirth_request() if rebirth else None)
        except MqttError as error:
            raise UserError(f"{error} {options}") from error
        listener.start()
        try:
            if problem := listener.wait_listening():
                raise UserError(f"{problem} {options}")
            for refused in listener.refused:
                sys.stderr.write(f"warning: {refused}\n")
            began = time.monotonic()
            _wait(listener, began, limit)
            seconds = time.monotonic() - began
        finally:
            listener.stop()
    return listener.captured(), seconds


def _wait(listener: Listener, began: float, given: float | None) -> None:
    """Until the given time is over; without one, until nothing new is to be expected."""
    limit = USUAL_S if given is None else given
    quiet_ms = round(QUIET_S * 1000)
    console = Console(stderr=True)
    try:
        with Live(console=console, auto_refresh=False, transient=True) as live:
            while (spent := time.monotonic() - began) < limit and listener.failed is None:
                messages, topics = listener.counts()
                told = f"listening {spent:.0f} of {limit:.0f} s: {messages} messages on {topics} topics"
                live.update(f"{told}  {listener.problem}  (Ctrl-C: that is enough)", refresh=True)
                time.sleep(min(LOOK_S, limit - spent))
                if given is None and spent >= QUIET_S and listener.enough(time.time_ns() // 1_000_000, quiet_ms):
                    return
    except KeyboardInterrupt:
        return


def _write_capture(path: Path, capture: Capture) -> None:
    try:
        with path.open("x", encoding="utf-8") as file:
            file.writelines(to_line(message) + "\n" for message in capture)
    except OSError as error:
        raise UserError(f"--capture: {path} cannot be written: {error.strerror}") from error


def _mqtt(settings: MqttSettings) -> list[str]:
    lines = [f"host = {quoted(settings.host)}", f"port = {settings.port}"]
    if settings.username:
        lines.append(f"username = {quoted(settings.username)}")
    if settings.password_file is not None:
        lines.append(f"password_file = {quoted(str(settings.password_file.resolve()))}  # chmod 600")
    if settings.tls.enabled:
        lines += ["", "[mqtt.tls]", "enabled = true"]
        if settings.tls.ca_file is not None:
            lines.append(f"ca_file = {quoted(str(settings.tls.ca_file.resolve()))}")
    return lines
