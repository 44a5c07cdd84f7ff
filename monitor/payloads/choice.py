"""Which reader reads the payloads of an asset class."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitor.payloads.line import LineReader
from monitor.payloads.number import NumberReader
from monitor.payloads.ours import AtOnceReader, OursReader
from monitor.payloads.paths import PathsReader

if TYPE_CHECKING:
    from monitor.decode import ClassRoute
    from monitor.payloads.names import Names
    from monitor.payloads.reading import Reader
    from monitor.payloads.sparkplug import Sparkplug


def reader(route: ClassRoute, names: Names) -> Reader | None:
    """The reader of a class; None for Sparkplug, whose edge nodes have one for all classes."""
    paths = route.paths
    match route.payload:
        case "json":
            return OursReader(names, arrival_time=route.arrival_time)
        case "value":
            return NumberReader(names)
        case "paths":
            return PathsReader(paths, names, arrival_time=route.arrival_time)
        case "line":
            tag = paths.asset
            return LineReader(names, time_format=paths.time_format, asset_tag=tag, arrival_time=route.arrival_time)
        case "sparkplug":
            return None


def at_once_reader(route: ClassRoute) -> AtOnceReader | None:
    """What reads the plain messages of a class in less time than its reader; None where nothing does."""
    if route.payload != "json" or route.ignore:  # what is left out is counted
        return None
    try:
        return AtOnceReader(route.published or route.sensors, arrival_time=route.arrival_time)
    except ValueError:  # names that no such reader can have
        return None


def edge_nodes_reader() -> Sparkplug:
    """What reads the messages of Sparkplug edge nodes."""
    from monitor.payloads.sparkplug import Sparkplug  # noqa: PLC0415 - other classes do without protobuf

    return Sparkplug()
