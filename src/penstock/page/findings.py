"""Findings: what each section of the page found, in a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from statistics import NormalDist

from penstock.analysis.adjustment import ALPHA
from penstock.analysis.analysis_facts import OutcomeAnalysis
from penstock.analysis.missingness import Flow
from penstock.analysis.winners import Winner
from penstock.page.sentences import difference_told, p_told, value_told
from penstock.page.view import ConditionRow, Matrix, TimePoint

__all__ = [
    "conditions_finding",
    "flow_finding",
    "matrix_finding",
    "time_finding",
    "winners_finding",
]


def conditions_finding(rows: Sequence[ConditionRow], *, is_share: bool, unit: str) -> str:
    """Write which condition came out highest and which lowest."""
    known = [row for row in rows if row.mean is not None]
    if len(known) <= 1:
        return ""

    best = max(known, key=lambda row: row.mean or 0)
    worst = min(known, key=lambda row: row.mean or 0)
    if best.mean == worst.mean:
        return f"All conditions came to {value_told(best.mean, is_share=is_share)}."

    told = (
        f"{best.name} came to {value_told(best.mean, is_share=is_share)}, {worst.name} to "
        f"{value_told(worst.mean, is_share=is_share)}."
    )
    if unit == "problem" and best.low is not None:
        told += " Intervals take the problems for a sample; for differences read the verdict."

    return told


def winners_finding(winners: Sequence[Winner]) -> str:
    """Write which level is best in each setting, where that is more than a verdict says.

    Of two levels the verdict says it already, unless they change places with the setting.
    """
    levels = {level for each in winners for level in (each.best, each.runner_up)}
    if len(levels) <= 2 and len({each.best for each in winners}) <= 1:  # noqa: PLR2004
        return ""

    return " ".join(_best(each) for each in winners)


def _best(winner: Winner) -> str:
    where = ", ".join(f"{name} {level}" for name, level in winner.setting.items())
    told = f"{where}: {winner.best}" if where else winner.best
    if winner.is_shown:
        return f"{told} is best ({p_told(winner.p_adjusted)})."

    return f"{told} came out best, which is not shown: {winner.runner_up} is close."


def flow_finding(rows: Sequence[Flow], planned: int, found: OutcomeAnalysis | None) -> str:
    """Write how many runs have no outcome, and whether that depends on the condition."""
    scored = sum(row.scored for row in rows)
    told = f"{planned - scored:,} of {planned:,} planned runs have no outcome."
    if scored == planned:
        told = f"Every one of the {planned:,} planned runs has an outcome."

    if found is not None and found.chosen:
        told += f" Analysed are {found.chosen}."

    tests = [] if found is None else [each for each in found.missing.values() if each.p is not None]
    if tests:
        least = min(tests, key=lambda each: each.p or 1.0)
        depends = "depends" if (least.p or 1.0) <= ALPHA else "is not shown to depend"
        told += f" Whether a run has one {depends} on the condition ({p_told(least.p)})."

    return told


def matrix_finding(matrix: Matrix, *, is_share: bool, better: str | None = None) -> str:
    """Write which problems are hardest and easiest, and what the colours of the figure mean."""
    if len(matrix.problems) <= 1:
        return ""

    means = [[row[at] for row in matrix.values if row[at] is not None] for at in (0, -1)]
    hard, easy = (sum(each) / len(each) if each else None for each in means)  # type: ignore[arg-type]
    order = "From hard to easy" if is_share or better else "From low to high"
    failed = "; a mark at the bottom of a cell: runs failed" if any(map(any, matrix.failed)) else ""
    return (
        f"{order}: {matrix.problems[0]} "
        f"({value_told(hard, is_share=is_share)}) to {matrix.problems[-1]} "
        f"({value_told(easy, is_share=is_share)}). The stronger its colour, the higher a cell"
        f"{'' if is_share else ' among those of its problem'}{failed}."
    )


def time_finding(points: Sequence[TimePoint], *, is_share: bool) -> str:
    """Write whether the outcome moved between the first and the last quarter of the runs."""
    told = []
    agents = list(dict.fromkeys(point.agent for point in points))
    error = sqrt(2) * NormalDist().inv_cdf(1 - ALPHA / 2 / max(1, len(agents)))
    unit = " points" if is_share else ""
    for agent in agents:
        own = [point for point in points if point.agent == agent]
        quarter = len(own) // 4
        first = sum(point.mean for point in own[:quarter]) / quarter
        last = sum(point.mean for point in own[-quarter:]) / quarter
        spread = sum((p.high - p.low) / 3.92 for p in own) / len(own) / quarter**0.5
        moved = abs(last - first) > error * spread
        change = difference_told(last - first, is_share=is_share)
        told.append(
            f"{agent} moved by {change}{unit} from the first quarter of the runs to the last."
            if moved
            else f"{agent} did not move from the first quarter of the runs to the last."
        )

    return " ".join(told)
