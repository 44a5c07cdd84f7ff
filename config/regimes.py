"""The section `regimes` of an asset file: names of the user's own, and for each a rule or a table."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import Field, model_validator

from config.rules import RuleError, Step, parse
from config.schema import dotted, fields
from config.section import Mistake, Section

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pydantic.fields import FieldInfo

OFF = "off"  # the regime that is not scored unless it says so
TAKEN = {"running": "no rule holds", "all": "there are no rules"}
MOST = 64  # regimes; the state has a number for each


class RegimeSettings(Section):
    """One regime. A text alone is its rule."""

    when: str = Field(
        min_length=1,
        description="rule: sensors compared with numbers (<, <=, >, >=, ==, !=), `and`, `or`, `not`, "
        "parentheses; the first that holds names the regime; a rule alone may stand for the table",
    )
    scored: bool = Field(
        True, description="whether rows in it are scored; for the regime `off` the default is false"
    )
    blank_s: float = Field(0.0, ge=0, description="when it has ended nothing is scored for so many seconds")
    min_rows: int | None = Field(
        None, ge=1, description="as threshold.min_rows, for its own threshold; none: that"
    )

    @model_validator(mode="before")
    @classmethod
    def _rule_alone(cls, value: Any) -> Any:
        return {"when": value} if isinstance(value, str) else value


@dataclass(frozen=True, slots=True)
class RegimeRule:
    """A regime whose rule is understood."""

    name: str
    steps: tuple[Step, ...]
    scored: bool
    blank_s: float
    min_rows: int | None


def keys_of(document: Mapping[str, Any]) -> dict[str, FieldInfo]:
    """The keys that an asset file may give, for the names that its section `regimes` has."""
    named = document.get("regimes")
    own = fields(RegimeSettings)
    found: dict[str, FieldInfo] = {}
    for name, value in named.items() if isinstance(named, dict) else ():
        key = dotted(("regimes", name))
        found |= (
            {f"{key}.{part}": own[part] for part in own}
            if value and isinstance(value, dict)
            else {key: own["when"]}
        )
    return found


def rules(given: Mapping[str, RegimeSettings], sensors: Sequence[str]) -> tuple[RegimeRule, ...]:
    """The regimes in their order. Raises RuleError, which `mistakes` has told."""
    return tuple(
        RegimeRule(
            name=name,
            steps=parse(each.when, sensors),
            scored=_is_scored(name, each),
            blank_s=each.blank_s,
            min_rows=each.min_rows,
        )
        for name, each in given.items()
    )


def mistakes(given: Mapping[str, RegimeSettings], sensors: Sequence[str]) -> Iterator[Mistake]:
    """Names that cannot be used, and rules that cannot be understood."""
    if len(given) > MOST:
        yield Mistake(("regimes",), f"{len(given)} of them; there is room for {MOST}")
    for name, each in given.items():
        if name in TAKEN:
            yield Mistake((f"regimes.{name}",), f'"{name}" is the name where {TAKEN[name]}; take another')
        elif not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", name):
            sentence = "a regime's name is made of letters, digits, _ and -, and begins with a letter"
            yield Mistake((f"regimes.{name}",), sentence)
        try:
            parse(each.when, sensors)
        except RuleError as error:
            yield Mistake((f"regimes.{name}.when",), f"{error}")
        if each.min_rows is not None and not _is_scored(name, each):
            yield Mistake((f"regimes.{name}.min_rows",), "has no meaning where nothing is scored")


def _is_scored(name: str, each: RegimeSettings) -> bool:
    return each.scored if "scored" in each.model_fields_set else name != OFF
