"""Prometheus' text format, version 0.0.4: measurements in, text out. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Metric:
    """A family: its name (a counter's ends in `_total`), what it counts, and its samples by their labels."""

    name: str
    kind: Literal["counter", "gauge"]
    words: str
    samples: tuple[tuple[Labels, float], ...]

    @staticmethod
    def gauge(name: str, words: str, value: float, **labels: str) -> Metric:
        """What goes up and down."""
        return Metric(name, "gauge", words, ((tuple(labels.items()), value),))

    @staticmethod
    def many(name: str, words: str, values: Mapping[str, float], label: str) -> Metric:
        """A gauge of several things, each with its name as label."""
        return Metric(name, "gauge", words, _labelled(values, label))

    @staticmethod
    def counter(name: str, words: str, values: float | Mapping[str, float], label: str = "") -> Metric:
        """What only grows; of several things, each with its name as label."""
        samples = (((), values),) if isinstance(values, int | float) else _labelled(values, label)
        return Metric(name, "counter", words, samples)


def _labelled(values: Mapping[str, float], label: str) -> tuple[tuple[Labels, float], ...]:
    return tuple((((label, name),), value) for name, value in values.items())


def exposition(metrics: Iterable[Metric]) -> str:
    r"""The page that Prometheus reads.

    >>> print(exposition([Metric.counter("rows_total", "score rows", {'od"d': 2}, "status")]), end="")
    # HELP rows_total score rows
    # TYPE rows_total counter
    rows_total{status="od\"d"} 2
    """
    lines: list[str] = []
    for each in metrics:
        words = each.words.replace("\\", "\\\\").replace("\n", "\\n")
        lines += [f"# HELP {each.name} {words}", f"# TYPE {each.name} {each.kind}"]
        lines += [f"{each.name}{_braced(labels)} {value!r}" for labels, value in each.samples]
    return "\n".join(lines) + "\n"


def _braced(labels: Labels) -> str:
    inner = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels)
    return f"{{{inner}}}" if inner else ""


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
