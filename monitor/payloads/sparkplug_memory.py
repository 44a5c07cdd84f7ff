"""What is remembered of Sparkplug edge nodes: it decides what later messages mean, so it is part of the state."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Device:
    """What a device's birth certificate said."""

    aliases: dict[int, str] = field(default_factory=dict)
    types: dict[str, int] = field(default_factory=dict)  # by metric name


@dataclass(slots=True)
class EdgeNode:
    """An edge node and its living devices."""

    seq: int = -1  # of its last message; -1 = not known
    born: bool = False
    bd_seq: int = -1  # names its birth, so that a will of an earlier one is told apart; -1 = not given
    asked_at: int = 0  # when it was last asked for a rebirth
    devices: dict[str, Device] = field(default_factory=dict)


Memory = dict[str, EdgeNode]  # by "namespace/group/edge node"
