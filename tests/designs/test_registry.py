"""Designs are built whole: every row once, every error at once, ids from assignments alone."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import penstock as ps
from penstock.designs import DESIGNS
from penstock.designs.registry import find_design, spec_errors
from penstock.errors import ValidationError
from penstock.study.conditions import DesignRow, make_conditions
from penstock.study.identity import assignment_fingerprint, stable_json_dumps
from penstock.study.policies import DesignKind, DesignSpec
from tests.designs.studies import rows_of, study_of

LEVELS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([0.0, 1.0, 0.5, -1.5]),
    st.text(max_size=2),
)
FACTORS = st.dictionaries(
    st.sampled_from("abcd"),
    st.lists(LEVELS, min_size=1, max_size=4, unique_by=stable_json_dumps),
    min_size=1,
    max_size=4,
)
ORDER = st.fixed_dictionaries(
    {}, optional={"randomize": st.booleans(), "counterbalance": st.booleans()}
)


def test_every_kind_of_design_has_a_record_of_its_name() -> None:
    assert set(DESIGNS) == set(DesignKind)
    assert all(kind == design.kind for kind, design in DESIGNS.items())


@given(FACTORS, ORDER, st.integers(1, 3))
@settings(max_examples=80)
def test_a_factorial_holds_every_combination_once_in_whatever_order(
    factors: dict[str, list[Any]], order: dict[str, bool], replicates: int
) -> None:
    conditions = ps.build_design(study_of(factors), DesignSpec(replicates=replicates, **order))

    made = Counter(stable_json_dumps(c.factor_assignments) for c in conditions)
    wanted = Counter(
        stable_json_dumps(dict(zip(factors, values, strict=True)))
        for values in itertools.product(*factors.values())
    )
    assert made == wanted
    assert {c.replicates for c in conditions} == {replicates}


@given(st.lists(st.tuples(LEVELS, LEVELS), min_size=1, max_size=12))
@settings(max_examples=80)
def test_equal_assignments_share_an_id_and_different_ones_never_do(
    pairs: list[tuple[Any, Any]],
) -> None:
    rows = [DesignRow({"a": a}, {"b": b}, {"row": i}) for i, (a, b) in enumerate(pairs)]
    conditions = make_conditions(study_of({"a": [0]}), rows)

    texts = Counter(stable_json_dumps(pair) for pair in pairs)
    assert len({c.condition_id for c in conditions}) == len(conditions) == len(texts)
    assert sorted(c.replicates for c in conditions) == sorted(texts.values())
    for condition in conditions:
        written = assignment_fingerprint(condition.factor_assignments, condition.block_assignments)
        assert condition.fingerprint == written


def test_different_assignments_under_one_id_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("penstock.study.conditions.condition_id", lambda _: "cond-000000000000")

    with pytest.raises(ValidationError, match="have the same id, cond-000000000000"):
        ps.build_design(study_of({"a": [0, 1]}))


def test_a_replicated_condition_says_so_in_its_metadata() -> None:
    conditions = ps.build_design(study_of({"a": [0, 1]}), DesignSpec(replicates=3))

    assert [c.metadata["replicates"] for c in conditions] == [3, 3]
    assert len(ps.plan(study_of({"a": [0, 1]}), conditions)) == 6


def test_everything_that_is_wrong_with_a_design_is_said_at_once() -> None:
    spec = DesignSpec(
        kind="lhs", options={"bound": 1, "backend": "scipy"}, block_randomization_key="cohrt"
    )
    with pytest.raises(ValidationError) as caught:
        ps.build_design(study_of({"a": ["x", "y"]}, blocks={"cohort": [1, 2]}), spec)

    assert len(caught.value.errors) == 5


def test_an_option_that_means_nothing_stops_a_design_that_could_be_built() -> None:
    with pytest.raises(ValidationError, match="no option 'zzz'"):
        ps.build_design(study_of({"a": [0, 1]}), DesignSpec(options={"zzz": 1}))


def test_a_constraint_that_cannot_be_evaluated_is_an_error_that_says_where() -> None:
    rules = ["zzz == 1", "a / 0 == 1"]
    constraints = [
        {"constraint_id": f"c{i}", "description": "d", "expression": rule}
        for i, rule in enumerate(rules)
    ]
    with pytest.raises(ValidationError) as caught:
        ps.build_design(study_of({"a": [0, 1]}, constraints=constraints))

    assert len(caught.value.errors) == 2
    assert "Constraint 'c0'" in str(caught.value)


@pytest.mark.parametrize("kind", ["full", "lhs", "frac2"])
def test_a_kind_has_the_alias_of_the_contract(kind: str) -> None:
    assert isinstance(DesignSpec(kind=kind).kind, DesignKind)


def test_the_same_study_gives_the_same_design_and_another_seed_another() -> None:
    spec = {"kind": "lhs", "n_samples": 8, "randomize": True}
    factors = {"x": [0, 1], "y": [0, 1]}

    assert rows_of(study_of(factors), **spec) == rows_of(study_of(factors), **spec)
    assert rows_of(study_of(factors), **spec) != rows_of(study_of(factors, seed=6), **spec)


def _errors(**spec: Any) -> list[str]:
    study = study_of({"a": [0, 1], "b": ["x", "y"]}, blocks={"cohort": ["n", "e"]})
    asked = DesignSpec(**spec)
    design = find_design(study, asked)
    asked = asked.model_copy(update=dict(design.implies))
    return list(spec_errors(study, asked, design))


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"kind": "lhs", "options": {"bound": {}}}, "no option 'bound'; did you mean 'bounds'?"),
        ({"kind": "frac2", "options": {"resolutoin": 4}}, "did you mean 'resolution'?"),
        ({"kind": "full", "options": {"replicates": 2}}, "belongs beside `options`"),
        ({"kind": "full", "options": {"bounds": {}}}, "is an option of latin_hypercube, sobol"),
        ({"kind": "full", "options": {"zzz": 1}}, "its options: none."),
        ({"kind": "lhs", "options": {"zzz": 1}}, "its options: backend, bounds, n_samples"),
        ({"kind": "full", "n_samples": 3}, "DesignSpec.n_samples has no meaning for full"),
        ({"kind": "lhs", "matrix_path": "m.csv"}, "it belongs to custom_matrix."),
        ({"kind": "latin_square", "center_points": 1}, "center_points has no meaning for latin"),
        (
            {"kind": "repeated_measures", "center_points": 1, "options": {"subject_factor": "a"}},
            "center_points has no meaning for repeated_measures",
        ),
        (
            {"kind": "sobol", "options": {"scramble": "false"}},
            "scramble must be true or false (not 'false')",
        ),
        (
            {"kind": "williams_square", "options": {"subject_factor": 3}},
            "subject_factor must be text (not 3)",
        ),
        ({"kind": "lhs", "options": {"strength": True}}, "strength must be a whole number"),
        ({"block_randomization_key": "cohort"}, "set `randomize: true`"),
        (
            {"randomize": True, "block_randomization_key": "chort"},
            "Block column 'chort' not present in all design rows; did you mean 'cohort'?",
        ),
        (
            {"kind": "randomized_block", "block_randomization_key": "zzz"},
            "Block column 'zzz' not present in all design rows.",
        ),
        (
            {
                "kind": "repeated_measures",
                "randomize": True,
                "block_randomization_key": "cohort",
                "options": {"subject_factor": "a"},
            },
            "has no meaning with `subject_factor`",
        ),
    ],
)
def test_what_a_kind_cannot_do_is_an_error_that_says_what_to_do(
    spec: dict[str, Any], said: str
) -> None:
    (error,) = _errors(**spec)

    assert said in error


def test_center_points_without_a_numeric_factor_are_an_error() -> None:
    study = study_of({"b": ["x", "y"]})

    for kind in ("full", "randomized_block", "repeated_measures"):
        with pytest.raises(ValidationError, match="needs a factor whose levels are numbers"):
            ps.build_design(study, DesignSpec(kind=kind, center_points=1))


def test_nothing_is_said_of_what_a_kind_does() -> None:
    assert _errors(center_points=2, replicates=2, randomize=True, counterbalance=True) == []
    assert _errors(kind="randomized_block", block_randomization_key="cohort") == []
    assert _errors(kind="sobol", n_samples=4, options={"bounds": {}, "scramble": False}) == []


@pytest.mark.field("studies-SEC9")
@pytest.mark.parametrize(
    "spec",
    [
        {"kind": "full"},
        {"kind": "repeated_measures"},
        {"kind": "williams_square", "options": {"subject_factor": "subject"}},
        {"kind": "lhs", "n_samples": 100_000_000},
        {"kind": "sobol", "options": {"n_samples": 2**40}},
        {"kind": "lhs", "n_samples": 2, "replicates": 10**30},
        {"kind": "lhs", "n_samples": 2, "center_points": 10**30},
    ],
)
def test_what_is_too_large_is_refused_before_it_is_built(spec: dict[str, Any]) -> None:
    factors = {name: range(100) for name in "abcdefgh"} | {"subject": range(100)}
    with pytest.raises(ValidationError, match=r"rows or more, and may have 1,000,000; choose"):
        ps.build_design(study_of(factors), DesignSpec(**spec))


@pytest.mark.field("engine-G17")
def test_a_level_that_no_float_can_hold_is_not_averaged() -> None:
    study = study_of({"x": [0, 10**400], "y": ["p", "q"]})
    for spec in ({"kind": "full", "center_points": 1}, {"kind": "lhs", "n_samples": 3}):
        with pytest.raises(ValidationError, match=r"numbers|numeric"):
            ps.build_design(study, DesignSpec(**spec))
