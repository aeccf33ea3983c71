"""Squares: each treatment once in every row and column, pairs of treatments once in all."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

import pytest

import penstock as ps
from penstock.designs.squares import graeco_latin_symbols
from penstock.errors import ValidationError
from penstock.study.policies import DesignSpec
from tests.designs.studies import rows_of, study_of

LATIN = {"row_factor": "row", "column_factor": "col", "treatment_factor": "trt"}
GRAECO = {**LATIN, "second_treatment_factor": "too"}


def _factors(order: int, names: str = "row col trt") -> dict[str, list[str]]:
    return {name: [f"{name}{i}" for i in range(order)] for name in names.split()}


def _is_balanced(rows: list[dict[str, Any]], *names: str) -> bool:
    """Whether every pair of levels of two factors occurs once."""
    return all(
        set(Counter((row[one], row[two]) for row in rows).values()) == {1}
        for one, two in itertools.combinations(names, 2)
    )


@pytest.mark.parametrize("order", range(2, 8))
@pytest.mark.parametrize("randomize_square", [False, True])
def test_a_latin_square_has_each_treatment_once_in_each_row_and_column(
    order: int, randomize_square: bool
) -> None:
    options = {**LATIN, "randomize_square": randomize_square}
    rows = rows_of(study_of(_factors(order)), kind="latin_square", options=options)

    assert len(rows) == order**2
    assert _is_balanced(rows, "row", "col", "trt")


def test_random_squares_differ_between_seeds_and_from_the_plain_one() -> None:
    def square(seed: int, **options: Any) -> frozenset[tuple[Any, ...]]:
        study = study_of(_factors(5), seed=seed)
        rows = rows_of(study, kind="latin_square", options={**LATIN, **options})
        return frozenset(tuple(row.values()) for row in rows)

    squares = {square(seed, randomize_square=True) for seed in range(6)}
    assert len(squares) == 6
    assert square(0) not in squares


@pytest.mark.parametrize("order", [3, 4, 5, 7, 8, 9, 11, 12, 15, 16, 20])
def test_two_orthogonal_squares_hold_every_pair_of_symbols_once(order: int) -> None:
    symbols = graeco_latin_symbols(order)
    rows = [
        {"row": row, "col": col, "trt": one, "too": two}
        for (row, col), (one, two) in symbols.items()
    ]

    assert _is_balanced(rows, "row", "col", "trt", "too")


@pytest.mark.parametrize("randomize_square", [False, True])
def test_a_graeco_latin_square_balances_both_treatments(randomize_square: bool) -> None:
    options = {**GRAECO, "randomize_square": randomize_square}
    study = study_of(_factors(4, "row col trt too"))
    rows = rows_of(study, kind="graeco_latin_square", options=options)

    assert len(rows) == 16
    assert _is_balanced(rows, "row", "col", "trt", "too")


@pytest.mark.parametrize("order", [2, 6, 10])
def test_a_graeco_latin_square_that_cannot_be_built_is_an_error(order: int) -> None:
    with pytest.raises(ValidationError, match=f"of order {order} is built here"):
        graeco_latin_symbols(order)


def test_other_factors_and_blocks_are_crossed_with_the_square() -> None:
    study = study_of({**_factors(3), "tone": [0, 1]}, blocks={"cohort": ["n", "e"]})
    spec = DesignSpec(kind="latin_square", options=LATIN, replicates=2)
    conditions = ps.build_design(study, spec)

    assert len(conditions) == 9 * 2 * 2
    assert {c.replicates for c in conditions} == {2}
    assert {(c["tone"], c["cohort"]) for c in conditions} == {
        (0, "n"),
        (0, "e"),
        (1, "n"),
        (1, "e"),
    }


def test_a_square_may_be_listed_in_another_order() -> None:
    study = study_of(_factors(3))
    plain = rows_of(study, kind="latin_square", options=LATIN)

    for order in ({"randomize": True}, {"counterbalance": True}):
        listed = rows_of(study, kind="latin_square", options=LATIN, **order)
        assert listed != plain
        assert sorted(map(str, listed)) == sorted(map(str, plain))


@pytest.mark.parametrize(
    ("kind", "options", "said"),
    [
        (
            "latin_square",
            {"row_factor": "row"},
            "Latin-square design requires options row_factor, column_factor, and treatment_factor.",
        ),
        (
            "latin_square",
            {**LATIN, "column_factor": "zzz"},
            "Latin-square factors are missing from the study: ['zzz']",
        ),
        ("latin_square", {**LATIN, "column_factor": "row"}, "a different factor for each option"),
        (
            "latin_square",
            {**LATIN, "treatment_factor": "two"},
            "Latin-square requires equal cardinality for row, column, and treatment factors.",
        ),
        ("graeco_latin_square", LATIN, "and second_treatment_factor"),
        (
            "graeco_latin_square",
            {**LATIN, "second_treatment_factor": "two"},
            "Graeco-Latin-square requires equal cardinality",
        ),
    ],
)
def test_a_square_that_is_not_one_is_an_error(
    kind: str, options: dict[str, str], said: str
) -> None:
    study = study_of({**_factors(3), "two": [0, 1]})

    with pytest.raises(ValidationError) as caught:
        ps.build_design(study, DesignSpec(kind=kind, options=options))

    assert said in str(caught.value)
