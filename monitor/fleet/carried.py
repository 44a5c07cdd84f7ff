"""A daemon's state cut into shards, and the shards' states put together again. Pure.

Streams know nothing of each other, so that a part of them goes on as it would have gone on in the whole. What
belongs to no stream goes where it does no harm: the books to one part, so that their sums stay what they are;
obeyed commands and Sparkplug's edge nodes to every part.

One thing counts over all streams of a class: that most of them are ahead of the host's clock. A part asks its own.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from monitor.fleet.place import place_of_stream, places
from monitor.moves import alone
from monitor.pipeline import REMEMBERED_COMMANDS
from monitor.state import ClassState, LineState, decoder, together

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from monitor.payloads.sparkplug_memory import Memory


class CarriedError(ValueError):
    """States that cannot be put together: the sentence says why."""


def places_of(state: LineState) -> dict[str, str]:
    """The places of whose shards `split` asks: of the streams, and of what maintenance is planned of.

    Raises CarriedError where a class's topics do not say which one is an asset's.
    """
    known = places([each.route for each in state.spec.classes], state.spec.root)
    homes = {asset: each.spec for asset in state.plans for each in state.classes if each.spec.route.takes(asset)}
    homes |= {key: each.spec for each in state.classes for key in each.keys}
    try:
        return {key: place_of_stream(key, spec.route, state.spec.root, known) for key, spec in homes.items()}
    except ValueError as error:
        raise CarriedError(str(error)) from error


def split(state: LineState, shard_of: Callable[[str], int], shards: Sequence[int]) -> dict[int, LineState]:
    """A state for each of the shards, of the streams that are its own; the first one has the books so far.

    `shard_of` gives one of `shards` for an asset's key. The parts share no array, neither with each other nor with
    what they were cut from.
    """
    home = {key: shard_of(key) for key in [*(key for each in state.classes for key in each.keys), *state.plans]}
    parts = {}
    for index, shard in enumerate(shards):
        classes = [_of_shard(each, home, shard) for each in state.classes]
        of_books = int(index == 0)
        parts[shard] = LineState(
            state.spec,
            decoder(state.spec),
            classes,
            of_books * state.outcomes,
            of_books * state.rows,
            listening_since=state.listening_since,
            swept_at=state.swept_at,
            obeyed=list(state.obeyed),
            plans={asset: replace(plan) for asset, plan in state.plans.items() if home[asset] == shard},
            turn_at=state.turn_at,
            edge_nodes=_copied(state.edge_nodes),
        )
    return parts


def _of_shard(each: ClassState, home: dict[str, int], shard: int) -> ClassState:
    numbers = [each.number[key] for key in each.keys if home[key] == shard]
    return alone(each, numbers) if numbers else ClassState.empty(each.spec)


def merge(parts: Sequence[LineState]) -> LineState:
    """One state of all the shards' streams, for a line that goes on with all of them; `parts` are used up.

    Raises CarriedError where they are not of one line: of different descriptions, or with a stream twice.
    """
    first = parts[0]
    if any(part.spec.encode() != first.spec.encode() for part in parts):
        raise CarriedError("the shards go by different settings: let the job run until all have taken the change")
    classes = []
    for of_class in zip(*(part.classes for part in parts), strict=True):
        keys = [key for each in of_class for key in each.keys]
        if len(set(keys)) < len(keys):
            twice = next(key for key in keys if keys.count(key) > 1)
            raise CarriedError(f"{twice} is known in two shards: forget it, and let it be heard anew")
        classes.append(together([each for each in of_class if each.keys] or [ClassState.empty(of_class[0].spec)]))
    since = [part.listening_since for part in parts if part.listening_since is not None]
    obeyed = dict.fromkeys(command for part in parts for command in part.obeyed)
    return LineState(
        first.spec,
        decoder(first.spec),
        classes,
        np.sum([part.outcomes for part in parts], axis=0),
        np.sum([part.rows for part in parts], axis=0),
        # The latest: nobody is silent who may not have been heard.
        listening_since=max(since, default=None),
        swept_at=max(part.swept_at for part in parts),
        obeyed=list(obeyed)[-REMEMBERED_COMMANDS:],
        plans={asset: plan for part in parts for asset, plan in part.plans.items()},
        edge_nodes=_agreed([part.edge_nodes for part in parts]),
    )


def _copied(nodes: Memory) -> Memory:
    return {
        name: replace(
            node,
            devices={
                each: replace(device, aliases=dict(device.aliases), types=dict(device.types))
                for each, device in node.devices.items()
            },
        )
        for name, node in nodes.items()
    }


def _agreed(memories: Sequence[Memory]) -> Memory:
    """The edge nodes of which nobody says otherwise; the others are asked for their births when they send."""
    said: Memory = {}
    doubtful = set()
    for memory in memories:
        for name, node in memory.items():
            if said.setdefault(name, node) != node:
                doubtful.add(name)
    return {name: node for name, node in said.items() if name not in doubtful}
