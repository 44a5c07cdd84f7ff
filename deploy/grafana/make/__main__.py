"""Writes the dashboards as JSON and the alert rules as YAML, by their names in deploy/grafana."""

from __future__ import annotations

import io
import json
from pathlib import Path

from ruamel.yaml import YAML

from deploy.grafana.make.asset import asset
from deploy.grafana.make.fleet import fleet
from deploy.grafana.make.health import health
from deploy.grafana.make.incidents import incidents
from deploy.grafana.make.rules import rules

FOLDER = Path(__file__).parent.parent
HEAD = "# Written by `python -m deploy.grafana.make`; docs/grafana.md says what each rule is for.\n"


def written() -> dict[str, str]:
    """The text of every file."""
    boards = {"fleet": fleet(), "asset": asset(), "incidents": incidents(), "health": health()}
    made = {
        f"dashboards/{name}.json": json.dumps(board, indent=2, ensure_ascii=False) + "\n"
        for name, board in boards.items()
    }
    yaml, text = YAML(), io.StringIO()
    yaml.width = 4096  # a query stays on its line
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.representer.ignore_aliases = lambda *_: True
    yaml.dump(rules(), text)
    return {**made, "provisioning/alerting/enginewatch.yaml": HEAD + text.getvalue()}


if __name__ == "__main__":
    for file, content in written().items():
        (FOLDER / file).write_text(content, encoding="utf-8")
