"""Everything wrong with a study is listed at once, before anything is spent."""

from __future__ import annotations

from typing import Any

import pytest

from penstock.planning.validation import declaration_errors, validate_study
from penstock.study.factors import Block, Constraint, Factor
from penstock.study.hypotheses import AnalysisPlan, Hypothesis, Outcome
from penstock.study.model import Study
from penstock.study.policies import RunBudget

X = Factor(name="x", levels=[1, 2])
OUTCOME = Outcome(name="score", source_table="runs", column="primary_outcome", aggregation="mean")

NEEDS_PROBLEMS = (
    "Study execution requires problem IDs, a problem factor, or condition_runner; declare "
    "`problems:`, or list `problem_ids:` and pass a problem_registry."
)


def hypothesis(name: str = "h", **more: Any) -> Hypothesis:
    return Hypothesis(hypothesis_id=name, label="l", statement="s", **more)


def analysis(*hypotheses: str, name: str = "a", **more: Any) -> AnalysisPlan:
    return AnalysisPlan(analysis_plan_id=name, hypothesis_ids=hypotheses, tests=["t"], **more)


def errors_of(**fields: Any) -> list[str]:
    defaults = {"study_id": "s", "title": "t", "factors": [X], "problem_ids": ["p"]}
    return validate_study(Study(**{**defaults, **fields}))


def test_a_sound_study_has_no_errors() -> None:
    assert (
        errors_of(
            outcomes=[OUTCOME],
            hypotheses=[hypothesis(independent_vars=["x"], dependent_vars=["score"])],
            analysis_plans=[analysis("h", outcomes=["score"])],
            blocks=[Block(name="b", levels=[1, 2])],
        )
        == []
    )


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"factors": [X, X]}, "Duplicate factor name detected: 'x'."),
        ({"blocks": [Block(name="b", levels=[1])] * 2}, "Duplicate block name detected: 'b'."),
        ({"outcomes": [OUTCOME] * 2}, "Duplicate outcome name detected: 'score'."),
        ({"hypotheses": [hypothesis()] * 2}, "Duplicate hypothesis name detected: 'h'."),
        (
            {"hypotheses": [hypothesis()], "analysis_plans": [analysis("h")] * 2},
            "Duplicate analysis plan name detected: 'a'.",
        ),
        ({"problem_ids": ["p", "p"]}, "Duplicate problem_ids name detected: 'p'."),
        ({"agent_specs": ["a", "a"]}, "Duplicate agent_specs name detected: 'a'."),
        (
            {"problems": [{"problem_id": "p"}, {"problem_id": "p"}], "problem_ids": ["p"]},
            "Duplicate problem name detected: 'p'.",
        ),
        (
            {"factors": [{"name": "x", "levels": [{"name": n, "value": 1} for n in "ab"]}]},
            "Factor 'x' has two levels of the value 1.",
        ),
        *(
            (
                {"factors": [Factor(name="x", levels=levels)]},
                f"Factor 'x' has two levels of the value {told}.",
            )
            for levels, told in (
                ([1, 1.0], "1 or 1.0"),
                ([0, -0.0, "a"], "0 or -0.0"),
                ([10**20, 1e20], "100000000000000000000 or 1e+20"),
            )
        ),
        *(
            (
                {"evaluators": {name: "regex"}},
                f"The name {name!r} is empty, or begins or ends with a space; it heads a column.",
            )
            for name in ("", " ", "score ", "\u3000score")
        ),
        (
            {"evaluators": {"a\nb": "regex"}},
            "The name 'a\\nb' holds a control character; names are plain text.",
        ),
        (
            {"blocks": [Block(name="b ", levels=["n"])]},
            "The name 'b ' is empty, or begins or ends with a space; it heads a column.",
        ),
        (
            {"blocks": [Block(name="b", levels=["n", "n"])]},
            "Block 'b' has two levels of the value \"n\".",
        ),
        (
            {"hypotheses": [hypothesis(independent_vars=["y"])]},
            "Hypothesis 'h' references unknown independent variable 'y'.",
        ),
        (
            {
                "hypotheses": [hypothesis(independent_vars=["b"])],
                "blocks": [Block(name="b", levels=[1])],
            },
            "Hypothesis 'h' references unknown independent variable 'b'.",
        ),
        (
            {"hypotheses": [hypothesis(dependent_vars=["y"])]},
            "Hypothesis 'h' references unknown dependent variable 'y'.",
        ),
        (
            {"analysis_plans": [analysis("z")]},
            "Analysis plan 'a' references unknown hypothesis 'z'.",
        ),
        (
            {"hypotheses": [hypothesis()], "analysis_plans": [analysis("h", outcomes=["z"])]},
            "Analysis plan 'a' references unknown outcome 'z'.",
        ),
        (
            {"blocks": [Block(name="x", levels=[1])]},
            "Block 'x' has the name of a factor; rename one of them.",
        ),
        (
            {"factors": [Factor(name="condition_id", levels=[1])]},
            "Factor 'condition_id' has the name of a column of conditions.csv; rename it.",
        ),
        (
            {
                "factors": [Factor(name="block_b", levels=[1])],
                "blocks": [Block(name="b", levels=[1])],
            },
            "Factor 'block_b' has the column of block 'b'; rename it.",
        ),
        (
            {"constraints": [Constraint(constraint_id="c", description="d", expression="False")]},
            "No admissible conditions are available to execute.",
        ),
        (
            {"agent_specs": ["a\x00b"]},
            "The name 'a\\x00b' holds a control character; names are plain text.",
        ),
    ],
)
def test_each_fault_has_its_sentence_and_is_told_alone(fields: dict[str, Any], error: str) -> None:
    assert errors_of(**fields) == [error]


