"""Which dead letters would be taken now, and as what messages they go through the line again. Pure.

A letter is retried as the message that it was, where all of it was kept and nothing in it would be refused again.
It is then a message that came twice: its values get outcomes of their own, and those that were good the first time
are duplicates, or late.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from monitor import align
from monitor.decode import KEPT_PAYLOAD
from monitor.records import Message

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.records import DeadLetter
    from monitor.state import LineState


@dataclass(slots=True)
class Again:
    """What a retry comes to."""

    messages: list[Message] = field(default_factory=list)
    letters: list[int] = field(default_factory=list)  # that those messages stand for
    values: int = 0  # in those messages
    kept_in_part: int = 0  # letters that are no whole message
    refused: int = 0  # letters that would come back
    reason: str = ""  # why the first of them would


def again(state: LineState, letters: Sequence[tuple[int, DeadLetter]]) -> Again:
    """Sort letters, each with its number, into what goes through again and what stays; changes nothing."""
    found = Again()
    seen: dict[tuple[str, bytes], bool] = {}  # several values of one message may each have a letter
    for number, letter in letters:
        if not letter.values or not 0 < len(letter.payload) < KEPT_PAYLOAD:
            found.kept_in_part += 1
            continue
        key = (letter.topic, letter.payload)
        if key not in seen:
            seen[key] = _take(state, letter, found)
        if seen[key]:
            found.letters.append(number)
        else:
            found.refused += 1
    return found


def _take(state: LineState, letter: DeadLetter, found: Again) -> bool:
    """Decode the message alone; where it is good now, it goes through."""
    message = Message(letter.topic.encode(), letter.payload, letter.time, len(letter.payload))
    if state.decoder.of_edge_node(message.topic):
        # Births since then may mean other metrics, and the number would be a gap among its node's.
        found.reason = found.reason or "Sparkplug B is read by the births before it, and they are over"
        return False
    decoded = state.decoder.decode([message])
    reason = next((each.reason for each in decoded.dead_letters), "")
    streams = [
        (each, stream)
        for each, readings in zip(state.classes, decoded.readings, strict=True)
        for stream in readings.streams
    ]
    if not reason and any(each.spec.route.arrival_time for each, _ in streams):
        reason = "its class takes the arrival for the readings' time, and that is over (classes.time)"
    if not reason and not streams:
        reason = "it holds no reading"
    if reason:
        found.reason = found.reason or reason
        return False
    # When a stream was heard says whether it is silent: what comes again must not change that.
    known = [
        int(each.align.last_arrival[each.number[stream]]) for each, stream in streams if stream in each.number
    ]
    arrival = max((heard for heard in known if heard != align.NONE), default=letter.time)
    found.messages.append(Message(message.topic, message.payload, arrival, message.size))
    found.values += sum(int((readings.values == readings.values).sum()) for readings in decoded.readings)
    return True
