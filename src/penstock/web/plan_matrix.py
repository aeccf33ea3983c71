"""The matrix of a plan: which cell of conditions by problems a run belongs to."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import ceil
from typing import Any, NamedTuple

import numpy as np

from penstock.analysis.arms import arm_levels
from penstock.analysis.readings import shown_assignments
from penstock.page.sections import label_of
from penstock.planning.plan import PROBLEM_FACTORS, Plan

__all__ = ["PlanMatrix"]

_MOST_CELLS = 12_000
"""Above so many, neighbouring problems share a column."""


class _Part(NamedTuple):
    """The runs of one condition: where they begin, and which rows and problems they belong to."""

    start: int
    rows: Sequence[int]
    problems: Sequence[int]


class PlanMatrix:
    """Conditions by problems, for the runs of a plan.

    Args:
        plan: The plan.

    Attributes:
        conditions: What each row is called: a condition, with its agent where there are several.
        problems: The problems, in the order of the plan.
        grouped: How many neighbouring problems share a column.
        planned: For each cell, how many runs are planned; row by row.
    """

    def __init__(self, plan: Plan) -> None:
        self.problems = plan.problems()
        place = {problem: at for at, problem in enumerate(self.problems)}
        everybody = plan.agents()
        rows: dict[str, int] = {}
        self._parts = []
        shown = shown_assignments(plan.conditions, plan.study.factors)
        for cell, start in zip(plan.cells, plan.starts, strict=False):
            labels = _labels(shown[cell.condition.condition_id], cell.agents, everybody)
            own = [rows.setdefault(each, len(rows)) for each in labels]
            self._parts.append(_Part(start, own, [place[each] for each in cell.problems]))

        self._starts = plan.starts[:-1]
        self.conditions = [*rows]
        self.grouped = max(1, ceil(len(rows) * len(self.problems) / _MOST_CELLS))
        self.columns = ceil(len(self.problems) / self.grouped)
        self.planned = [0] * (len(rows) * self.columns)
        for part, cell in zip(self._parts, plan.cells, strict=True):
            for row in part.rows:
                for problem in part.problems:
                    self.planned[row * self.columns + problem // self.grouped] += cell.replicates

    def place(self, position: int) -> tuple[int, int]:
        """Return the row and the problem of a run, by its position in the plan."""
        part = self._parts[bisect_right(self._starts, position) - 1]
        rest, problem = divmod(position - part.start, len(part.problems))
        return part.rows[rest % len(part.rows)], part.problems[problem]

    def cell(self, position: int) -> int:
        """Return the cell of a run, by its position in the plan."""
        row, problem = self.place(position)
        return row * self.columns + problem // self.grouped

    def chosen(
        self, positions: np.ndarray[Any, Any], row: int | None, problem: int | None
    ) -> np.ndarray[Any, Any]:
        """Return those of some positions, in order, that belong to a row and to a problem.

        Args:
            positions: Positions in the plan, ascending.
            row: The row; any where not given.
            problem: The problem; likewise.
        """
        if row is None and problem is None:
            return positions

        return np.concatenate(
            [np.zeros(0, positions.dtype), *self._parted(positions, row, problem)]
        )

    def _parted(
        self, positions: np.ndarray[Any, Any], row: int | None, problem: int | None
    ) -> Iterator[np.ndarray[Any, Any]]:
        ends = np.searchsorted(positions, [*self._starts[1:], np.iinfo(positions.dtype).max])
        begin = 0
        for part, end in zip(self._parts, ends, strict=True):
            own, begin = positions[begin:end], int(end)
            if not len(own) or (row is not None and row not in part.rows):
                continue

            rest, at = np.divmod(own - part.start, len(part.problems))
            is_chosen = np.ones(len(own), dtype=bool)
            if row is not None:
                is_chosen &= np.array(part.rows)[rest % len(part.rows)] == row

            if problem is not None:
                is_chosen &= np.array(part.problems)[at] == problem

            yield own[is_chosen]


def _labels(
    assigned: Mapping[str, Any], agents: Iterable[str], everybody: Sequence[str]
) -> Iterator[str]:
    """Yield what the rows of a condition's agents are called, as the report calls them."""
    for agent in agents:
        yield label_of(arm_levels(assigned, agent, everybody, PROBLEM_FACTORS))
