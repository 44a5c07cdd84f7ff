"""The settings that the demo writes for its daemon mean what the user asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from config.classes import resolve_classes
from config.load import load
from config.settings import InfluxSettings, MqttSettings, TlsSettings
from monitor.demo.daemon import settings_file

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    """A folder whose name would end a carelessly written string."""
    folder = tmp_path / 'it"s \\ n#1 größer'
    folder.mkdir()
    return folder


def secret_in(folder: Path, name: str) -> Path:
    file = folder / name
    file.touch(mode=0o600)
    file.write_text("between us")
    return file


def test_the_broker_and_influxdb_of_the_user_reach_the_daemon(odd: Path) -> None:
    """Whatever their names hold."""
    authority = odd / "ca.pem"
    authority.touch()
    mqtt = MqttSettings(
        host="broker.example",
        port=8883,
        username='o"hara',
        password_file=secret_in(odd, "password"),
        root="plant",
        tls=TlsSettings(enabled=True, ca_file=authority),
    )
    influx = InfluxSettings(url="http://127.0.0.1:8086", bucket="b/rp", token_file=secret_in(odd, "token"))
    file = odd / "enginewatch.toml"
    text = settings_file(mqtt, daemon_id="demo-1", site="hall", influx=influx)
    file.write_text(text, encoding="utf-8")
    loaded = load(file, environment={})
    found = loaded.settings
    assert found.mqtt.model_copy(update={"reconnect_min_s": mqtt.reconnect_min_s}) == mqtt
    assert found.influx == influx
    assert found.daemon.state_dir == odd / "state"
    (engine,) = resolve_classes(loaded)
    assert engine.settings.assets == ("hall/*",)
    assert engine.window
    assert any(highest is not None for highest in engine.highest)  # the package's asset file, with its ranges


def test_without_influxdb_nothing_is_sent_there(tmp_path: Path) -> None:
    file = tmp_path / "enginewatch.toml"
    file.write_text(settings_file(MqttSettings(), daemon_id="demo-1", site="demo", influx=None))
    assert load(file, environment={}).settings.influx.url == ""
