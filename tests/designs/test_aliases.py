"""Alias structures are those of the textbooks, and of brute force."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from penstock.designs import (
    alias_structure,
    fractional_factorial_2level,
    plackett_burman,
)
from penstock.designs.aliases import defining_words, resolution_of


def _columns(rows: list[dict[str, float]]) -> dict[str, list[float]]:
    return {name: [row[name] for row in rows] for name in rows[0]}


def test_a_half_fraction_of_three_factors_confounds_each_with_an_interaction() -> None:
    rows = fractional_factorial_2level("abc", generators={"c": ["a", "b"]})
    structure = alias_structure(_columns(rows))

    assert structure["defining_relation"] == ["I = a:b:c"]
    assert structure["resolution"] == "III"
    assert structure["aliases"] == {
        "a": ["b:c"], "b": ["a:c"], "c": ["a:b"], "a:b": ["c"], "a:c": ["b"], "b:c": ["a"],
    }  # fmt: skip
    assert structure["regular"]


def test_the_other_half_has_the_same_words_with_a_minus() -> None:
    columns = _columns(fractional_factorial_2level("abc", generators={"c": ["a", "b"]}))
    columns["c"] = [-sign for sign in columns["c"]]
    structure = alias_structure(columns)

    assert structure["defining_relation"] == ["I = -a:b:c"]
    assert structure["aliases"]["a"] == ["-b:c"]


def test_a_full_factorial_confounds_nothing() -> None:
    rows = fractional_factorial_2level("abc")
    structure = alias_structure(_columns(rows))

    assert structure["resolution"] is None
    assert structure["aliases"] == structure["partial_aliases"] == {}
    assert structure["defining_relation"] == []


@pytest.mark.parametrize(("factors", "resolution"), [(5, 3), (6, 4), (7, 3), (8, 4), (9, 4)])
def test_the_words_are_all_that_brute_force_finds(factors: int, resolution: int) -> None:
    names = "abcdefghi"[:factors]
    rows = fractional_factorial_2level(names, resolution=resolution)
    matrix = np.array([list(row.values()) for row in rows])
    found = [
        (word, int(np.sign(matrix[:, word].prod(axis=1).sum())))
        for length in range(1, factors + 1)
        for word in itertools.combinations(range(factors), length)
        if abs(matrix[:, word].prod(axis=1).sum()) == len(matrix)
    ]

    assert sorted(defining_words(matrix)) == sorted(found)


def test_plackett_burman_confounds_in_part() -> None:
    structure = alias_structure(_columns(plackett_burman("abcdefghijk")))

    assert structure["resolution"] == "III"
    assert not structure["regular"]
    assert structure["aliases"] == {}
    partial = structure["partial_aliases"]["a"]
    assert len(partial) == 45
    assert {abs(correlation) for correlation in partial.values()} == {0.333333}


def test_partial_words_of_four_are_found() -> None:
    matrix = np.array([list(row.values()) for row in plackett_burman("abcdefghijk")])
    folded = np.vstack(
        [np.column_stack([np.ones(12), matrix]), -np.column_stack([np.ones(12), matrix])]
    )

    assert resolution_of({f"x{i}": list(column) for i, column in enumerate(folded.T)}) == 4


def test_two_equal_columns_have_resolution_two() -> None:
    column = [-1.0, 1.0, -1.0, 1.0]
    structure = alias_structure({"a": column, "b": column})

    assert structure["resolution"] == "II"
    assert structure["aliases"]["a"] == ["b"]


def test_where_there_are_very_many_words_a_basis_of_them_is_given() -> None:
    rows = fractional_factorial_2level([f"x{i}" for i in range(20)], resolution=3)
    structure = alias_structure(_columns(rows))

    assert len(rows) == 32
    assert len(structure["defining_relation"]) == 15
