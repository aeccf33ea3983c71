"""The plan: any run can be made from its position, and its ids are those of the contract."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.designs import build_design
from penstock.errors import ValidationError
from penstock.planning.plan import Plan, RunSpec, plan
from penstock.study.conditions import Condition, DesignRow, make_conditions
from penstock.study.factors import Block, Constraint, Factor
from penstock.study.identity import run_id
from penstock.study.model import Study
from penstock.study.policies import DesignSpec, RunBudget, SeedPolicy
from tests.builders import make_study
from tests.study.golden import GOLDEN_STUDIES

SIZES = st.integers(1, 4)


def study_of(
    agents: int = 2, problems: int = 3, replicates: int = 2, levels: int = 2, **more: Any
) -> Study:
    return Study(
        study_id="s",
        title="t",
        factors=[Factor(name="x", levels=[f"x{i}" for i in range(levels)])],
        agent_specs=[f"a{i}" for i in range(agents)],
        problem_ids=[f"p{i}" for i in range(problems)],
        run_budget=RunBudget(replicates=replicates),
        **more,
    )


def parts_of(spec: RunSpec) -> tuple[str, int, str, str]:
    return (spec.condition_id, spec.replicate, spec.agent_id, spec.problem_id)


@pytest.mark.parametrize("name", GOLDEN_STUDIES)
def test_conditions_are_those_of_the_existing_tool(golden: dict[str, Any], name: str) -> None:
    made = [
        [
            condition.condition_id,
            condition.factor_assignments,
            condition.block_assignments,
            condition.admissible,
            list(condition.constraint_messages),
            condition.metadata,
        ]
        for condition in build_design(GOLDEN_STUDIES[name])
    ]
    assert made == golden[name]["conditions"]


@pytest.mark.parametrize("name", GOLDEN_STUDIES)
def test_ids_seeds_and_order_of_runs_are_those_of_the_existing_tool(
    golden: dict[str, Any], name: str
) -> None:
    runs = [
        [s.run_id, s.condition_id, s.problem_id, s.agent_id, s.replicate, s.seed]
        for s in plan(GOLDEN_STUDIES[name])
    ]
    assert runs == golden[name]["runs"]


@given(SIZES, SIZES, SIZES, SIZES)
def test_a_position_is_a_mixed_radix_number_with_the_problem_as_last_digit(
    agents: int, problems: int, replicates: int, levels: int
) -> None:
    made = plan(study_of(agents, problems, replicates, levels))
    conditions = [condition.condition_id for condition in made.conditions]
    expected = [
        (condition, replicate, f"a{agent}", f"p{problem}")
        for condition in conditions
        for replicate in range(1, replicates + 1)
        for agent in range(agents)
        for problem in range(problems)
    ]
    assert [parts_of(spec) for spec in made] == expected
    assert [made[i].position for i in range(len(made))] == list(range(len(expected)))
    assert len(made) == len(expected)


@cache
def a_plan() -> Plan:
    return plan(study_of())


@given(st.slices(24))
def test_any_slice_is_that_of_the_whole_list(cut: slice) -> None:
    assert a_plan()[cut] == list(a_plan())[cut]


@given(st.integers(-24, 23))
def test_an_index_counts_from_either_end(index: int) -> None:
    assert a_plan()[index] == list(a_plan())[index]


@pytest.mark.parametrize("index", [24, -25, 10**30])
def test_an_index_outside_the_plan_is_an_index_error(index: int) -> None:
    with pytest.raises(IndexError):
        a_plan()[index]


def test_a_plan_knows_the_condition_of_each_of_its_runs() -> None:
    made = plan(study_of())
    assert all(made.condition_of(spec).condition_id == spec.condition_id for spec in made)


def test_a_run_says_what_it_is_made_of() -> None:
    spec = a_plan()[0]
    assert spec.run_id == run_id("s", spec.condition_id, 1, "a0", "p0")
    assert (spec.agent_spec_ref, spec.problem_spec_ref) == ("a0", "p0")
    assert spec.condition_fingerprint == '{"blocks":{},"factors":{"x":"x0"}}'
    assert spec.execution_metadata == {
        "agent_id": "a0",
        "problem_id": "p0",
        "condition_fingerprint": spec.condition_fingerprint,
    }


def test_a_condition_that_a_design_holds_twice_gets_twice_the_replicates() -> None:
    study = study_of(agents=1, problems=1, replicates=2)
    rows = [DesignRow({"x": x}, {}) for x in ("x0", "x1", "x0")]
    made = Plan(study, make_conditions(study, rows))
    assert [spec.replicate for spec in made] == [1, 2, 3, 4, 1, 2]
    assert len({spec.run_id for spec in made}) == 6


def test_a_factor_may_choose_the_agent_and_the_problem_of_a_condition() -> None:
    study = study_of(agents=2, problems=3, replicates=1)
    by_factor = [
        Factor(name="agent", levels=["b0", "b1"]),
        Factor(name="problem_id", levels=[7, 8]),
    ]
    made = plan(study.model_copy(update={"factors": tuple(by_factor)}))
    assert [(spec.agent_id, spec.problem_id) for spec in made] == [
        ("b0", "7"),
        ("b0", "8"),
        ("b1", "7"),
        ("b1", "8"),
    ]
    assert made.agents() == ["b0", "b1"]
    assert made.problems() == ["7", "8"]


def test_the_first_of_the_agent_factors_in_the_contracts_order_is_taken() -> None:
    factors = [Factor(name=name, levels=[name]) for name in ("agent_spec", "agent", "agent_id")]
    study = Study(study_id="s", title="t", factors=factors, problem_ids=["p"])
    assert plan(study).agents() == ["agent_id"]


def test_who_is_not_declared_goes_by_a_default_name() -> None:
    study = Study(study_id="s", title="t")
    assert parts_of(plan(study)[0])[2:] == ("default-agent", "default-problem")


def test_inadmissible_conditions_get_no_runs_and_stay_listed() -> None:
    rule = Constraint(constraint_id="c", description="no x0", expression="x != 'x0'")
    made = plan(study_of(constraints=[rule]))
    assert [condition.admissible for condition in made.conditions] == [False, True]
    assert {spec.condition_id for spec in made} == {made.conditions[1].condition_id}


def test_a_study_without_an_admissible_condition_cannot_be_planned() -> None:
    rule = Constraint(constraint_id="c", description="never", expression="False")
    with pytest.raises(ValidationError, match="No admissible conditions are available"):
        plan(study_of(constraints=[rule]))


def test_a_plan_larger_than_max_runs_is_an_error_and_never_cut() -> None:
    study = study_of()
    exact, less = (
        study.model_copy(update={"run_budget": RunBudget(replicates=2, max_runs=most)})
        for most in (24, 23)
    )
    assert len(plan(exact)) == 24
    with pytest.raises(ValidationError, match=r"Planned runs \(24\) exceed .* max_runs \(23\)"):
        plan(less)


def test_conditions_written_by_hand_can_be_planned() -> None:
    condition = Condition(condition_id="mine", factor_assignments={"x": 1})
    (spec,) = plan(Study(study_id="s", title="t"), [condition])
    assert spec.condition_id == "mine"
    assert spec.condition_fingerprint == '{"blocks":{},"factors":{"x":1}}'


def test_seeds_follow_the_seed_policy() -> None:
    seeds = {
        policy: plan(study_of(seed_policy=policy))[0].seed
        for policy in (
            SeedPolicy(),
            SeedPolicy(base_seed=1),
            SeedPolicy(per_run_offset=1),
            SeedPolicy(base_seed=-1),
        )
    }
    assert len(set(seeds.values())) == len(seeds)
    assert all(0 <= seed < 2**31 - 1 for seed in seeds.values())


def test_a_plan_of_a_million_runs_is_made_on_demand() -> None:
    made = plan(study_of(agents=10, problems=100, replicates=100, levels=10))
    assert len(made) == 1_000_000
    assert parts_of(made[-1])[1:] == (100, "a9", "p99")
    assert made[123_456] == made.at(123_456)


def test_blocks_are_crossed_with_every_condition() -> None:
    study = study_of(blocks=[Block(name="cohort", levels=["n", "e"])], design_spec=DesignSpec())
    assert [c["cohort"] for c in plan(study).conditions] == ["n", "e", "n", "e"]


@pytest.mark.field("engine-G17")
@pytest.mark.parametrize("replicates", [10**18, 10**30])
def test_a_plan_that_no_memory_holds_is_refused(replicates: int) -> None:
    with pytest.raises(ValidationError, match="exceed 1,000,000,000, the most that a study may"):
        plan(make_study(replicates=replicates))
