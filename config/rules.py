"""The rules by which regimes are told apart: text to steps, every mistake with its place.

A rule compares sensors with numbers and joins the comparisons with `and`, `or`, `not` and parentheses; `not` binds
closest, then `and`, then `or`. A sensor whose name is more than letters, digits and `_` stands in quotes. Steps
come in postfix order, so that `monitor.regime` needs a stack and no tree.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
DEEPEST = 50  # parentheses and `not` within each other

_TOKEN = re.compile(
    r"""\s*(?:
    (?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?![\w.])) |
    (?P<name>[^\W\d]\w*) |
    (?P<quoted>"[^"]*"|'[^']*') |
    (?P<sign><=|>=|==|!=|<|>|\(|\))
    )""",
    re.VERBOSE,
)


class Step(NamedTuple):
    """A comparison, put on the stack; or `and`, `or`, `not` of what lies there."""

    operation: str
    sensor: int = -1  # its index, of a comparison
    number: float = 0.0


class RuleError(ValueError):
    """A rule that cannot be understood: the sentence says where, and what is expected."""


class _Token(NamedTuple):
    kind: str
    text: str
    place: int  # the character of the rule it begins with, from 1


def parse(text: str, sensors: Sequence[str]) -> tuple[Step, ...]:
    """The steps of a rule. Raises RuleError.

    >>> parse("speed < 50 and not 3 <= load", ["speed", "load"])
    (Step(operation='<', sensor=0, number=50.0), Step(operation='>=', sensor=1, number=3.0), \
Step(operation='not', sensor=-1, number=0.0), Step(operation='and', sensor=-1, number=0.0))
    """
    rule = _Rule(_tokens(text), {name: index for index, name in enumerate(sensors)})
    steps = rule.either(0)
    rule.expect("end")
    return tuple(steps)


def _tokens(text: str) -> list[_Token]:
    found = []
    place = 0
    while text[place:].strip():
        match = _TOKEN.match(text, place)
        if match is None:
            place += len(text[place:]) - len(text[place:].lstrip())
            hint = "; equal is ==" if text[place] == "=" else ""
            raise RuleError(
                f'"{text[place:].split(maxsplit=1)[0]}" at character {place + 1} means nothing here{hint}'
            )
        kind = match.lastgroup or ""
        token, begins = match[kind], match.start(kind) + 1
        if kind == "quoted":
            kind, token = "sensor", token[1:-1]
        elif kind == "name":
            kind = token if token in {"and", "or", "not"} else "sensor"
        found.append(_Token(kind, token, begins))
        place = match.end()
    return [*found, _Token("end", "", len(text) + 1)]


class _Rule:
    """What is left of a rule, read from the left: each method takes its part and returns the steps of it."""

    def __init__(self, tokens: list[_Token], sensors: dict[str, int]) -> None:
        self._tokens = tokens
        self._sensors = sensors
        self._next = 0

    def either(self, depth: int) -> list[Step]:
        """Parts joined by `or`."""
        steps = self._both(depth)
        while self._take("or"):
            steps += [*self._both(depth), Step("or")]
        return steps

    def expect(self, kind: str) -> None:
        """Go on behind what must stand here. Raises RuleError."""
        if not self._take(kind):
            wanted = {"end": "the end, `and` or `or`"}.get(kind, f'"{kind}"')
            raise self._unexpected(wanted)

    def _both(self, depth: int) -> list[Step]:
        """Parts joined by `and`."""
        steps = self._part(depth)
        while self._take("and"):
            steps += [*self._part(depth), Step("and")]
        return steps

    def _part(self, depth: int) -> list[Step]:
        """A comparison, the opposite of a part, or a rule in parentheses."""
        if depth > DEEPEST:
            raise RuleError(f"more than {DEEPEST} parentheses or `not` within each other")
        if self._take("not"):
            return [*self._part(depth + 1), Step("not")]
        if self._take("("):
            steps = self.either(depth + 1)
            self.expect(")")
            return steps
        return [self._comparison()]

    def _comparison(self) -> Step:
        left, sign, right = self._side(), self._sign(), self._side()
        if {left.kind, right.kind} != {"sensor", "number"}:
            raise RuleError(
                f"{left.text} {sign} {right.text} at character {left.place}: one side must be a sensor, "
                "the other a number"
            )
        if left.kind == "number":
            left, sign, right = right, MIRRORED[sign], left
        if left.text not in self._sensors:
            raise RuleError(f'"{left.text}" at character {left.place} is no sensor of this file')
        number = float(right.text)
        if not math.isfinite(number):
            raise RuleError(f"{right.text} at character {right.place} is too large a number")
        return Step(sign, self._sensors[left.text], number)

    def _side(self) -> _Token:
        token = self._tokens[self._next]
        if token.kind not in {"sensor", "number"}:
            raise self._unexpected("a sensor or a number")
        self._next += 1
        return token

    def _sign(self) -> str:
        token = self._tokens[self._next]
        if token.text not in MIRRORED or token.kind != "sign":
            raise self._unexpected("<, <=, >, >=, == or !=")
        self._next += 1
        return token.text

    def _take(self, kind: str) -> bool:
        """Whether this stands here; goes on behind it."""
        token = self._tokens[self._next]
        here = kind in {token.kind, token.text if token.kind == "sign" else ""}
        self._next += here
        return here

    def _unexpected(self, wanted: str) -> RuleError:
        token = self._tokens[self._next]
        if token.kind == "end":
            return RuleError(f"ends where {wanted} is expected")
        return RuleError(f'"{token.text}" at character {token.place}, where {wanted} is expected')
