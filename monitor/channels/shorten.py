"""Messages for services that take only so many characters: the subject, the first lines and the link. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from monitor.channels.message import Message

CUT = "…"
LEAST_LINE = 20  # characters of a line that is cut; fewer say nothing


def shortened(words: Message, longest: int, longest_subject: int) -> Message:
    """A message of `longest` characters at the most, its subject among them: many services put it into the text.

    A link stays whole or is left out: half of one leads nowhere.
    """
    subject = _cut(words.subject, min(longest_subject, longest) if longest_subject > 0 else longest)
    room = longest - len(subject) - 2  # the end of the subject's line
    if len(words.text) <= room:
        return replace(words, subject=subject)
    lines = words.text.splitlines()
    link = next((line for line in lines if _is_link(line)), "")
    if len(link) > room:
        link = ""
    left = room - len(link) - 3 if link else room - 2  # an end of the line, CUT, and another
    kept: list[str] = []
    for line in filter(lambda line: not _is_link(line), lines):
        if len(line) > left:
            kept += [_cut(line, left)] if not kept and left >= LEAST_LINE else []
            break
        kept.append(line)
        left -= len(line) + 1
    kept = "\n".join(kept).rstrip().splitlines()
    end = [] if kept and kept[-1].endswith(CUT) else [CUT] if kept else []
    return replace(words, subject=subject, text="\n".join([*kept, *end, *filter(None, [link])]))


def subject_alone(words: Message) -> Message:
    """What is left of a message that is refused again and again: its subject, and its link for a text."""
    link = next((line for line in words.text.splitlines() if _is_link(line)), "")
    return replace(words, text=link)


def _is_link(line: str) -> bool:
    return line.startswith(("http://", "https://"))


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1].rstrip() + CUT
