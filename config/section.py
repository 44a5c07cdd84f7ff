"""What all blocks of settings have in common: how they refuse what is wrong between their keys."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PLACEHOLDERS = ("root", "site", "area", "asset", "sensor")


def _template(topic: str) -> str:
    """Refuse what is no topic template."""
    names = re.findall(r"\{([^{}]*)\}", topic)
    strange = [name for name in names if name not in PLACEHOLDERS]
    if strange:
        known = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
        raise ValueError(f"{{{strange[0]}}} is no placeholder; there are {known}")
    if len(set(names)) < len(names):
        raise ValueError("a placeholder stands in it twice")
    if set("+#") & set(topic) or "{" in re.sub(r"\{\w+\}", "", topic):
        raise ValueError("write placeholders such as {site} where levels vary, without +, # or a lone brace")
    return topic


Template = Annotated[str, Field(min_length=1), AfterValidator(_template)]


class Mistake(NamedTuple):
    """Keys that do not go together, the one to be mended first, and why."""

    keys: tuple[str, ...]
    sentence: str


def in_order(section: BaseModel, low: str, high: str) -> Iterator[Mistake]:
    """A mistake where the lower of two bounds is above the upper one."""
    below, above = getattr(section, low), getattr(section, high)
    if below is not None and above is not None and below > above:
        yield Mistake((low, high), f"{below} is more than {high}, which is {above}")


def only_one(section: BaseModel, first: str, second: str) -> Iterator[Mistake]:
    """A mistake where both of two keys are given."""
    if getattr(section, first) is not None and getattr(section, second) is not None:
        yield Mistake((second, first), f"{first} is given as well; keep one of the two")


def certificate_with_key(section: BaseModel) -> Iterator[Mistake]:
    """A mistake where one of `cert_file` and `key_file` is given without the other."""
    for given, other in (("cert_file", "key_file"), ("key_file", "cert_file")):
        if getattr(section, given) is not None and getattr(section, other) is None:
            yield Mistake((given,), f"needs {other} beside it")


def in_file_order(value: Any) -> Any:
    """The items of a list: sources number them ("0", "1", …), so that one can change a key of another's item."""
    return [value[number] for number in sorted(value, key=int)] if isinstance(value, dict) else value


def refuse(mistakes: Sequence[Mistake]) -> None:
    """Raise all of them as one error; `config.load` takes them apart again from its context."""
    if mistakes:
        text = "; ".join(f"{mistake.keys[0]}: {mistake.sentence}" for mistake in mistakes)
        raise PydanticCustomError("mistakes", "{text}", {"text": text, "mistakes": list(mistakes)})


class Section(BaseModel):
    """A block of settings: unknown keys are errors, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _plain(cls, value: Any, info: ValidationInfo) -> Any:
        """Empty text means "none" where a key can be left out; true and false are not numbers."""
        field = cls.model_fields[info.field_name or ""]
        if value == "" and field.default is None:
            return None
        if isinstance(value, bool) and field.annotation is not bool:
            raise PydanticCustomError("bool", "true and false are for switches")
        return value

    @model_validator(mode="after")
    def _agreeing(self) -> Self:
        refuse(list(self.mistakes()))
        return self

    def mistakes(self) -> Iterator[Mistake]:
        """What is wrong between the keys of this section, each of which is right by itself."""
        yield from ()
