"""What of a view is not so any more: what a browser is sent after its first snapshot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["changes_between"]

_CELLS = ("ended", "failed_in")


def changes_between(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that have changed; of the matrix, the cells that have.

    Args:
        before: What a browser knows; it has the same fields.
        now: What is so.

    Returns:
        Field -> value; of a field of the matrix, as ``cells``, field -> place, value, place,
        value and so on.
    """
    changed = {name: value for name, value in now.items() if value != before[name]}
    cells = {}
    for name in _CELLS:
        if name in changed and len(changed[name]) == len(before[name]):
            pairs = zip(before[name], changed.pop(name), strict=True)
            cells[name] = [
                number
                for place, (old, new) in enumerate(pairs)
                if old != new
                for number in (place, new)
            ]

    return {**changed, "cells": cells} if cells else changed
