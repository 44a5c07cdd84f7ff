"""Secrets in files: reading them, and refusing those that others can read."""

from __future__ import annotations

import os
import stat
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from config.mistakes import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pydantic import SecretStr

CREDENTIALS = "CREDENTIALS_DIRECTORY"  # systemd's folder of this service's credentials
OTHERS = stat.S_IRWXG | stat.S_IRWXO


def secret(value: SecretStr | None, file: Path | None) -> str | None:
    """The secret from its setting, or else from its file without the line's end; None where neither is given.

    The file was checked when the settings were loaded. It is read anew at each call, so a secret that was
    changed is taken up. Raises OSError and UnicodeDecodeError.
    """
    if value is not None:
        return value.get_secret_value()
    return None if file is None else file.read_text(encoding="utf-8").rstrip("\r\n")


NO_HEADER = "must be printable ASCII without a blank at its ends, or no browser could send it"


def in_a_header(token: str) -> bool:
    r"""Whether whoever has a token can send it as `Authorization: Bearer`, a page as well.

    >>> [in_a_header(text) for text in ("sixteen, or more", "größer", "a\tb", "blank ")]
    [True, False, False, False]
    """
    return token.isascii() and token.isprintable() and token == token.strip()


def read_secret(file: Path, environment: Mapping[str, str]) -> str:
    """The secret in a file that only its owner can read. Raises SettingsError with the remedy."""
    check_private(file, environment)
    try:
        text = file.read_text(encoding="utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise SettingsError([f"{file} is not UTF-8 text"]) from error
    if not text:
        raise SettingsError([f"{file} is empty"])
    return text


def check_private(file: Path, environment: Mapping[str, str]) -> None:
    """Refuse a file that cannot be read, or that others can read as well. Raises SettingsError with the remedy.

    Files in systemd's credentials folder are not asked for their mode: systemd closes the folder itself, and
    its access list for the service's user looks like a right of the group.
    """
    try:
        with file.open("rb") as opened:
            mode = os.fstat(opened.fileno()).st_mode
    except OSError as error:
        raise SettingsError([f"{file} cannot be read: {error.strerror}"]) from error
    folder = environment.get(CREDENTIALS)
    if mode & OTHERS and not (folder and file.parent == Path(folder)):
        raise SettingsError([f"{file} can be read by others (mode {mode & 0o777:03o}); run: chmod 600 {file}"])


def looks_like_key(name: str, keys: Iterable[str]) -> bool:
    """Whether a file beside the secrets was meant as one: their folder may hold certificates and hidden files."""
    near = get_close_matches(name, [key.replace(".", "__") for key in keys], n=1, cutoff=0.8)
    return not name.startswith(".") and ("__" in name or bool(near))
