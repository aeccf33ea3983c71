"""A hypothesis that a design cannot test is an error that explains why."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import penstock as ps
from penstock.planning.estimability import estimability_errors
from tests.designs.studies import study_of

ABC = {name: [0, 1] for name in "abc"}


def _claim(*variables: str, by: Sequence[str] = (), name: str = "h1") -> dict[str, Any]:
    return {
        "hypothesis_id": name,
        "label": "H1",
        "statement": "It matters.",
        "independent_vars": list(variables),
        "moderators": [{"name": name} for name in by],
    }


def _rule(expression: str) -> dict[str, Any]:
    return {"constraint_id": "c", "description": "d", "expression": expression}


def _errors(factors: Any, *claims: dict[str, Any], **fields: Any) -> list[str]:
    study = study_of(factors, hypotheses=claims, **fields)
    return estimability_errors(study, ps.build_design(study))


@pytest.mark.parametrize(
    "spec",
    [
        {"kind": "full"},
        {"kind": "full", "center_points": 2},
        {"kind": "frac2"},
        {"kind": "frac2", "options": {"backend": "pydoe"}},
        {"kind": "plackett_burman"},
        {"kind": "definitive_screening"},
        {"kind": "pairwise"},
        {"kind": "d_optimal", "n_samples": 6},
        {"kind": "lhs", "n_samples": 6},
        {"kind": "sobol", "n_samples": 8},
    ],
)
def test_main_effects_can_be_estimated_in_every_sound_design(spec: dict[str, Any]) -> None:
    assert _errors(ABC, _claim("a", "b", "c"), design_spec=spec) == []


def test_factors_of_more_levels_and_blocks_can_be_estimated_too() -> None:
    factors = {"a": [0, 1, 2], "b": ["x", "y", "z"], "c": [None, True]}
    claim = _claim("a", "b", "c", by=["cohort", "b"])

    assert _errors(factors, claim, blocks={"cohort": ["n", "e"]}) == []
    kept = _rule("not (a == 2 and b == 'z' and cohort == 'e')")
    assert _errors(factors, claim, blocks={"cohort": ["n", "e"]}, constraints=[kept]) == []


def test_a_latin_square_estimates_its_treatment_and_not_an_interaction() -> None:
    factors = {name: [0, 1, 2] for name in ("row", "col", "trt")}
    options = {"row_factor": "row", "column_factor": "col", "treatment_factor": "trt"}
    spec = {"kind": "latin_square", "options": options}

    assert _errors(factors, _claim("trt"), design_spec=spec) == []
    (error,) = _errors(factors, _claim("trt", by=["row"]), design_spec=spec)
    assert "interaction of 'trt' and 'row' is aliased with the main effect of 'col'" in error


def test_factors_that_go_together_are_named() -> None:
    one, two = _errors(
        {"a": [0, 1], "b": ["x", "y"], "c": [0, 1]},
        _claim("a", "b", "c"),
        constraints=[_rule("(a == 0) == (b == 'x')")],
    )

    assert one == (
        "Hypothesis 'h1': the main effect of 'a' is aliased with the main effect of 'b': the 4 "
        "admissible conditions cannot tell them apart; choose another design or more rows, or "
        "loosen the constraints."
    )
    assert "main effect of 'b' is aliased with the main effect of 'a'" in two


def test_a_block_that_goes_with_a_factor_is_named() -> None:
    (error,) = _errors(
        {"a": [0, 1], "c": [0, 1]},
        _claim("a"),
        blocks={"cohort": ["n", "e"]},
        constraints=[_rule("(a == 0) == (cohort == 'n')")],
    )

    assert "aliased with the main effect of 'cohort'" in error


def test_an_interaction_that_is_a_main_effect_of_the_fraction_is_an_error() -> None:
    spec = {"kind": "frac2", "options": {"generators": {"c": ["a", "b"]}}}
    (error,) = _errors(ABC, _claim("a", by=["b"]), design_spec=spec)

    assert "the interaction of 'a' and 'b' is aliased with the main effect of 'c'" in error


def test_a_combination_that_never_runs_is_named() -> None:
    (error,) = _errors(
        {"a": [0, 1], "b": ["x", "y"]},
        _claim("a", by=["b"]),
        constraints=[_rule("a == 0 or b == 'x'")],
    )

    assert "no admissible condition has a = 1 and b = 'y'" in error


def test_a_level_that_never_runs_is_named() -> None:
    (error,) = _errors({"b": ["x", "y", "z"]}, _claim("b"), constraints=[_rule("b != 'z'")])

    assert "no admissible condition has 'b' at 'z'" in error


def test_a_factor_of_one_level_has_nothing_to_compare() -> None:
    (error,) = _errors({"a": [0], "b": [0, 1]}, _claim("a"))
    assert "'a' has one level only" in error


@pytest.mark.field("studies-P6")
def test_the_advice_for_a_factor_of_one_level_can_be_followed() -> None:
    (error,) = _errors({"a": [0], "b": [0, 1]}, _claim("a"), constraints=[_rule("b < 2")])
    assert error.endswith("; give 'a' another level, or leave it out of the hypothesis.")


def test_an_effect_that_only_several_others_together_hide_is_an_error() -> None:
    rule = _rule("(a + b + c) % 2 == 0")
    three = {"kind": "lhs", "n_samples": 3}
    (error,) = _errors({name: [0.0, 1.0] for name in "wxyz"}, _claim("x"), design_spec=three)

    assert "beside the main effects of all the other factors and blocks together" in error
    assert _errors(ABC, _claim("a"), constraints=[rule]) == []


def test_a_numeric_factor_at_one_value_has_nothing_to_compare() -> None:
    spec = {"kind": "lhs", "n_samples": 1}
    (error,) = _errors({"x": [0, 1]}, _claim("x"), design_spec=spec)

    assert "one value only" in error


def test_numbers_between_the_levels_interact_too() -> None:
    three = {"kind": "lhs", "n_samples": 3}
    (error,) = _errors({"x": [0, 1], "y": [0, 1]}, _claim("x", by=["y"]), design_spec=three)

    assert "interaction of 'x' and 'y' cannot be estimated beside" in error


def test_names_that_are_no_levels_are_levels_of_the_conditions_that_were_given() -> None:
    made = ps.build_design(study_of({"a": ["u", "v", "w"], "b": [0, 1]}))

    assert (
        estimability_errors(study_of({"a": ["u"], "b": [0, 1]}, hypotheses=[_claim("a")]), made)
        == []
    )


def test_where_nothing_may_run_nothing_is_said_of_hypotheses() -> None:
    assert _errors({"a": [0, 1]}, _claim("a"), constraints=[_rule("a == 7")]) == []


def test_what_is_measured_or_unknown_is_left_to_others() -> None:
    study = study_of({"a": [0, 1]}, hypotheses=[_claim("zzz", "m", "a", by=["nothing", "a"])])
    measured = {"name": "m", "kind": "measured", "default": 0}
    fields = study.model_dump()
    fields["factors"] = [*fields["factors"], measured]
    study = ps.Study.model_validate(fields)

    assert estimability_errors(study, ps.build_design(study)) == []


def test_very_wide_models_are_judged_only_where_every_combination_is_there() -> None:
    factors = {"a": range(2000), "b": [0, 1]}
    assert _errors(factors, _claim("a", "b")) == []
    assert _errors(factors, _claim("a"), constraints=[_rule("a > 0 or b == 0")]) == []


def test_validating_a_study_says_what_its_design_cannot_test() -> None:
    study = study_of(
        ABC,
        hypotheses=[_claim("a", by=["b"])],
        design_spec={"kind": "frac2", "options": {"backend": "pydoe"}},
    )

    (error,) = ps.validate_study(study)
    assert error.startswith("Hypothesis 'h1': the interaction of 'a' and 'b' is aliased")


@pytest.mark.field("engine-G5")
def test_two_hypotheses_on_one_and_the_same_contrast_are_an_error_that_names_both() -> None:
    spec = {"kind": "frac2"}
    factors = {name: [0, 1] for name in "abcd"}
    one, two = _claim("a", by=["b"]), _claim("c", by=["d"], name="h2")

    assert _errors(factors, one, design_spec=spec) == []
    (error,) = _errors(factors, one, two, design_spec=spec)
    assert error == (
        "Hypotheses 'h1' and 'h2': the interaction of 'a' and 'b' and the interaction of 'c' and "
        "'d' cannot be told apart by the 8 admissible conditions; choose another design or more "
        "rows."
    )


@pytest.mark.field("engine-G5")
def test_one_interaction_asked_about_from_both_sides_is_one() -> None:
    claims = [_claim("a", by=["b"]), _claim("b", by=["a"], name="h2")]
    spec = {"kind": "frac2", "options": {"backend": "stdlib"}}
    assert _errors({name: [0, 1] for name in "abcd"}, *claims, design_spec=spec) == []

    claims.append(_claim("d", by=["c"], name="h3"))
    (error,) = _errors({name: [0, 1] for name in "abcd"}, *claims, design_spec=spec)
    assert error.startswith("Hypotheses 'h1' and 'h2' and 'h3': ")


@given(
    st.lists(st.tuples(*[st.sampled_from([0, 1])] * 4), min_size=6, max_size=14, unique=True),
    st.lists(st.sampled_from(list(itertools.combinations("abcd", 2))), min_size=2, unique=True),
)
@settings(max_examples=150)
def test_effects_are_told_apart_where_their_model_has_full_rank(
    rows: list[tuple[int, ...]], pairs: list[tuple[str, str]]
) -> None:
    columns = {
        name: 2.0 * np.array(column) - 1
        for name, column in zip("abcd", zip(*rows, strict=True), strict=True)
    }
    main = [np.ones(len(rows)), *columns.values()]

    def gained(chosen: list[tuple[str, str]]) -> int:
        added = [columns[one] * columns[other] for one, other in chosen]
        rank = np.linalg.matrix_rank
        return int(rank(np.column_stack([*main, *added])) - rank(np.column_stack(main)))

    claims = [_claim(one, by=[other], name=f"{one}{other}") for one, other in pairs]
    study = study_of({name: [0, 1] for name in "abcd"}, hypotheses=claims)
    told = estimability_errors(
        study, ps.conditions([dict(zip("abcd", row, strict=True)) for row in rows], study)
    )

    alone = [error for error in told if "cannot be told apart by" not in error]
    if not alone:
        assert (told == []) == (gained(pairs) == len(pairs))
