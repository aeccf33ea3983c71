"""What a study varies: factors with their levels, blocks, and constraints between them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Self

from pydantic import ValidationInfo, field_validator, model_validator

from penstock._base.fact import EMPTY, Declaration, JsonMapping, JsonValue, Name, Text
from penstock._base.frozen import frozen_json
from penstock.study.level_ranges import spelled_out

__all__ = ["Block", "Constraint", "ConstraintSeverity", "Factor", "FactorKind", "Level"]


class FactorKind(StrEnum):
    """What role a factor plays in the design."""

    MANIPULATED = "manipulated"
    MEASURED = "measured"
    BLOCKED = "blocked"
    NUISANCE = "nuisance"


class ConstraintSeverity(StrEnum):
    """Whether a violated constraint excludes a condition or only marks it."""

    ERROR = "error"
    WARNING = "warning"


class Level(Declaration):
    """One value a factor can take; in a file, a bare value is a level named by it.

    Args:
        name: The level's name, unique in its factor.
        value: What an agent gets: any value with a stable JSON form, unique in its factor.
        label: What it is called where results are shown; its name where not given.
        metadata: ``is_baseline`` and ``role`` mark it in ``conditions.csv``; anything else is kept.
    """

    name: Name
    value: JsonValue
    label: Text | None = None
    metadata: JsonMapping = EMPTY

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, data: Any) -> Any:
        if type(data).__module__ == "numpy":
            data = frozen_json(data)

        if isinstance(data, bool):
            data = {"name": str(data).lower(), "value": data}
        elif isinstance(data, (str, int, float)):
            data = {"name": str(data), "value": data}
        elif not isinstance(data, (Mapping, Level)):
            forms = "a text, a number, a flag, or a mapping with `name` and `value`"
            raise ValueError(f"a level is {forms}, not {data!r}")  # noqa: TRY004

        if isinstance(data, Mapping) and data.get("label") is None:
            data = {**data, "label": data.get("name")}

        return data

    @property
    def names(self) -> tuple[str, ...]:
        """What hypotheses may call it: its name, its value as text, its label."""
        return tuple(dict.fromkeys((self.name, str(self.value), self.label or self.name)))

    @property
    def shown(self) -> Any:
        """What stands for it where results are read: a number as it is, else its name."""
        return self.value if isinstance(self.value, (int, float)) else self.name


class Factor(Declaration):
    """A variable of the design, with the levels it can take.

    Args:
        name: The factor's name; ``condition[name]`` is its value.
        description: What it is, in words.
        kind: What role it plays in the design; for readers.
        metadata: Anything else, for readers.
        levels: Its levels; or a range, ``{"from": 0, "to": 1, "steps": 5}``, with ``"log": True``
            for steps of equal ratio.
        dtype: What its levels are: ``float`` and ``int`` are held, and take texts such as 1e-3,
            0x10 and 1_000 for the numbers that they write.
        default: The value of a factor without levels.
    """

    name: Name
    description: Text = ""
    kind: FactorKind = FactorKind.MANIPULATED
    levels: tuple[Level, ...] = ()
    dtype: Text | None = None
    default: JsonValue = None
    metadata: JsonMapping = EMPTY

    @model_validator(mode="before")
    @classmethod
    def _spell_out(cls, data: Any) -> Any:
        if not isinstance(data, Mapping) or data.get("levels") is None:
            return data

        return {**data, "levels": spelled_out(data["levels"], data.get("dtype"))}

    @model_validator(mode="after")
    def _has_distinct_levels(self) -> Self:
        if not self.levels and self.default is None:
            raise ValueError(
                f"Factor '{self.name}' must declare at least one level or a default value."
            )

        counts = Counter(level.name for level in self.levels)
        if twice := [name for name, count in counts.items() if count > 1]:
            named = ", ".join(map(repr, twice))
            raise ValueError(f"Factor '{self.name}' has duplicate level names. Twice: {named}.")

        if wrong := [each for each in self.values() if not _is_of(self.dtype, each)]:
            told = ", ".join(map(repr, wrong))
            raise ValueError(f"Factor '{self.name}' has dtype {self.dtype}, which {told} is not.")

        return self

    def values(self) -> tuple[Any, ...]:
        """List the values of the levels, or the default where there are none."""
        return tuple(level.value for level in self.levels) or (self.default,)


def _is_of(dtype: str | None, value: Any) -> bool:
    """Return whether a level is of the numeric type that its factor declares, where it does."""
    if dtype not in {"float", "int"} or value is None:
        return True

    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_number and (dtype == "float" or float(value).is_integer())


class Block(Declaration):
    """A variable that groups runs and is crossed with every condition.

    Args:
        name: The block's name; ``condition[name]`` is its value.
        levels: Its values, at least one, each once.
        metadata: Anything else, for readers.
    """

    name: Name
    levels: tuple[JsonValue, ...]
    metadata: JsonMapping = EMPTY

    @field_validator("levels")
    @classmethod
    def _has_levels(cls, levels: tuple[Any, ...], info: ValidationInfo) -> tuple[Any, ...]:
        if not levels:
            name = info.data.get("name", "")
            raise ValueError(f"Block '{name}' must contain at least one level.")

        return levels


class Constraint(Declaration):
    """A rule over factors and blocks; a condition that breaks it gets no runs.

    Where both an expression and a function are given, both must hold.

    Args:
        constraint_id: The constraint's name.
        description: What it demands, in words.
        expression: A Boolean expression over the names of factors and blocks.
        callable_ref: A function, ``module:attr``, that takes both mappings and returns a flag.
        severity: ``error`` excludes the condition; ``warning`` records a message and lets it run.
    """

    constraint_id: Name
    description: Text
    expression: Text | None = None
    callable_ref: Text | None = None
    severity: ConstraintSeverity = ConstraintSeverity.ERROR

    @model_validator(mode="after")
    def _says_a_rule(self) -> Self:
        if self.expression is None and self.callable_ref is None:
            raise ValueError("Constraint must define either `expression` or `callable_ref`.")

        return self
