"""A plan as a notebook shows it."""

from __future__ import annotations

from collections.abc import Iterable

from penstock._base.html import html_block, html_table
from penstock.study.conditions import Condition

__all__ = ["plan_html"]


def plan_html(title: str, cells: Iterable[tuple[Condition, int]]) -> str:
    """Return how many runs each condition gets, as a table.

    Args:
        title: Which plan.
        cells: Each condition with its number of runs.
    """
    rows = [(each.condition_id, _levels(each), f"{runs:,}") for each, runs in cells]
    return html_block(title, html_table(("condition", "levels", "runs"), rows))


def _levels(condition: Condition) -> str:
    assigned = {**condition.factor_assignments, **condition.block_assignments}
    return ", ".join(f"{name}={value}" for name, value in assigned.items())
