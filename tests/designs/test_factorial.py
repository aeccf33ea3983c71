"""Factorial designs honour what they are told: replicates, centre points, blocks, orders."""

from __future__ import annotations

import itertools

import penstock as ps
from penstock.study.policies import DesignSpec
from tests.designs.studies import rows_of, study_of


def test_replicates_multiply_the_runs_of_every_combination() -> None:
    study = study_of({"a": [0, 1], "b": ["x", "y"]})
    conditions = ps.build_design(study, DesignSpec(replicates=3))

    assert [c.replicates for c in conditions] == [3] * 4
    assert len(ps.plan(study, conditions)) == 12


def test_center_points_are_added_in_every_block_at_the_middle_of_the_numbers() -> None:
    study = study_of({"a": [0, 4], "b": ["x", "y"]}, blocks={"cohort": ["n", "e"]})
    conditions = ps.build_design(study, DesignSpec(center_points=2, replicates=3))

    assert len(conditions) == 10
    for center in conditions[-2:]:
        assert center.factor_assignments == {"a": 2.0, "b": "x"}
        assert center.replicates == 2


def test_a_key_keeps_blocks_together_and_gives_each_an_order_of_its_own() -> None:
    study = study_of({"a": range(8)}, blocks={"cohort": ["n", "m", "e"]})
    spec = DesignSpec(kind="randomized_block", block_randomization_key="cohort")
    conditions = ps.build_design(study, spec)

    groups = [
        (cohort, [c["a"] for c in each])
        for cohort, each in itertools.groupby(conditions, key=lambda c: c["cohort"])
    ]
    assert [cohort for cohort, _ in groups] == ["n", "m", "e"]
    assert all(sorted(order) == list(range(8)) for _, order in groups)
    assert len({tuple(order) for _, order in groups}) == 3


def test_counterbalancing_two_conditions_leaves_them_as_they_are() -> None:
    study = study_of({"a": [0, 1]})

    assert rows_of(study, counterbalance=True) == [{"a": 0}, {"a": 1}]


def test_a_study_without_factors_has_one_condition_of_its_blocks() -> None:
    conditions = ps.build_design(study_of({}, blocks={"cohort": ["n", "e"]}))

    assert [c.block_assignments for c in conditions] == [{"cohort": "n"}, {"cohort": "e"}]


def test_repeated_measures_number_the_conditions_in_their_order() -> None:
    conditions = ps.build_design(
        study_of({"a": range(5)}), DesignSpec(kind="repeated_measures", replicates=2)
    )

    assert [c["a"] for c in conditions] == [0, 2, 4, 3, 1]
    assert [c.metadata["within_subject_order"] for c in conditions] == list(range(5))
