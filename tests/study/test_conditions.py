"""Conditions: their ids, the constraints they break, and what marks a baseline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import penstock as ps
from penstock.designs import build_design
from penstock.errors import ValidationError
from penstock.study.conditions import Condition, DesignRow, make_conditions
from penstock.study.factors import Constraint, Factor, Level
from penstock.study.identity import assignment_fingerprint, condition_id, stable_json_dumps
from penstock.study.model import Study
from tests.builders import make_study

values = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.floats(-2, 2) | st.text(max_size=2),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=1), inner),
    max_leaves=3,
)
assignments = st.dictionaries(st.text(max_size=2), values, max_size=3)


def study_of(*constraints: Constraint, **more: Any) -> Study:
    factors = more.pop("factors", [Factor(name="x", levels=[0, 1, 2])])
    return Study(study_id="s", title="t", factors=factors, constraints=constraints, **more)


def rule(expression: str | None = None, name: str = "c", **more: Any) -> Constraint:
    return Constraint(constraint_id=name, description=f"says {name}", expression=expression, **more)


def admissible(study: Study) -> list[bool]:
    return [condition.admissible for condition in build_design(study)]


def test_a_condition_gives_the_values_of_its_factors_and_blocks_by_name() -> None:
    condition = Condition(
        condition_id="c", factor_assignments={"tone": "a"}, block_assignments={"cohort": "n"}
    )
    assert (condition["tone"], condition["cohort"]) == ("a", "n")
    assert (condition.get("tone"), condition.get("cohort"), condition.get("z", 5)) == ("a", "n", 5)
    with pytest.raises(KeyError, match=r"'toen' is not a factor or block .*; known: tone, cohort"):
        condition["toen"]


@given(assignments, assignments, assignments, assignments)
def test_two_different_assignments_never_share_an_id_and_equal_ones_always_do(
    factors: dict[str, Any],
    blocks: dict[str, Any],
    other_factors: dict[str, Any],
    other_blocks: dict[str, Any],
) -> None:
    rows = [DesignRow(factors, blocks), DesignRow(other_factors, other_blocks)]
    made = make_conditions(Study(study_id="s", title="t"), rows)
    same = stable_json_dumps(list(rows[0][:2])) == stable_json_dumps(list(rows[1][:2]))
    assert len({condition.condition_id for condition in made}) == len(made) == (1 if same else 2)


@given(assignments, assignments)
def test_a_fingerprint_is_the_canonical_json_of_the_assignments(
    factors: dict[str, Any], blocks: dict[str, Any]
) -> None:
    (made,) = make_conditions(None, [DesignRow(factors, blocks)])
    fingerprint = assignment_fingerprint(factors, blocks)
    assert (made.fingerprint, made.condition_id) == (fingerprint, condition_id(fingerprint))
    assert Condition(**dict(made)) == made


def test_equal_rows_are_one_condition_with_more_replicates() -> None:
    rows = [DesignRow({"x": x}, {}) for x in (0, 1, 0, 0)]
    made = make_conditions(study_of(), rows)
    assert [(condition["x"], condition.replicates) for condition in made] == [(0, 3), (1, 1)]


def test_a_broken_constraint_excludes_a_condition_and_says_which_it_was() -> None:
    conditions = build_design(study_of(rule("x != 1"), rule("x < 2", name="d")))
    assert [list(condition.constraint_messages) for condition in conditions] == [
        [],
        ["c: says c"],
        ["d: says d"],
    ]
    assert [condition.admissible for condition in conditions] == [True, False, False]


def test_a_warning_is_noted_and_the_condition_runs() -> None:
    conditions = build_design(study_of(rule("x != 1", severity="warning")))
    assert [condition.admissible for condition in conditions] == [True, True, True]
    assert conditions[1].constraint_messages == ("c: says c",)


def test_a_constraint_may_be_a_function_beside_the_study(tmp_path: Path) -> None:
    (tmp_path / "rules.py").write_text("def odd(factors, blocks):\n    return factors['x'] % 2\n")
    study = study_of(rule(callable_ref="rules.py:odd"), base_dir=tmp_path)
    assert admissible(study) == [False, True, False]


def test_where_a_constraint_is_expression_and_function_both_must_hold(tmp_path: Path) -> None:
    (tmp_path / "rules.py").write_text("def positive(factors, blocks):\n    return factors['x']\n")
    both = rule("x < 2", callable_ref="rules.py:positive")
    assert admissible(study_of(both, base_dir=tmp_path)) == [False, True, False]


def test_a_function_cannot_change_what_it_is_asked_about(tmp_path: Path) -> None:
    (tmp_path / "rules.py").write_text(
        "def change(factors, blocks):\n    factors['x'] = blocks['y'] = 9\n    return True\n"
    )
    conditions = build_design(study_of(rule(callable_ref="rules.py:change"), base_dir=tmp_path))
    assert [condition.factor_assignments for condition in conditions] == [
        {"x": 0},
        {"x": 1},
        {"x": 2},
    ]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("test = 5\n", "Reference 'rules.py:test' does not resolve to a callable."),
        ("", "has no 'test'"),
        ("1 / 0\n", "ZeroDivisionError: division by zero"),
        ("def test(:\n", "SyntaxError"),
        ("def test(factors, blocks):\n    return 1 / factors['x']\n", "division by zero (at "),
    ],
)
def test_a_function_that_cannot_be_used_is_told(tmp_path: Path, source: str, message: str) -> None:
    (tmp_path / "rules.py").write_text(source)
    with pytest.raises(ValidationError) as caught:
        build_design(study_of(rule(callable_ref="rules.py:test"), base_dir=tmp_path))

    (error,) = caught.value.errors
    assert error.startswith("Constraint 'c': ")
    assert message in error


def test_every_constraint_that_fails_is_told_with_its_first_condition() -> None:
    bad = [rule("1 / x > 0", name="a"), rule("y == 1", name="b"), rule("x ==", name="c")]
    with pytest.raises(ValidationError) as caught:
        build_design(study_of(*bad, rule("x < 9", name="d")))

    a, b, c = sorted(caught.value.errors)
    assert "division by zero (at factors={'x': 0}, blocks={})" in a
    assert "Unknown variable 'y'" in b
    assert "is not an expression" in c


def test_a_condition_is_a_baseline_where_all_its_marked_levels_are() -> None:
    base = {"is_baseline": True, "role": "control"}
    factors = [
        Factor(
            name=name,
            levels=[Level(name="b", value=0, label=f"{name} base", metadata=base), "other"],
        )
        for name in ("x", "y")
    ]
    conditions = build_design(study_of(factors=factors))
    assert [condition.metadata.get("condition_label") for condition in conditions] == [
        "x base | y base",
        "x base",
        "y base",
        None,
    ]
    assert conditions[0].metadata["comparison_baseline"] == {
        "is_baseline_condition": True,
        "axes": ["x", "y"],
    }
    assert conditions[0].metadata["comparison_axes"]["x"] == {
        "value": 0,
        "level_name": "b",
        "label": "x base",
        "role": "control",
        "is_baseline": True,
    }


def test_levels_of_equal_looking_values_are_told_apart_by_their_type() -> None:
    levels = [
        Level(name="flag", value=True, metadata={"role": "flag"}),
        Level(name="one", value=1, metadata={"role": "number"}),
    ]
    conditions = build_design(study_of(factors=[Factor(name="x", levels=levels)]))
    roles = [condition.metadata["comparison_axes"]["x"]["role"] for condition in conditions]
    assert roles == ["flag", "number"]


def test_conditions_of_ones_own_have_the_ids_that_a_design_would_give() -> None:
    study = make_study(("a", "b"))
    rows: list[dict[str, Any]] = [{"tone": "a"}, {"tone": np.str_("b")}, {"tone": "a"}]
    made = ps.conditions(rows)

    assert [c.condition_id for c in made] == [c.condition_id for c in ps.build_design(study)]
    assert [c.replicates for c in made] == [2, 1]
    assert len(ps.plan(study, made)) == 3


def test_conditions_of_ones_own_are_held_against_the_study() -> None:
    study = make_study(
        (1, 2),
        blocks=[{"name": "cohort", "levels": ["n", "e"]}],
        constraints=[{"constraint_id": "k", "description": "d", "expression": "tone < 2"}],
    )
    one, two = ps.conditions([{"tone": 1.5, "cohort": "n"}, {"tone": 2, "cohort": "e"}], study)

    assert (one.factor_assignments, one.block_assignments) == ({"tone": 1.5}, {"cohort": "n"})
    assert (one.admissible, two.admissible) == (True, False)


def test_everything_wrong_with_conditions_of_ones_own_is_told_with_its_row() -> None:
    study = make_study(blocks=[{"name": "cohort", "levels": ["n", "e"]}])
    rows: list[Any] = [{"tone": "a", "cohrt": "n"}, {"tone": object(), "cohort": "n"}]
    with pytest.raises(ValidationError) as caught:
        ps.conditions(rows, study)

    assert [error.partition(":")[0] for error in caught.value.errors[:2]] == ["row 1", "row 1"]
    assert "did you mean 'cohort'" in caught.value.errors[0]
    assert "row 2.tone" in caught.value.errors[2]