def test_a_flag_and_a_number_are_two_levels() -> None:
    assert errors_of(factors=[Factor(name="x", levels=[True, 1, False, 0])]) == []


def test_a_study_without_agents_and_problems_is_one_of_a_condition_runner() -> None:
    assert errors_of(problem_ids=[]) == []
    assert errors_of(problem_ids=["p"]) == []


def test_a_study_needs_something_to_solve() -> None:
    assert errors_of(agent_specs=["a"], problem_ids=[]) == [NEEDS_PROBLEMS]
    for name in ("problem_id", "problem"):
        assert errors_of(problem_ids=[], factors=[Factor(name=name, levels=["p"])]) == []


@pytest.mark.parametrize("study_id", ["/tmp/x", "../x", "a/../../x"])
def test_a_name_that_leads_out_of_the_folder_of_results_is_a_fault(study_id: str) -> None:
    (error,) = errors_of(study_id=study_id)
    assert error.startswith(f"Study.study_id {study_id!r} would put the results outside")
    assert errors_of(study_id=study_id, output_dir="here") == []


def test_a_plan_larger_than_its_budget_is_a_fault() -> None:
    (error,) = errors_of(run_budget=RunBudget(replicates=2, max_runs=3))
    assert error.startswith("Planned runs (4) exceed run budget max_runs (3)")


def test_all_faults_are_told_at_once_declarations_before_the_plan() -> None:
    errors = errors_of(
        factors=[X, X],
        hypotheses=[hypothesis(independent_vars=["y"])],
        constraints=[Constraint(constraint_id="c", description="d", expression="z == 1")],
        problem_ids=[],
        agent_specs=["a"],
    )
    assert [error.split("'")[0] for error in errors] == [
        "Duplicate factor name detected: ",
        "Hypothesis ",
        NEEDS_PROBLEMS,
        "Constraint ",
    ]


def test_declarations_can_be_checked_without_making_a_condition() -> None:
    rule = Constraint(constraint_id="c", description="d", expression="False")
    study = Study(study_id="s", title="t", factors=[X], problem_ids=["p"], constraints=[rule])
    assert declaration_errors(study) == []
    assert validate_study(study) != []
