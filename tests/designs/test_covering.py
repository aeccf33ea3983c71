"""Pairwise designs hold every pair of levels that can occur, by brute force."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import penstock as ps
from penstock.errors import ValidationError
from penstock.study.policies import DesignSpec
from tests.designs.studies import rows_of, study_of

PAIRWISE = DesignSpec(kind="pairwise")


def _pairs(rows: list[dict[str, Any]]) -> set[tuple[Any, ...]]:
    return {
        (one, row[one], two, row[two])
        for row in rows
        for one, two in itertools.combinations(row, 2)
    }


def _all_rows(factors: dict[str, list[int]]) -> list[dict[str, Any]]:
    return [
        dict(zip(factors, values, strict=True)) for values in itertools.product(*factors.values())
    ]


@given(st.lists(st.integers(1, 6), min_size=1, max_size=7))
@settings(max_examples=60)
def test_every_pair_of_levels_occurs(sizes: list[int]) -> None:
    factors = {f"f{i}": list(range(size)) for i, size in enumerate(sizes)}
    rows = rows_of(study_of(factors), kind="pairwise")

    wanted = {
        (one, i, two, j)
        for one, two in itertools.combinations(factors, 2)
        for i in factors[one]
        for j in factors[two]
    }
    assert _pairs(rows) == wanted
    assert {row["f0"] for row in rows} == set(factors["f0"])


def test_ten_factors_of_four_levels_need_few_rows() -> None:
    factors = {name: list(range(4)) for name in "abcdefghij"}

    assert len(rows_of(study_of(factors), kind="pairwise")) < 40


def test_under_constraints_every_pair_that_can_occur_does_in_a_row_that_may_run() -> None:
    factors = {"a": [0, 1, 2], "b": [0, 1, 2], "c": [0, 1, 2], "d": [0, 1]}
    rules = ["a != b or c == 0", "not (a == 2 and d == 1)", "a + b + c != 3"]
    constraints = [
        {"constraint_id": f"c{i}", "description": "d", "expression": rule}
        for i, rule in enumerate(rules)
    ]
    study = study_of(factors, constraints=constraints)
    conditions = ps.build_design(study, PAIRWISE)
    able = [
        row
        for row in _all_rows(factors)
        if (row["a"] != row["b"] or row["c"] == 0)
        and not (row["a"] == 2 and row["d"] == 1)
        and row["a"] + row["b"] + row["c"] != 3
    ]

    assert all(condition.admissible for condition in conditions)
    assert _pairs([dict(c.factor_assignments) for c in conditions]) == _pairs(able)


def test_a_constraint_on_a_block_gives_each_block_a_cover_of_its_own() -> None:
    study = study_of(
        {"a": [0, 1], "b": [0, 1], "c": [0, 1]},
        blocks={"cohort": ["n", "e"]},
        constraints=[
            {"constraint_id": "c", "description": "d", "expression": "cohort == 'n' or a == 0"}
        ],
    )
    conditions = ps.build_design(study, PAIRWISE)

    assert all(condition.admissible for condition in conditions)
    assert len(_pairs([dict(c.factor_assignments) for c in conditions if c["cohort"] == "n"])) == 12
    assert {c["a"] for c in conditions if c["cohort"] == "e"} == {0}


def test_rows_may_be_repeated_and_ordered() -> None:
    study = study_of({name: [0, 1, 2] for name in "abc"})
    plain = rows_of(study, kind="pairwise")

    for order in ({"randomize": True}, {"counterbalance": True}):
        made = rows_of(study, kind="pairwise", **order)
        assert made != plain
        assert sorted(map(str, made)) == sorted(map(str, plain))

    assert len(rows_of(study, kind="pairwise", replicates=2)) == 2 * len(plain)


def test_a_pairwise_design_that_is_too_big_or_empty_is_an_error() -> None:
    constraints = [{"constraint_id": "c", "description": "d", "expression": "a == 0"}]
    big = study_of({name: list(range(10)) for name in "abcde"}, constraints=constraints)

    with pytest.raises(ValidationError, match="there are 100,000 combinations"):
        ps.build_design(big, PAIRWISE)

    with pytest.raises(ValidationError, match="at least one factor"):
        ps.build_design(study_of({}), PAIRWISE)
