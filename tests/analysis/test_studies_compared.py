from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

import penstock as ps
from penstock.analysis.studies_compared import StudiesCompared, compare_studies
from penstock.store.reader import StoreReader
from penstock.study.policies import RunBudget
from tests.analysis.test_analyze import SCORE, helped, hypothesis, study_of
from tests.builders import stopping_after

BETTER_HIGHER = SCORE.model_copy(update={"better": "higher"})


async def plain(ctx: Any) -> str:
    """An agent of whom politeness asks in vain."""
    ctx.record(score=int(ctx.problem.problem_id[1:]) / 10)
    return "x"


def made(folder: Path, agent: Any, **fields: Any) -> Path:
    study = study_of(folder, **{"outcomes": (BETTER_HIGHER,), **fields})
    ps.run_study(study, agent_bindings={"a": agent}, show_progress=False, report=False)
    return folder / "results"


@contextmanager
def opened(directories: Sequence[Path]) -> Iterator[dict[str, StoreReader]]:
    with ExitStack() as stack:
        yield {
            directory.parent.name: stack.enter_context(StoreReader(directory))
            for directory in directories
        }


def compared(*directories: Path, **options: Any) -> StudiesCompared:
    with opened(directories) as stores:
        return compare_studies(stores, **options)


def test_a_later_study_is_held_against_the_first_paired_by_problem(tmp_path: Path) -> None:
    old, new = made(tmp_path / "old", helped), made(tmp_path / "new", plain)

    (other,) = compared(old, new).others

    found = other.outcomes["score"]
    # The agent of before gained 0.1 + at / 100 under one of two conditions, on 8 problems.
    assert found.contrast.difference == pytest.approx(-0.135 / 2)
    assert found.by_condition["polite"].difference == pytest.approx(-0.135)
    assert found.by_condition["plain"].difference == 0
    assert found.contrast.n_problems == 8
    assert found.contrast.p == pytest.approx(2 / 2**8)
    assert found.verdict == "worse"
    assert "8 problems in common: new is worse" in found.sentence


def test_several_studies_are_adjusted_for_each_other(tmp_path: Path) -> None:
    directories = [
        made(tmp_path / name, each)
        for name, each in (("old", helped), ("same", helped), ("new", plain))
    ]

    same, new = compared(*directories).others

    assert same.outcomes["score"].verdict == "no difference shown"
    assert new.outcomes["score"].p_adjusted == pytest.approx(2 * 2 / 2**8)


def test_without_a_declared_direction_a_difference_is_neither_better_nor_worse(
    tmp_path: Path,
) -> None:
    old = made(tmp_path / "old", helped, outcomes=(SCORE,))
    new = made(tmp_path / "new", plain, outcomes=(SCORE,))

    assert compared(old, new).others[0].outcomes["score"].verdict == "lower"
    assert compared(old, new, better="lower").others[0].outcomes["score"].verdict == "better"


def test_problems_count_where_both_studies_have_the_same_ones(tmp_path: Path) -> None:
    problems = [ps.Problem(problem_id=f"p{at}") for at in range(9)]
    old = made(tmp_path / "old", helped, problems=tuple(problems[:8]))
    problems[1] = ps.Problem(problem_id="p1", brief="asked otherwise")
    new = made(tmp_path / "new", plain, problems=tuple(problems[1:]))

    (other,) = compared(old, new).others

    assert other.problems.declared_otherwise == ("p1",)
    assert (other.problems.only_first, other.problems.only_other) == (("p0",), ("p8",))
    assert other.problems.common == tuple(f"p{at}" for at in range(2, 8))
    assert other.outcomes["score"].contrast.n_problems == 6


def test_studies_without_a_common_condition_are_averaged_over_their_own(tmp_path: Path) -> None:
    old = made(tmp_path / "old", plain)
    factor = ps.Factor(name="tone", levels=("warm", "cold"))
    new = made(tmp_path / "new", plain, factors=(factor,))

    found = compared(old, new).others[0].outcomes["score"]

    assert not found.are_conditions_shared
    assert found.conditions == ("plain", "polite", "warm", "cold")
    assert found.contrast.difference == 0
    assert found.sentence.endswith("each averaged over its own conditions")


def test_what_the_plans_differ_in_is_named_with_its_place(tmp_path: Path) -> None:
    old = made(tmp_path / "old", plain)
    levels = ("plain", "polite", "rude")
    factor = ps.Factor(name="tone", levels=levels)
    new = made(
        tmp_path / "new",
        plain,
        factors=(factor,),
        title="another",
        run_budget=RunBudget(replicates=3),
    )

    plan = {each.place: (each.first, each.other) for each in compared(old, new).others[0].plan}

    assert plan["run_budget.replicates"] == (2, 3)
    assert plan["factors.tone.levels.rude"][0] is None
    assert plan["factors.tone.levels.rude"][1]["value"] == "rude"
    assert len(plan) == 2, "neither titles nor directories are the plan's"


def test_the_code_of_an_agent_is_part_of_what_differs(tmp_path: Path) -> None:
    old, new = made(tmp_path / "old", helped), made(tmp_path / "new", plain)

    assert [each.place for each in compared(old, new).others[0].plan] == ["code of agent a"]


def test_outcomes_are_withheld_while_runs_of_a_study_with_hypotheses_are_left(
    tmp_path: Path,
) -> None:
    old = made(tmp_path / "old", helped)
    new = made(tmp_path / "new", stopping_after(20, plain), hypotheses=(hypothesis(),))

    found = compared(old, new)

    assert found.blind == ("new",)
    assert found.others[0].outcomes == {}


def test_studies_of_other_outcomes_are_refused(tmp_path: Path) -> None:
    old = made(tmp_path / "old", plain)
    other = BETTER_HIGHER.model_copy(update={"name": "points"})
    new = made(tmp_path / "new", plain, outcomes=(other,))

    with pytest.raises(ps.PenstockError, match="new has no outcome 'score'"):
        compared(old, new)


def test_studies_with_no_problem_in_common_have_a_sentence_and_no_number(tmp_path: Path) -> None:
    old = made(tmp_path / "old", plain)
    problems = tuple(ps.Problem(problem_id=f"q{at}") for at in range(8))

    async def of_others(ctx: Any) -> str:
        ctx.record(score=1.0)
        return "x"

    new = made(tmp_path / "new", of_others, problems=problems)

    found = compared(old, new).others[0].outcomes["score"]

    assert found.contrast.difference is None
    assert "cannot be compared" in found.sentence
