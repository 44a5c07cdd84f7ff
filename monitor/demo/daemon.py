"""The demo's daemon: its settings, and what it and the fleet would leave behind at a broker that is not ours."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from monitor.decode import META_TOPIC, STATUS_TOPIC, fill
from monitor.mqtt import Link

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from config.settings import InfluxSettings, MqttSettings

MODEL = "pretrained:engine"
ALERT_TOPIC = "{root}/v1/{site}/{asset}/alert"


def simulator_topic(root: str, daemon_id: str) -> str:
    """Where the fleet of a demo takes orders."""
    return f"{root}/_simulator/{daemon_id}"


def settings_file(mqtt: MqttSettings, *, daemon_id: str, site: str, influx: InfluxSettings | None) -> str:
    """The settings of a daemon that watches one site at this broker, as TOML. Its state stands beside the file."""
    sections: dict[str, Mapping[str, object]] = {
        "daemon": {"id": daemon_id, "state_dir": "state"},
        "mqtt": {
            "host": mqtt.host,
            "port": mqtt.port,
            "username": mqtt.username,
            "password_file": mqtt.password_file and mqtt.password_file.absolute(),
            "root": mqtt.root,
            "reconnect_min_s": 0.2,
        },
        "mqtt.tls": {"enabled": mqtt.tls.enabled, "ca_file": mqtt.tls.ca_file and mqtt.tls.ca_file.absolute()},
        "[classes]": {"name": "engine", "model": MODEL, "assets": [f"{site}/*"]},
        "http": {
            "port": 0,
            "simulator_topic": simulator_topic(mqtt.root, daemon_id),
        },  # beside a daemon of the user
        "log": {"format": "json"},
    }
    if influx is not None:
        sections["influx"] = influx_section(influx)
    return as_toml(sections)


def influx_section(influx: InfluxSettings) -> dict[str, object]:
    """What the user said of an InfluxDB."""
    given = {name: getattr(influx, name) for name in influx.model_fields_set}
    return given | {"token_file": influx.token_file and influx.token_file.absolute()}


def as_toml(sections: Mapping[str, Mapping[str, object]]) -> str:
    """The text of a settings file; what is None is left out."""
    return "\n".join(line for name, keys in sections.items() for line in _section(name, keys))


def _section(name: str, keys: Mapping[str, object]) -> Iterator[str]:
    """A table of TOML; JSON's strings, numbers, switches and lists are TOML's too."""
    yield f"[{name}]"
    for key, value in keys.items():
        if value is not None:
            plain = value if isinstance(value, bool | int | float | list) else str(value)
            yield f"{key} = {json.dumps(plain, ensure_ascii=False)}"
    yield ""


class Sweeper(Link):
    """Takes from a broker what it would keep of a demo: the daemon's session, and retained messages."""

    def __init__(
        self, settings: MqttSettings, daemon_id: str, publisher: str, site: str, assets: Iterable[str]
    ) -> None:
        """A connection under the daemon's own name that keeps no session ends the one there was.

        `publisher` is the client id of the fleet's. Raises MqttError where the settings cannot be used.
        """
        super().__init__(settings, f"enginewatch-{daemon_id}")
        root = settings.root
        self._retained = [f"{root}/_monitor/{daemon_id}/status", f"{root}/_publisher/{publisher}/status"]
        for asset in assets:
            for template in (META_TOPIC, STATUS_TOPIC, ALERT_TOPIC):
                self._retained.append(fill(template, root=root, site=site, area="", asset=asset))
        self.done = False

    def on_turn(self) -> None:
        """An empty retained message takes the place of what was retained, and is not kept itself."""
        while self._retained:
            self.publish(self._retained.pop(), b"", retain=True)
        self.done = True
