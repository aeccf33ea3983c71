"""The matrix knows the cell of each run as the plan does."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

import penstock as ps
from penstock.planning.plan import Plan
from penstock.study.factors import Factor
from penstock.web import plan_matrix
from penstock.web.plan_matrix import PlanMatrix
from tests.builders import make_study


def plan_of(agents: int = 1, problems: int = 5, **fields: Any) -> Plan:
    return ps.plan(
        make_study(
            replicates=3,
            agent_specs=tuple(f"agent-{at}" for at in range(agents)),
            problems=tuple(ps.Problem(problem_id=f"p{at}") for at in range(problems)),
            **fields,
        )
    )


def kind_of(plan: Plan, spec: Any) -> tuple[str, ...]:
    """What tells the row of a run from others: its levels but for the problem, and its agent."""
    levels = plan.condition_of(spec).factor_assignments.items()
    return (*(str(value) for name, value in levels if name != "problem_id"), spec.agent_id)


PLANS = [
    plan_of(),
    plan_of(agents=3),
    plan_of(
        factors=(
            Factor(name="tone", levels=("warm", "cold")),
            Factor(name="problem_id", levels=("p1", "p3", "p4")),
        )
    ),
    plan_of(
        agents=2,
        factors=(
            Factor(name="tone", levels=("warm", "cold")),
            Factor(name="agent_id", levels=("agent-0", "agent-1")),
        ),
    ),
]


@pytest.mark.parametrize("plan", PLANS)
def test_each_run_is_in_the_row_and_column_of_its_condition_and_problem(plan: Plan) -> None:
    matrix = PlanMatrix(plan)
    counted = Counter(matrix.cell(spec.position) for spec in plan)
    kinds: dict[int, set[tuple[str, ...]]] = {}
    for spec in plan:
        row, problem = matrix.place(spec.position)
        assert matrix.problems[problem] == spec.problem_id
        kinds.setdefault(row, set()).add(kind_of(plan, spec))

    assert len(kinds) == len(matrix.conditions)
    assert all(len(each) == 1 for each in kinds.values())
    assert [counted[cell] for cell in range(len(matrix.planned))] == matrix.planned


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("row", [None, 0, 1])
@pytest.mark.parametrize("problem", [None, 0, 2])
def test_runs_are_chosen_as_one_by_one(plan: Plan, row: int | None, problem: int | None) -> None:
    matrix = PlanMatrix(plan)
    some = np.array([spec.position for spec in plan][::2])
    found = matrix.chosen(some, row, problem)

    by_hand = [
        int(each)
        for each in some
        if (row is None or matrix.place(int(each))[0] == row)
        and (problem is None or matrix.place(int(each))[1] == problem)
    ]
    assert found.tolist() == by_hand


def test_neighbouring_problems_share_a_column_where_there_are_too_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(plan_matrix, "_MOST_CELLS", 4)
    matrix = PlanMatrix(plan_of(problems=5))

    assert (matrix.grouped, matrix.columns) == (3, 2)
    assert matrix.planned == [9, 6, 9, 6]
    assert sum(matrix.planned) == 30
