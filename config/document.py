"""Writes `docs/settings.md` from the settings classes: `python -m config.document > docs/settings.md`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from pydantic_core import PydanticUndefined

from config.asset_file import AssetFile
from config.own import OWN, owner_of
from config.schema import allowed, fields, is_secret, shown
from config.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import BaseModel

OPENING = """\
# Settings

This page is made from `config/settings.py`; `config/enginewatch.toml` has the same keys with longer comments, to
start from. `enginewatch check` lists every mistake with its file and line and connects to nothing;
`enginewatch config` shows every setting in force and where it came from, secrets masked.

## Where they come from

The first that gives a key wins:

1. the command line, `--set mqtt.host=broker.example` (any number of them; no secrets, others could see them);
2. environment variables, `ENGINEWATCH_MQTT__HOST=broker.example`: the key with `__` for each dot;
3. secret files, named `mqtt__password`, in the folder that `ENGINEWATCH_SECRETS_DIR` names or else in systemd's
   `CREDENTIALS_DIRECTORY`;
4. the TOML file: `--config FILE`, or `enginewatch.toml` in the current folder;
5. the defaults below.

Unknown keys and variables are errors, with the nearest valid name. Classes are numbered from 0: the model of the
first is `classes.0.model` or `ENGINEWATCH_CLASSES__0__MODEL`. Outside TOML a list is written as in TOML,
`["one", "two"]`, or as a single text. The empty text means "none" wherever the default below is "none".

Relative paths in the TOML file are relative to its folder, and so is the default of `daemon.state_dir`; those from
elsewhere are relative to the current folder.

A file that holds a secret must be closed to group and others (`chmod 600`), or lie in systemd's credentials
folder. A secret that stands in the TOML file itself is as safe as that file.
"""

OWN_SECTIONS = f"""
A class can have sections of its own, and so can an override, which is for some assets of a class:
{", ".join(f"`{name}`" for name in OWN)}.
What `[classes.threshold]` or `[classes.overrides.threshold]` gives counts in place of the same key of
`[threshold]`; an override has the rest from its class, a class from the daemon.
"""

ASSETS = """
## The asset file

`classes.*.file` names a TOML file of this form; `config/assets/engine.toml` is one. Without it the sensors, their
units and the period are those of the model; the model `pretrained:engine` goes with this one.\
"""


def page() -> str:
    """The whole page."""
    lines = [OPENING, "## The keys", *_table(Settings), OWN_SECTIONS.rstrip(), ASSETS, *_table(AssetFile)]
    return "\n".join(lines) + "\n"


def _table(model: type[BaseModel]) -> Iterator[str]:
    """One row a key: what it means, what it may be, and its default."""
    yield from ("", "| key | meaning | must be | default |", "|---|---|---|---|")
    for key, field in fields(model).items():
        if owner_of(key):  # of these one row stands for all
            continue
        may_be = allowed(field) + (" (secret)" if is_secret(field) else "")
        default = f"`{shown(field.default)}`" if field.default is not None else "none"
        default = "must be given" if field.default is PydanticUndefined else default
        yield f"| `{key}` | {_cell(field.description or '')} | {_cell(may_be)} | {default} |"


def _cell(text: str) -> str:
    """A text that does not break a table."""
    return text.replace("|", "\\|").replace("*", "\\*")


if __name__ == "__main__":
    sys.stdout.write(page())
