"""What of a study may be set while it runs: how it is carried out, and what it may spend."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from penstock._base.suggestions import did_you_mean
from penstock.errors import ValidationError
from penstock.study.execution import Execution
from penstock.study.spending import Budget

__all__ = ["SETTABLE", "Settings"]

SETTABLE = (
    "execution.concurrency",
    "execution.timeout_s",
    "execution.evaluator_timeout_s",
    "execution.retry.attempts",
    "execution.retry.wait_s",
    "execution.retry.max_wait_s",
    "execution.retry.on",
    "execution.refused_for_s",
    "execution.max_failures",
    "execution.grace_s",
    "budget.max_cost_usd",
    "budget.max_tokens",
    "budget.max_duration_s",
)
"""What may be set while a study runs, as the study file spells it."""

_NEEDS_PRICES = ("max_cost_usd", "max_tokens")
"""Bounds that `check` examines: whether every call has a price, and a worst case."""


class Settings(NamedTuple):
    """How a study is carried out now, and what it may spend.

    Args:
        execution: How it is carried out.
        budget: What it may spend.
    """

    execution: Execution = Execution()
    budget: Budget = Budget()

    def value(self, name: str) -> Any:
        """Return a value by its name in the study file, such as ``execution.retry.attempts``."""
        value: Any = self
        for part in name.split("."):
            value = getattr(value, part)

        return list(value) if isinstance(value, tuple) else value

    def changed(self, values: Mapping[str, Any], declared: Budget) -> Settings:
        """Return the settings with some values changed.

        Args:
            values: Name in the study file -> value.
            declared: The budget that the study declares. A bound of money or tokens that it lacks
                cannot be set: nobody has examined whether it could be kept.

        Raises:
            ValidationError: everything that cannot be set, or not so.
        """
        errors = [_unknown(name) for name in values if name not in SETTABLE]
        errors += [
            f"budget.{bound}: the study declares none, so nobody has examined whether every call "
            "has a price and a bound; declare it, and run the study again"
            for bound in _NEEDS_PRICES
            if values.get(f"budget.{bound}") is not None and getattr(declared, bound) is None
        ]
        if values.get("execution.concurrency") == "auto":
            errors.append("execution.concurrency: auto can be chosen at the start only")

        if errors:
            raise ValidationError(errors)

        parts = self.execution.model_dump(), self.budget.model_dump()
        if "execution.max_failures" in values:  # whoever says it answers for the other too
            parts[0]["fail_fast"] = False

        kept = dict(zip(Settings._fields, parts, strict=True))
        for name, value in values.items():
            *place, last = name.split(".")
            part: Any = kept
            for each in place:
                part = part[each]

            part[last] = tuple(value) if isinstance(value, list) else value

        return Settings(Execution(**kept["execution"]), Budget(**kept["budget"]))


def _unknown(name: str) -> str:
    meant = did_you_mean(name, SETTABLE, mark="")
    return f"{name} cannot be set while a study runs{meant} (what can be: {', '.join(SETTABLE)})"
