from __future__ import annotations

from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

import penstock as ps
from penstock.planning.order import execution_order
from penstock.planning.plan import Plan, plan
from penstock.planning.selection import Selection, choose, to_make
from penstock.study.factors import Factor
from penstock.study.policies import RunOrder
from tests.builders import make_study

PROBLEMS = tuple(ps.Problem(problem_id=f"p{number}") for number in range(3))
SIZE = Factor(name="size", levels=(1, 2))


def planned(order: str = "as_designed", replicates: int = 2) -> Plan:
    tone = make_study(("warm", "cold")).factors[0]
    return plan(
        make_study(
            factors=(tone, SIZE),
            problems=PROBLEMS,
            agent_specs=("left", "right"),
            run_order=order,
            replicates=replicates,
        )
    )


def chosen(made: Plan, **selection: object) -> list[int]:
    mask = choose(made, Selection.model_validate(selection))
    return [position for position in range(len(made)) if mask[position]]


def test_where_nothing_is_said_every_run_is_chosen() -> None:
    made = planned()
    assert chosen(made) == list(range(len(made)))


def test_runs_are_chosen_by_agent_problem_and_condition_together() -> None:
    made = planned()
    first = made.cells[0].condition
    found = chosen(
        made, agents=["left"], problems=["p2", "p0"], conditions=[first.condition_id, "size=2"]
    )
    assert found == [
        position
        for position, spec in enumerate(made)
        if spec.agent_id == "left"
        and spec.problem_id in {"p0", "p2"}
        and (
            spec.condition_id == first.condition_id
            or made.condition_of(spec).factor_assignments["size"] == 2
        )
    ]


def test_a_condition_is_named_by_all_that_it_holds() -> None:
    made = planned()
    found = {made[at].condition_id for at in chosen(made, conditions=["tone=cold,size=1"])}
    (condition,) = (cell.condition for cell in made.cells if cell.condition.condition_id in found)
    assert condition.factor_assignments == {"tone": "cold", "size": 1}


def test_the_first_problems_are_taken_with_everything_that_is_done_with_them() -> None:
    made = planned()
    found = chosen(made, first_problems=2)
    assert found == [at for at, spec in enumerate(made) if spec.problem_id in {"p0", "p1"}]
    assert chosen(made, first_problems=99) == list(range(len(made)))


@pytest.mark.field("studies-N8")
@given(limit=st.integers(1, 60), order=st.sampled_from(list(RunOrder)))
def test_a_limit_takes_the_first_runs_of_the_order_and_whole_blocks(
    limit: int, order: RunOrder
) -> None:
    made = planned(order)
    found = set(chosen(made, limit=limit))
    assert found == set(islice(execution_order(made), len(found)))
    if order is not RunOrder.BLOCKED:
        assert len(found) == min(limit, len(made))
        return

    block = 4 * 2  # a problem and a replicate: every condition and agent
    assert len(found) == min(-(-limit // block) * block, len(made))
    by_block = {(made[at].problem_id, made[at].replicate) for at in found}
    assert len(by_block) * block == len(found)


def test_a_limit_counts_the_runs_that_are_chosen_otherwise() -> None:
    made = planned("blocked")
    found = chosen(made, limit=5, agents=["right"])
    assert len(found) == 8  # blocks of four: only one of the agents takes part
    assert {made[at].agent_id for at in found} == {"right"}


@pytest.mark.parametrize(
    ("selection", "said"),
    [
        ({"agents": ["lft"]}, "no agent of the plan is named 'lft'; did you mean 'left'?"),
        ({"agents": ["zzz"]}, "no agent of the plan is named 'zzz'; it has: left, right"),
        ({"problems": ["p9"]}, "no problem of the plan is named 'p9'; it has: p0, p1, p2"),
        ({"conditions": ["tone=hot"]}, "no condition of the plan is 'tone=hot'; give an id"),
    ],
)
def test_a_name_that_the_plan_does_not_have_is_refused(
    selection: dict[str, list[str]], said: str
) -> None:
    with pytest.raises(ps.ValidationError) as refused:
        choose(planned(), Selection.model_validate(selection))

    assert refused.value.errors[0].startswith(said)


def test_every_unknown_name_is_told_at_once() -> None:
    with pytest.raises(ps.ValidationError) as refused:
        choose(planned(), Selection(agents=("a", "b"), problems=("c",), conditions=("d",)))

    assert len(refused.value.errors) == 4


def test_what_is_done_is_not_made_again_and_only_answers_may_be_asked_for() -> None:
    all_, done = bytearray(b"\x01\x01\x00\x01"), bytearray(b"\x01\x00\x00\x00")
    assert list(to_make(all_, done, {2, 3}, Selection())) == [0, 1, 0, 1]
    assert list(to_make(all_, done, {2, 3}, Selection(is_answered=True))) == [0, 0, 0, 1]
