"""What the commands have in common that look at one hop after the other, and say of each how it does."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

import structlog

from monitor.printable import json_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monitor.doctor.facts import Finding


def seconds(text: str) -> float:
    """A time to wait. Raises ValueError where it is none."""
    number = float(text)
    if not 0 < number < float("inf"):
        raise ValueError(text)
    return number


seconds.__name__ = "number of seconds"  # argparse tells it to the user


def line(finding: Finding, width: int, *, as_json: bool) -> str:
    """One finding on one line, whatever the names in it hold; hops are so wide."""
    if as_json:
        return json_line(asdict(finding)) + "\n"
    text = f"{finding.said}: {finding.remedy}" if finding.remedy else finding.said
    text = "".join(letter if letter.isprintable() else " " for letter in text)
    return f"{finding.hop:<{width}}  {finding.state:<7}  {text}\n"


@contextmanager
def quiet() -> Iterator[None]:
    """The findings say it all; the rooms that are tried have nothing to log."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        yield
    finally:
        structlog.configure(**before)
