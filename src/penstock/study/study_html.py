"""A study as a notebook shows it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from penstock._base.html import html_block, html_table
from penstock.study.factors import Block, Factor
from penstock.study.hypotheses import Hypothesis, Outcome

__all__ = ["study_html"]


def study_html(
    title: str,
    lines: Iterable[str],
    varied: Sequence[Factor | Block],
    measured: Sequence[Outcome],
    claimed: Sequence[Hypothesis],
) -> str:
    """Return what a study varies, measures and claims, as tables.

    Args:
        title: Which study.
        lines: What is said before the tables.
        varied: Its factors and blocks.
        measured: Its outcomes.
        claimed: Its hypotheses.
    """
    factors = [(each.name, _levels(each)) for each in varied]
    outcomes = [(each.name, each.better or "", each.unit) for each in measured]
    claims = [(each.hypothesis_id, each.kind.value, each.statement) for each in claimed]
    return html_block(
        title,
        html_table(("factor", "levels"), factors),
        html_table(("outcome", "better", "unit"), outcomes),
        html_table(("hypothesis", "kind", "claim"), claims),
        lines=lines,
    )


def _levels(varied: Factor | Block) -> str:
    if isinstance(varied, Block):
        return ", ".join(map(str, varied.levels))

    return ", ".join(level.name for level in varied.levels) or str(varied.default)
