"""The files around the settings: secrets, asset files, the shipped file and the page that explains every key."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from config import document
from config.asset_file import AssetFile
from config.files import load_asset_file
from config.load import load
from config.mistakes import SettingsError
from config.own import owner_of
from config.schema import effective, fields, flatten, pattern
from config.settings import ClassSettings, Settings

ROOT = Path(__file__).parent.parent
SHIPPED = ROOT / "config" / "enginewatch.toml"


def refused(path: Path, environment: dict[str, str] | None = None) -> str:
    """The one line by which the settings are refused."""
    with pytest.raises(SettingsError) as caught:
        load(path, environment=environment or {})
    assert len(caught.value.lines) == 1
    return caught.value.lines[0]


def settings_file(folder: Path, text: str) -> Path:
    """A settings file in a folder."""
    path = folder / "enginewatch.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("influx.token_file", '[influx]\norg = "o"\ntoken_file = "secret"\n'),
        ("mqtt.password_file", '[mqtt]\nusername = "me"\npassword_file = "secret"\n'),
        ("commands.hmac_key_file", '[commands]\n\nhmac_key_file = "secret"\n'),
        ("http.token_file", '[http]\n\ntoken_file = "secret"\n'),
        ("mqtt.tls.key_file", '[mqtt.tls]\nenabled = true\nkey_file = "secret"\ncert_file = "secret"\n'),
        ("influx.key_file", '[influx]\ncert_file = "secret"\nkey_file = "secret"\n'),
    ],
)
def test_a_secret_that_others_can_read_is_refused_with_the_remedy(
    tmp_path: Path, key: str, text: str, mode: int
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hunter2, and hunter3\n")
    path = settings_file(tmp_path, text)
    secret.chmod(mode)
    sentence = f"{secret} can be read by others (mode {mode:03o}); run: chmod 600 {secret}"
    assert refused(path) == f"{path}:3: {key}: {sentence}"
    secret.chmod(0o600)
    load(path, environment={})


@pytest.mark.parametrize(
    ("content", "sentence"), [(b"", "is empty"), (b"\n", "is empty"), (b"hunter2\xff", "is not UTF-8 text")]
)
def test_a_token_file_without_a_token_is_refused(tmp_path: Path, content: bytes, sentence: str) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(content)
    secret.chmod(0o600)
    path = settings_file(tmp_path, '[influx]\ntoken_file = "secret"\n')
    assert refused(path) == f"{path}:2: influx.token_file: {secret} {sentence}"


@pytest.mark.parametrize("key", ["http.token_file", "commands.hmac_key_file"])
def test_a_key_that_could_be_guessed_is_refused(tmp_path: Path, key: str) -> None:
    """Fifteen characters are too few, sixteen are not."""
    secret = tmp_path / "secret"
    secret.write_text("x" * 15 + "\n")
    secret.chmod(0o600)
    section, name = key.split(".")
    path = settings_file(tmp_path, f'[{section}]\n{name} = "secret"\n')
    assert refused(path) == f"{path}:2: {key}: {secret} has less than 16 characters, so it could be guessed"
    secret.write_text("x" * 16 + "\n")
    load(path, environment={})


def test_a_token_that_no_browser_could_send_is_refused(tmp_path: Path) -> None:
    """The page could sign nobody in with it."""
    secret = tmp_path / "secret"
    secret.write_text("sixteen, or more, größer\n", encoding="utf-8")
    secret.chmod(0o600)
    path = settings_file(tmp_path, '[http]\ntoken_file = "secret"\n')
    assert f"http.token_file: {secret} must be printable ASCII" in refused(path)


def test_a_token_given_twice_is_refused_without_telling_it(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hunter2")
    (tmp_path / "secret").chmod(0o600)
    path = settings_file(tmp_path, '[influx]\ntoken_file = "secret"\n')
    line = refused(path, {"ENGINEWATCH_INFLUX__TOKEN": "hunter2"})
    assert line == f"{path}:2: influx.token_file: token is given as well; keep one of the two"


def test_secret_files_are_held_to_the_same_rule(tmp_path: Path) -> None:
    """Open to others they are refused; in systemd's own folder the mode is systemd's affair."""
    secret = tmp_path / "influx__token"
    secret.write_text("hunter2\n")
    secret.chmod(0o440)
    with pytest.raises(SettingsError) as caught:
        load(None, environment={"ENGINEWATCH_SECRETS_DIR": str(tmp_path)})
    place = f"secret file {secret}: influx.token"
    assert caught.value.lines == [f"{place}: {secret} can be read by others (mode 440); run: chmod 600 {secret}"]
    token = load(None, environment={"CREDENTIALS_DIRECTORY": str(tmp_path)}).settings.influx.token
    assert token is not None
    assert token.get_secret_value() == "hunter2"


def test_a_mistyped_secret_file_is_told_and_a_certificate_beside_it_is_not(tmp_path: Path) -> None:
    for name in ("mqtt__pasword", "influx_token", "broker-ca.pem", ".hidden__file"):
        (tmp_path / name).write_text("hunter2")
    with pytest.raises(SettingsError) as caught:
        load(None, environment={"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert sorted(caught.value.lines) == [
        f"secret file {tmp_path}/influx_token: unknown key; did you mean influx__token?",
        f"secret file {tmp_path}/mqtt__pasword: unknown key; did you mean mqtt__password?",
    ]


def test_a_secrets_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "none"
    with pytest.raises(SettingsError) as caught:
        load(None, environment={"ENGINEWATCH_SECRETS_DIR": str(folder)})
    assert caught.value.lines == [
        f"environment ENGINEWATCH_SECRETS_DIR: {folder} cannot be read: No such file or directory"
    ]


def test_files_and_folders_that_are_not_there_are_told_at_the_key_that_names_them(tmp_path: Path) -> None:
    tls = '[mqtt.tls]\nenabled = true\nca_file = "ca.pem"\n'
    path = settings_file(tmp_path, tls + '[[classes]]\nname = "a"\nfile = "a.toml"\nmodel = "model"\n')
    with pytest.raises(SettingsError) as caught:
        load(path, environment={})
    missing = "cannot be read: No such file or directory"
    assert caught.value.lines == [
        f"{path}:3: mqtt.tls.ca_file: {tmp_path}/ca.pem {missing}",
        f"{path}:6: classes.0.file: {tmp_path}/a.toml {missing}",
        f"{path}:7: classes.0.model: there is no folder {tmp_path}/model",
    ]


def test_paths_in_a_file_are_relative_to_it_and_others_to_the_current_folder(tmp_path: Path) -> None:
    """The default state folder lies beside the file, so that every command finds the same one."""
    path = settings_file(tmp_path, "")
    assert load(path, environment={}).settings.daemon.state_dir == tmp_path / "state"
    settings_file(tmp_path, '[daemon]\nstate_dir = "mine"\n')
    assert load(path, environment={}).settings.daemon.state_dir == tmp_path / "mine"
    given = load(path, environment={"ENGINEWATCH_DAEMON__STATE_DIR": "here"})
    assert given.settings.daemon.state_dir == Path("here")
    settings_file(tmp_path, '[daemon]\nstate_dir = "/var/lib/enginewatch"\n')
    assert load(path, environment={}).settings.daemon.state_dir == Path("/var/lib/enginewatch")


def test_the_mistakes_of_an_asset_file_are_told_with_its_own_lines(tmp_path: Path) -> None:
    asset = tmp_path / "engine.toml"
    asset.write_text(
        'period_ms = 0\none_reading = true\n[[sensors]]\nname = "speed"\nmin = 9\nmax = 1\n'
        '[[sensors]]\nunit = "rpm"\n'
    )
    path = settings_file(tmp_path, '[[classes]]\nname = "a"\nfile = "engine.toml"\n')
    with pytest.raises(SettingsError) as caught:
        load(path, environment={})
    assert caught.value.lines == [
        f"{asset}:1: period_ms: must be a whole number not below 1, not 0",
        f"{asset}:2: one_reading: unknown key; did you mean one_reading_per_tick?",
        f"{asset}:5: sensors.0.min: 9.0 is more than max, which is 1.0",
        f"{asset}:7: sensors.1.name: must be given",
    ]


def test_a_sensor_name_that_is_there_twice_is_told_at_the_second(tmp_path: Path) -> None:
    asset = tmp_path / "engine.toml"
    asset.write_text('period_ms = 1\n[[sensors]]\nname = "speed"\n[[sensors]]\n\nname = "speed"\n')
    with pytest.raises(SettingsError) as caught:
        load_asset_file(asset)
    assert caught.value.lines == [f'{asset}:6: sensors.1.name: "speed" is there already, as sensors.0']


def test_an_asset_file_without_sensors_is_refused(tmp_path: Path) -> None:
    asset = tmp_path / "engine.toml"
    asset.write_text("period_ms = 1\n")
    with pytest.raises(SettingsError, match="sensors: must be given"):
        load_asset_file(asset)


@pytest.mark.parametrize("asset", sorted((ROOT / "config" / "assets").glob("*.toml")), ids=lambda path: path.stem)
def test_every_shipped_asset_file_loads(asset: Path) -> None:
    assert all(sensor.unit for sensor in load_asset_file(asset).sensors)


def test_the_shipped_settings_change_nothing_but_name_one_class() -> None:
    loaded = load(SHIPPED, environment={})
    changed = {key for key, source in loaded.sources.items() if source != "default"}
    assert changed == {"classes.0.name", "classes.0.file"}
    assert len(loaded.assets["engine"].sensors) == 15


def test_the_shipped_settings_hold_every_key_at_its_default_with_a_comment(tmp_path: Path) -> None:
    """With every `#` before a key removed, the file gives each key once and changes no value."""
    text = SHIPPED.read_text(encoding="utf-8")
    path = settings_file(tmp_path, re.sub(r"(?m)^#(?=[a-z_]+ = )", "", text))
    (tmp_path / "assets").symlink_to(SHIPPED.parent / "assets")
    keys = [pattern(key) for key, _ in flatten(tomllib.loads(path.read_text(encoding="utf-8")))]
    described = (".overrides.", "notify.channels.")  # by an example
    whole = [key for key in fields(Settings) if not owner_of(key) and not any(part in key for part in described)]
    assert keys == whole
    example = ClassSettings(name="engine", file=tmp_path / "assets" / "engine.toml")
    expected = dict(effective(Settings(classes=(example,)))) | {"daemon.state_dir": tmp_path / "state"}
    assert dict(effective(load(path, environment={}).settings)) == expected
    assert re.findall(r"\n\n#?[a-z_]+ = .*", text) == []  # a key follows its comment, its neighbour or its section


def test_the_settings_page_is_up_to_date_and_explains_every_key() -> None:
    """After a change of the settings: `python -m config.document > docs/settings.md`."""
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert page == document.page()
    for key, field in (fields(Settings) | fields(AssetFile)).items():
        assert field.description, key
        assert owner_of(key) or f"| `{key}` | " in page, key
