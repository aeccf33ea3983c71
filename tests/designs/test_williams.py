"""Williams squares: every subject meets every treatment, and neighbours are balanced."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

import pytest

import penstock as ps
from penstock.designs import williams_square
from penstock.errors import ValidationError
from penstock.study.policies import DesignSpec
from tests.designs.studies import study_of

BY_SUBJECT = {"subject_factor": "subject"}


@pytest.mark.parametrize("treatments", range(1, 13))
def test_every_ordered_pair_of_neighbours_occurs_equally_often(treatments: int) -> None:
    square = williams_square(treatments)

    neighbours = Counter(pair for row in square for pair in itertools.pairwise(row))
    assert all(sorted(row) == list(range(treatments)) for row in square)
    assert len(square) == treatments * (1 + treatments % 2)
    assert set(neighbours) == set(itertools.permutations(range(treatments), 2))
    assert set(neighbours.values()) <= {1 + treatments % 2}


@pytest.mark.parametrize("treatments", range(2, 9))
def test_every_treatment_takes_every_place_equally_often(treatments: int) -> None:
    for place in zip(*williams_square(treatments), strict=True):
        assert set(Counter(place).values()) == {1 + treatments % 2}


def _orders(study: ps.Study, **spec: Any) -> dict[Any, list[Any]]:
    orders: dict[Any, list[Any]] = {}
    for condition in ps.build_design(study, DesignSpec(**spec)):
        order = orders.setdefault(condition["subject"], [])
        assert condition.metadata["within_subject_order"] == len(order)
        order.append((condition["a"], condition["b"]))

    return orders


@pytest.mark.parametrize("kind", ["williams_square", "repeated_measures"])
@pytest.mark.parametrize("randomize", [False, True])
def test_each_subject_gets_all_combinations_in_a_balanced_order(kind: str, randomize: bool) -> None:
    study = study_of({"a": [0, 1], "subject": range(8), "b": ["x", "y", "z"][:2]})
    orders = _orders(study, kind=kind, options=BY_SUBJECT, randomize=randomize)

    neighbours = Counter(pair for order in orders.values() for pair in itertools.pairwise(order))
    assert all(len(set(order)) == 4 for order in orders.values())
    assert set(neighbours.values()) == {2}
    assert len(neighbours) == 12


def test_a_block_may_be_the_subject() -> None:
    study = study_of({"a": [0, 1], "b": [0, 1]}, blocks={"subject": range(4), "cohort": ["n", "e"]})
    conditions = ps.build_design(study, DesignSpec(kind="williams_square", options=BY_SUBJECT))

    assert len(conditions) == 4 * 4 * 2
    assert {c.block_assignments["subject"] for c in conditions} == set(range(4))


def test_subjects_that_cannot_share_the_sequences_are_an_error() -> None:
    study = study_of({"a": ["x", "y", "z"], "subject": range(4)})

    with pytest.raises(ValidationError, match="declare a multiple of 6"):
        ps.build_design(study, DesignSpec(kind="williams_square", options=BY_SUBJECT))


@pytest.mark.parametrize(
    ("options", "said"),
    [({}, "is missing; known: a, subject"), ({"subject_factor": "subjct"}, "'subject'")],
)
def test_a_subject_that_is_not_declared_is_an_error(options: dict[str, str], said: str) -> None:
    study = study_of({"a": ["x", "y"], "subject": range(2)})

    with pytest.raises(ValidationError, match=said):
        ps.build_design(study, DesignSpec(kind="williams_square", options=options))
