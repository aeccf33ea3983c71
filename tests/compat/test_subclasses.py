"""Facts have the members they had, by whatever way they came to be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import penstock as ps
import penstock.compat
from penstock.study.identity import run_seed

compat: Any = penstock.compat  # facts take positions and older names that types know nothing of


def study() -> Any:
    return compat.Study(
        study_id="s1",
        title="t",
        factors=(compat.Factor("x", "what is varied", default=3), ps.Factor(name="y", levels=[1])),
        constraints=(ps.Constraint(constraint_id="c", description="d", expression="x == 3"),),
        outcomes=(
            compat.OutcomeSpec("quality", "runs", "quality", "mean", primary=True),
            compat.OutcomeSpec("speed", "runs", "latency_s", "mean"),
        ),
        problem_ids=("p",),
        agent_specs=("a",),
    )


def test_fields_are_taken_by_position_as_by_name() -> None:
    assert compat.Level("a", 1) == compat.Level(name="a", value=1)
    condition = compat.Condition("cond-1", {"x": 1}, {}, admissible=False)
    assert (condition.condition_id, condition["x"], condition.admissible) == ("cond-1", 1, False)
    plan = compat.AnalysisPlan("ap1", ("h1",), ("ttest",))
    assert (plan.hypothesis_ids, plan.tests) == (("h1",), ("ttest",))
    with pytest.raises(TypeError, match="multiple values"):
        compat.Level("a", name="b")

    with pytest.raises(TypeError, match="Level has 4 fields, not 5"):
        compat.Level("a", 1, "b", {}, 5)

    with pytest.raises(ps.ValidationError, match=r"Block 'b' must contain at least one level\."):
        compat.Block("b", ())


@pytest.mark.field("studies-P4")
def test_a_study_is_written_and_read_back(tmp_path: Path) -> None:
    made = study()
    assert made.to_yaml(tmp_path / "deep" / "study.yaml").is_file()
    made.to_json(tmp_path / "study.json")
    again = [
        compat.Study.from_yaml(tmp_path / "deep" / "study.yaml"),
        compat.Study.from_json(tmp_path / "study.json"),
        compat.load_study(tmp_path / "study.json"),
        compat.Study.from_dict(made.to_dict()),
        compat.Study(**made.to_dict()),
        ps.Study(**made.to_dict()),
    ]
    for each in again:
        assert each == made
        assert each.to_dict() == made.to_dict()
        assert [c.condition_id for c in ps.build_design(each)] == [
            c.condition_id for c in ps.build_design(made)
        ]


def test_a_study_of_a_schema_that_is_not_known_is_refused() -> None:
    for kind in (compat.Study, ps.Study):
        with pytest.raises(ps.ValidationError, match=r"schema_version: '9\.0' is newer"):
            kind(**{**study().to_dict(), "schema_version": "9.0"})


@pytest.mark.field("studies-P4")
def test_members_are_there_whether_a_fact_was_made_here_or_not(tmp_path: Path) -> None:
    made = study()
    for each in (made, compat.Study.from_yaml(made.to_yaml(tmp_path / "study.yaml"))):
        assert [factor.iter_values() for factor in each.factors] == [(3,), (1,)]
        assert each.constraints[0].evaluate({"x": 3, "y": 1}, {})
        assert not each.constraints[0].evaluate({"x": 4, "y": 1}, {})
        assert (each.primary_outcomes, each.secondary_outcomes) == (("quality",), ("speed",))


def test_a_rule_that_cannot_be_evaluated_says_so() -> None:
    rule = compat.Constraint("c", "d", "z == 3")
    with pytest.raises(ps.ValidationError, match="Constraint 'c': Unknown variable 'z'"):
        rule.evaluate({"x": 3}, {})


@pytest.mark.field("studies-P4")
def test_a_seed_is_derived_by_the_formula_of_runs() -> None:
    policy = compat.SeedPolicy(base_seed=123)
    assert policy.derive_seed("s1", "cond-593275f88eaa", 1, "agent-a:problem-1") == 598118156
    assert compat.SeedPolicy().derive_seed("s1", "cond-593275f88eaa", 2, "None:None") == 335297868
    assert study().seed_policy.derive_seed("s", "c", 1, "a:p") == run_seed(
        "s", "c", 1, "a", "p", base_seed=0, strategy="condition_replicate", per_run_offset=9973
    )


def test_roles_of_outcomes_in_older_files_are_read_and_held_against_newer_ones() -> None:
    declared = study().to_dict()
    declared["primary_outcomes"] = ["missing"]
    with pytest.raises(ps.ValidationError, match="unknown outcomes"):
        compat.Study.from_dict(declared)

    for outcome in declared["outcomes"]:
        del outcome["primary"]

    declared["primary_outcomes"] = ["speed"]
    assert compat.Study.from_dict(declared).primary_outcomes == ("speed",)
    assert declared["primary_outcomes"] == ["speed"], "what was given is as it was"


def test_where_results_go_may_be_assigned_and_nothing_else() -> None:
    made = study()
    made.output_dir = "elsewhere"
    assert made.output_dir == Path("elsewhere")
    with pytest.raises(ValueError, match="frozen"):
        made.title = "other"


def test_plain_values_of_a_study_may_be_changed() -> None:
    written = study().to_dict()
    written["outcomes"][0]["name"] = "other"
    assert study().outcomes[0].name == "quality"


def test_an_observation_is_made_by_hand_and_written_as_a_row() -> None:
    seen = compat.Observation("2026-01-01", "evt-1", "hi", "s", "me", "step", {"b": 1, "a": 2})
    assert seen.to_row()["meta_json"] == '{"a":2,"b":1}'
    assert [*seen.to_row()][:3] == ["timestamp", "record_id", "text"]
