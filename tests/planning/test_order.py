"""The order of execution: a permutation of the plan, in complete blocks where it is blocked."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.planning.order import execution_order
from penstock.planning.plan import Plan, plan
from penstock.study.conditions import Condition
from penstock.study.factors import Factor
from penstock.study.model import Study
from penstock.study.policies import RunBudget, RunOrder, SeedPolicy

ORDERS = st.sampled_from(list(RunOrder))


def plan_of(
    order: RunOrder,
    *,
    levels: int = 3,
    agents: int = 2,
    problems: int = 4,
    replicates: int = 3,
    **more: Any,
) -> Plan:
    return plan(
        Study(
            study_id=more.pop("study_id", "s"),
            title="t",
            factors=[Factor(name="x", levels=list(range(levels)))],
            agent_specs=[f"a{i}" for i in range(agents)],
            problem_ids=[f"p{i}" for i in range(problems)],
            run_budget=RunBudget(replicates=replicates),
            run_order=order,
            **more,
        )
    )


def blocks_of(made: Plan, size: int) -> list[list[tuple[str, str]]]:
    """Cut the order into blocks of one size, each a list of (condition, agent) as started."""
    specs = [made[position] for position in execution_order(made)]
    blocks = [specs[start : start + size] for start in range(0, len(specs), size)]
    for block in blocks:
        assert len({(spec.problem_id, spec.replicate) for spec in block}) == 1

    return [[(spec.condition_id, spec.agent_id) for spec in block] for block in blocks]


@given(ORDERS, st.integers(1, 4), st.integers(1, 3), st.integers(1, 4), st.integers(1, 3))
def test_every_order_starts_every_run_once(
    order: RunOrder, levels: int, agents: int, problems: int, replicates: int
) -> None:
    made = plan_of(order, levels=levels, agents=agents, problems=problems, replicates=replicates)
    assert sorted(execution_order(made)) == list(range(len(made)))


@given(
    ORDERS,
    st.lists(
        st.tuples(st.integers(1, 3), st.none() | st.integers(0, 2), st.none() | st.integers(0, 2)),
        min_size=1,
        max_size=6,
    ),
)
def test_every_order_is_complete_where_conditions_differ_in_agents_problems_and_replicates(
    order: RunOrder, shapes: list[tuple[int, int | None, int | None]]
) -> None:
    study = Study(
        study_id="s",
        title="t",
        agent_specs=["a0", "a1"],
        problem_ids=["p0", "p1"],
        run_budget=RunBudget(replicates=2),
        run_order=order,
    )
    conditions = [
        Condition(
            condition_id=f"c{index}",
            factor_assignments={
                "row": index,
                **({} if agent is None else {"agent": f"a{agent}"}),
                **({} if problem is None else {"problem": f"p{problem}"}),
            },
            replicates=replicates,
        )
        for index, (replicates, agent, problem) in enumerate(shapes)
    ]
    made = plan(study, conditions)
    assert sorted(execution_order(made)) == list(range(len(made)))


def test_as_designed_is_the_order_of_the_plan() -> None:
    made = plan_of(RunOrder.AS_DESIGNED)
    assert list(execution_order(made)) == list(range(len(made)))


def test_each_block_is_one_problem_and_replicate_with_every_condition_and_agent_once() -> None:
    made = plan_of(RunOrder.BLOCKED)
    everything = {
        (condition.condition_id, f"a{i}") for condition in made.conditions for i in (0, 1)
    }
    blocks = blocks_of(made, size=6)
    assert len(blocks) == 12
    for block in blocks:
        assert len(block) == 6
        assert set(block) == everything


def test_a_replicate_ends_before_the_next_one_starts() -> None:
    made = plan_of(RunOrder.BLOCKED)
    replicates = [made[position].replicate for position in execution_order(made)]
    assert replicates == sorted(replicates)


def test_blocks_and_problems_are_permuted_differently_each_time() -> None:
    made = plan_of(RunOrder.BLOCKED, levels=4, problems=5)
    blocks = blocks_of(made, size=8)
    assert len(set(map(tuple, blocks))) == len(blocks)
    problems = [made[position].problem_id for position in execution_order(made)][::8]
    rounds = {tuple(problems[start : start + 5]) for start in (0, 5, 10)}
    assert len(rounds) > 1
    assert all(sorted(each) == [f"p{i}" for i in range(5)] for each in rounds)


@pytest.mark.parametrize("order", [RunOrder.BLOCKED, RunOrder.SHUFFLED])
def test_every_condition_is_as_likely_to_come_first(order: RunOrder) -> None:
    first = Counter(
        made[next(execution_order(made))].condition_id
        for made in (
            plan_of(order, agents=1, problems=1, replicates=2, study_id=f"s{i}") for i in range(600)
        )
    )
    # 600 draws of 3: a count outside 200 +- 60 has a chance of less than one in a million.
    assert len(first) == 3
    assert all(140 < count < 260 for count in first.values())


@pytest.mark.parametrize("order", [RunOrder.BLOCKED, RunOrder.SHUFFLED])
def test_all_permutations_of_a_small_block_appear(order: RunOrder) -> None:
    seen = {
        tuple(execution_order(plan_of(order, agents=1, problems=1, replicates=1, study_id=f"s{i}")))
        for i in range(150)
    }
    assert len(seen) == 6


def test_a_shuffled_order_mixes_problems_and_replicates() -> None:
    made = plan_of(RunOrder.SHUFFLED, levels=5, problems=5)
    positions = list(execution_order(made))
    replicates = [made[position].replicate for position in positions]
    assert replicates != sorted(replicates)
    assert sum(later == earlier + 1 for earlier, later in pairwise(positions)) < len(made) / 10


@pytest.mark.parametrize("order", [RunOrder.BLOCKED, RunOrder.SHUFFLED])
def test_the_order_depends_on_the_study_and_its_seed_and_on_nothing_else(order: RunOrder) -> None:
    one, again = (list(execution_order(plan_of(order))) for _ in range(2))
    assert one == again
    assert one != list(execution_order(plan_of(order, study_id="other")))
    assert one != list(execution_order(plan_of(order, seed_policy=SeedPolicy(base_seed=1))))


@pytest.mark.parametrize("order", [RunOrder.BLOCKED, RunOrder.SHUFFLED])
def test_the_order_is_the_same_in_another_process(order: RunOrder) -> None:
    code = f"""if True:
        import penstock as ps
        from penstock.planning.order import execution_order
        study = ps.Study(
            study_id="s", title="t", factors=[ps.Factor(name="x", levels=[0, 1, 2])],
            agent_specs=["a0", "a1"], problem_ids=["p0", "p1", "p2", "p3"],
            replicates=3, run_order={order.value!r},
        )
        print(*execution_order(ps.plan(study)))
        """
    printed = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert [int(position) for position in printed.split()] == list(execution_order(plan_of(order)))


@pytest.mark.parametrize(
    ("order", "most_bytes"),
    [
        (RunOrder.AS_DESIGNED, 2_000),
        (RunOrder.BLOCKED, 100_000),
        (RunOrder.SHUFFLED, 500_000),
    ],
)
def test_an_order_of_many_runs_takes_little_memory(order: RunOrder, most_bytes: int) -> None:
    made = plan_of(order, levels=10, agents=10, problems=100, replicates=10)
    assert len(made) == 100_000
    tracemalloc.start()
    try:
        started = execution_order(made)
        for _ in range(1_000):
            next(started)

        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < most_bytes
