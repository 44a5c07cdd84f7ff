"""deploy/compose.yaml and the Containerfile: as far as they can be tried without an engine that runs containers.

The broker is started by their script, the daemon has their settings, the fleet and the doctor their words.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import jsonschema
import pytest
from packaging.specifiers import SpecifierSet
from ruamel.yaml import YAML

from tests.rig import COMMAND, Daemon, answer, environment, until
from tests.servers import find, free_port, missing
from tests.servers.brokers import Broker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers.influxd import Influxd

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
COMPOSE = YAML(typ="safe").load(DEPLOY / "compose.yaml")
SERVICES = COMPOSE["services"]
CONTAINERFILE = (DEPLOY / "Containerfile").read_text().replace("\\\n", " ")


@pytest.fixture
def secrets(tmp_path: Path) -> dict[str, str]:
    """What deploy/compose/secrets.sh wrote."""
    file = tmp_path / ".env"
    for _ in range(2):  # the second time it leaves the file as it is
        subprocess.run([DEPLOY / "compose" / "secrets.sh", file], check=True, capture_output=True)
    assert file.stat().st_mode & 0o777 == 0o600
    return dict(line.split("=") for line in file.read_text().splitlines())


def given(service: str, secrets: dict[str, str]) -> dict[str, str]:
    """A service's environment, with the secrets in it."""
    named: dict[str, str] = SERVICES[service]["environment"]
    return {name: secrets[value.split(":")[0].removeprefix("${")] for name, value in named.items()}


def test_compose_has_nothing_that_its_schema_does_not_know() -> None:
    """That of the compose specification, as check-jsonschema carries it."""
    schema = json.loads(
        (files("check_jsonschema") / "builtin_schemas" / "vendor" / "compose-spec.json").read_text()
    )
    jsonschema.validate(COMPOSE, schema, cls=jsonschema.validators.validator_for(schema))


def test_every_secret_is_made_and_none_is_kept_here(secrets: dict[str, str]) -> None:
    text = (DEPLOY / "compose.yaml").read_text()
    assert set(re.findall(r"(?<!\$)\$\{(\w+)", text)) == secrets.keys()
    assert len(set(secrets.values())) == len(secrets)
    assert all(len(value) >= 32 for value in secrets.values())
    assert subprocess.run(["git", "check-ignore", "-q", "deploy/.env"], cwd=ROOT, check=False).returncode == 0


def test_services_have_what_they_name() -> None:
    """Files, volumes and other services; ports are for this machine alone; whoever ends is started again."""
    for name, service in SERVICES.items():
        assert set(service.get("depends_on", {})) <= SERVICES.keys()
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
        assert service["restart"] == ("no" if name == "doctor" else "unless-stopped")
        assert "no-new-privileges:true" in service["security_opt"]
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert (DEPLOY / source).exists() if source.startswith(".") else source in COMPOSE["volumes"]
    provider = YAML(typ="safe").load(DEPLOY / "grafana" / "provisioning" / "dashboards" / "enginewatch.yaml")
    dashboards = f"./grafana/dashboards:{provider['providers'][0]['options']['path']}:ro"
    assert dashboards in SERVICES["grafana"]["volumes"]


def test_the_image_is_made_of_what_is_locked_and_runs_without_rights() -> None:
    stages = re.split(r"(?m)^FROM ", CONTAINERFILE)[1:]
    python = re.search(r"python:(\d\.\d+)", CONTAINERFILE)
    assert python is not None
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert python[1] in SpecifierSet(project["requires-python"])
    ignored = (ROOT / ".containerignore").read_text().splitlines()
    allowed = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    taken = [word for line in re.findall(r"(?m)^COPY (?!--)(.*)$", stages[0]) for word in line.split()[:-1]]
    assert set(taken) == allowed
    assert all((ROOT / name).exists() for name in taken)
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert set(packages["packages"]) <= set(taken)
    assert "--require-hashes" in stages[0]
    user = re.search(r"(?m)^USER (\d+):(\d+)$", stages[-1])
    assert user is not None
    assert min(int(user[1]), int(user[2])) > 999
    assert "state:/var/lib/enginewatch" in SERVICES["enginewatch"]["volumes"]
    assert "ENGINEWATCH_DAEMON__STATE_DIR=/var/lib/enginewatch" in stages[-1]


