"""`enginewatch completion`: a script that the shell itself takes, and what it offers."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from monitor.cli import COMMANDS, main
from tests.servers import find, missing

if TYPE_CHECKING:
    from pathlib import Path

ASK = """
source {script}
COMP_WORDS=({words}); COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 ))
$(complete -p enginewatch | sed 's/.*-F \\([^ ]*\\).*/\\1/') enginewatch
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The script for bash."""
    if find("bash") is None:
        missing("bash")
    path = tmp_path_factory.mktemp("completion") / "bash"
    with pytest.MonkeyPatch.context() as patch, path.open("w") as file:
        patch.setattr("sys.stdout", file)
        assert main(["completion", "bash"]) == 0
    return path


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("enginewatch ''", set(COMMANDS)),
        ("enginewatch inc", {"incidents"}),
        ("enginewatch incidents a", {"acknowledge", "ack", "accept"}),
        ("enginewatch assets ''", {"list", "forget", "rename"}),
        ("enginewatch dead-letters list --ea", {"--each"}),
        ("enginewatch doctor --wa", {"--wait"}),
    ],
)
def test_what_bash_offers(script: Path, words: str, offered: set[str]) -> None:
    asked = ASK.format(script=script, words=words)
    done = subprocess.run(["bash", "-c", asked], capture_output=True, text=True, check=True)
    assert offered <= set(done.stdout.split()), done.stdout
    if not words.endswith("''"):
        assert all(word.startswith(words.rsplit(maxsplit=1)[-1]) for word in done.stdout.split())


def test_zsh_gets_a_script_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "zsh"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("#compdef enginewatch")
    assert all(f"{name}:" in text or f'"{name}' in text for name in COMMANDS)


def test_another_shell_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["completion", "fish"])
    assert end.value.code == 2
    assert "bash" in capsys.readouterr().err


def test_who_reads_no_further_is_told_nothing() -> None:
    """As `| head` does: no traceback, and it is no failure."""
    call = [sys.executable, "-m", "monitor.cli", "completion", "bash"]
    with subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as asked:
        assert asked.stdout is not None
        asked.stdout.close()
        assert asked.stderr is not None
        assert asked.stderr.read() == b""
        assert asked.wait(60) == 0
