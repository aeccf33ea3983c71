"""What an agent may record: metrics as they are stored, and how they add up."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

from penstock._base.frozen import frozen_json
from penstock.errors import OutputError, UnstableValueError

__all__ = ["AMOUNTS", "added", "plain_metric"]

AMOUNTS = frozenset({"cost_usd", "input_tokens", "output_tokens"})
"""Metrics that are summed over a study and have a column of their own; None is not known."""


def plain_metric(name: str, value: Any) -> Any:
    """Return a metric as it is stored.

    Raises:
        OutputError: it has no stable JSON form, or is one of those that are summed and cannot be.
    """
    is_amount = name in AMOUNTS
    if type(value) in _NUMBERS and (not is_amount or 0 <= value <= _LARGEST_AMOUNT):
        return value

    if is_amount:
        return _amount(name, value)

    try:
        return frozen_json(value, f"metrics.{name}")
    except UnstableValueError as error:
        raise OutputError(error.path, error.reason) from None


def added(name: str, known: Any, value: Any) -> Any:
    """Add to a metric what was recorded; what is not a number replaces it."""
    if isinstance(value, (int, float)) and isinstance(known, (int, float)):
        return plain_metric(name, known + value)

    return value


def _amount(name: str, value: Any) -> int | float | None:
    """Read one of the metrics that are summed over a study; a provider may not have told it."""
    if value is None:
        return None

    if isinstance(value, (Decimal, Fraction)):
        value = float(value)  # what libraries of prices return

    plain = value.item() if type(value).__module__ == "numpy" and value.size == 1 else value
    if not isinstance(plain, (int, float)):
        raise OutputError(f"metrics.{name}", f"{value!r} is not a number")

    if not 0 <= plain <= _LARGEST_AMOUNT:  # said so that NaN is refused too
        raise OutputError(f"metrics.{name}", f"{value!r} is not an amount that can be summed")

    return plain


_NUMBERS = frozenset({int, float})
_LARGEST_AMOUNT = 2**53
"""A float holds every whole number up to this one."""
