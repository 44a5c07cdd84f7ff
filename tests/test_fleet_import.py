"""What `enginewatch fleet import` says of settings that are not those of the daemon."""

from __future__ import annotations

from dataclasses import replace

import pytest

from monitor.cli import main
from monitor.commands.fleet_import import changed
from monitor.spec import ClassSpec, LineSpec
from tests.line_samples import ROOT, shipped

PUMPS = shipped("pumps")


@pytest.mark.parametrize(
    ("now", "said"),
    [
        ((PUMPS,), []),
        (
            (replace(PUMPS, model="other", model_hash="o" * 64),),
            ["used the model balance (balance), the settings name the model other (oooooooooooo): its"],
        ),
        ((replace(PUMPS, model="", model_hash=""),), ["the settings name no model: its thresholds begin anew"]),
        ((replace(PUMPS, wanted_ms=5),), ["class pumps has other settings; what means the same is kept"]),
        ((shipped("fans"),), ["class fans is new", "class pumps is gone, and its assets with it"]),
    ],
)
def test_what_changes_as_the_job_begins_is_said(now: tuple[ClassSpec, ...], said: list[str]) -> None:
    found = changed(LineSpec(ROOT, 100, (PUMPS,)), LineSpec(ROOT, 100, now))
    assert len(found) == len(said)
    assert all(part in line for part, line in zip(said, found, strict=True)), found


def test_a_folder_that_no_daemon_had_is_refused_before_spark_starts(
    tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    """In one line, and nothing is made."""
    pytest.importorskip("pyspark", reason='needs the extra "fleet"')
    folder = tmp_path_factory.mktemp("nobody")
    (folder / "enginewatch.toml").write_text('[[classes]]\nname = "engine"\nmodel = "pretrained:engine"\n')
    code = main(
        ["fleet", "import", "--config", str(folder / "enginewatch.toml"), "--state", str(folder / "state")]
    )
    assert code == 2
    assert capsys.readouterr().err.splitlines() == [
        f"enginewatch fleet: {folder}/state holds no checkpoint of a daemon: --state names another folder"
    ]
    assert [each.name for each in folder.iterdir()] == ["enginewatch.toml"]