class ComposedBroker(Broker):
    """mosquitto as compose.yaml starts it, but for its folders and its port."""

    program = "mosquitto"

    def __init__(self, folder: Path, secrets: dict[str, str]) -> None:
        super().__init__(folder)
        config = DEPLOY / "compose" / "mosquitto"
        text = (config / "mosquitto.conf").read_text().replace("/mosquitto/data", str(folder))
        text = text.replace("listener 1883", f"listener {self.port} {self.host}")
        text = text.replace("/mosquitto/config/access.acl", str(config / "access.acl"))
        (folder / "mosquitto.conf").write_text(
            f"user root\n{text}"
        )  # whoever it starts as, it may read the folder
        self._variables = given("mosquitto", secrets)

    def command(self) -> list[str]:
        words = [f"{name}={value}" for name, value in self._variables.items()]
        script = DEPLOY / "compose" / "mosquitto" / "start.sh"
        folders = [f"PASSWORDS_FILE={self.folder / 'passwords'}", f"HEALTH_FOLDER={self.folder}"]
        path = f"PATH={Path(find('mosquitto') or '').parent}:/usr/bin:/bin"
        return ["env", path, *folders, *words, "sh", str(script), str(self.folder / "mosquitto.conf")]


@pytest.fixture
def broker(tmp_path: Path, secrets: dict[str, str]) -> Iterator[ComposedBroker]:
    if not ComposedBroker.installed():
        missing("mosquitto")
    with ComposedBroker(tmp_path / "broker", secrets) as started:
        yield started


def test_the_broker_s_health_check_signs_in_and_shows_nobody_the_password(
    broker: ComposedBroker, secrets: dict[str, str]
) -> None:
    """Neither in its arguments nor to others who read the file."""
    file = broker.folder / "mosquitto_sub"
    assert file.stat().st_mode & 0o077 == 0
    check = SERVICES["mosquitto"]["healthcheck"]["test"].replace("$$", "$")
    assert "PASSWORD" not in check
    elsewhere = check.replace("=/tmp", f"={broker.folder}").replace(
        "mosquitto_sub", f"mosquitto_sub -p {broker.port}"
    )
    for signs_in in (True, False):
        done = subprocess.run(["sh", "-c", elsewhere], capture_output=True, text=True, check=False)
        assert (done.returncode == 0, done.stdout.startswith("mosquitto version")) == (signs_in, signs_in)
        file.write_text(file.read_text().replace(secrets["MQTT_PASSWORD"], "wrong"))


def test_the_doctor_has_nothing_to_say_of_the_composed_plant(
    tmp_path: Path, broker: ComposedBroker, influxd: Influxd, secrets: dict[str, str]
) -> None:
    """Every hop is well, from the settings to InfluxDB, and the image's own look at the daemon says so too."""
    influxd.create_database("enginewatch")
    influxd.configure(token=secrets["INFLUX_TOKEN"])
    port = free_port()
    elsewhere = {
        "ENGINEWATCH_MQTT__HOST": broker.host,
        "ENGINEWATCH_MQTT__PORT": str(broker.port),
        "ENGINEWATCH_INFLUX__URL": influxd.url,
        "ENGINEWATCH_HTTP__PORT": str(port),
    }
    named = given("enginewatch", secrets)
    daemon = Daemon(tmp_path, (DEPLOY / "compose" / "enginewatch.toml").read_text(), **elsewhere, **named)
    password = tmp_path / "machines"
    password.touch(0o600)
    password.write_text(secrets["MACHINES_PASSWORD"])
    fleet = [
        word.replace("mosquitto:1883", f"{broker.host}:{broker.port}").replace("/tmp/password", str(password))  # noqa: S108 - of a container
        for word in SERVICES["fleet"]["command"]
    ]
    with subprocess.Popen([*COMMAND, *fleet], env=environment(), stdout=subprocess.DEVNULL) as machines:
        try:
            daemon.start()
            until(lambda: daemon.accounted() > 0, why="the fleet's readings")
            until(lambda: answer(f"http://127.0.0.1:{port}", "/livez")[0] == 200)
            file = str(tmp_path / "enginewatch.toml")
            words = [file if word.startswith("/etc/") else word for word in SERVICES["doctor"]["command"]]
            looked = subprocess.run(
                [*COMMAND, *words, "--json"],
                env=environment() | elsewhere | named, cwd=tmp_path, capture_output=True, text=True, check=False,
            )  # fmt: skip
            found = [json.loads(line) for line in looked.stdout.splitlines()]
            others = {each["hop"] for each in found if each["state"] != "ok"}
            assert others <= {"score", "channels"}  # it warms up, and has no channels to people
            assert looked.returncode == 0, looked.stderr
            probe = re.search(r"HEALTHCHECK .* CMD (\[.*\])", CONTAINERFILE)
            assert probe is not None
            words = [word.replace(":8080/", f":{port}/") for word in json.loads(probe[1])]
            subprocess.run([sys.executable, *words[1:]], check=True)
            daemon.stop()
        finally:
            machines.terminate()
            daemon.close()
    assert influxd.query('SELECT count("status") FROM "anomaly"', "enginewatch")
