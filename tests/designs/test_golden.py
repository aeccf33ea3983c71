"""The values and the order of designs are those that other tools make of the same study."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import penstock as ps
from penstock.compat import balanced_randomization_schedule, generate_doe, randomize_runs
from penstock.study.policies import DesignSpec
from tests.designs.studies import study_of

AB: dict[str, list[Any]] = {"a": [0, 1], "b": ["x", "y", "z"]}
COHORT = {"cohort": ["n", "e"]}
CONSTRAINTS = [
    {"constraint_id": "c-err", "description": "no z with hi", "expression": "a == 0 or b != 'z'"},
    {
        "constraint_id": "c-warn",
        "description": "warn lo",
        "expression": "a == 1",
        "severity": "warning",
    },
]
FACTORIAL: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "full_factorial": ({"blocks": COHORT}, {"kind": "full"}),
    "full_factorial_randomized": ({"blocks": COHORT}, {"kind": "full", "randomize": True}),
    "full_counterbalanced": ({}, {"kind": "full_factorial", "counterbalance": True}),
    "randomized_block": ({"blocks": COHORT}, {"kind": "randomized_block"}),
    "constrained_factorial": (
        {"blocks": COHORT, "constraints": CONSTRAINTS},
        {"kind": "constrained_factorial", "randomize": True},
    ),
    "repeated_measures": ({}, {"kind": "repeated_measures"}),
    "repeated_measures_randomized": ({}, {"kind": "repeated_measures", "randomize": True}),
}


def _two_level(names: str) -> dict[str, list[str]]:
    return {name: [f"{name}-", f"{name}+"] for name in names}


MATRIX_LIKE: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "latin_square": (
        {name: [f"{name}{i}" for i in range(3)] for name in ("row", "col", "trt")},
        {},
        {
            "kind": "latin_square",
            "options": {"row_factor": "row", "column_factor": "col", "treatment_factor": "trt"},
        },
    ),
    "lhs": (
        {"x": [0, 1], "y": [10.0, 20.0]},
        {},
        {"kind": "lhs", "n_samples": 5, "replicates": 2, "center_points": 1, "randomize": True},
    ),
    "lhs_blocks_counterbalanced": (
        {"x": [0, 1], "y": [1, 2]},
        COHORT,
        {
            "kind": "latin_hypercube",
            "counterbalance": True,
            "options": {"n_samples": 3, "bounds": {"x": [0, 4]}},
        },
    ),
    "frac2_2": (_two_level("ab"), {}, {"kind": "frac2"}),
    "frac2_4": (_two_level("abcd"), {}, {"kind": "frac2"}),
    "frac2_5": (_two_level("abcde"), {}, {"kind": "fractional_factorial_2level"}),
    "frac2_6": (
        _two_level("abcdef"),
        {},
        {
            "kind": "frac2",
            "replicates": 2,
            "center_points": 2,
            "randomize": True,
            "block_randomization_key": "a",
        },
    ),
}


@pytest.mark.parametrize("name", FACTORIAL)
def test_a_factorial_design_has_the_golden_ids_values_order_and_metadata(
    name: str, golden: dict[str, Any]
) -> None:
    fields, spec = FACTORIAL[name]
    made = [
        [
            condition.condition_id,
            condition.factor_assignments,
            condition.block_assignments,
            condition.admissible,
            list(condition.constraint_messages),
            condition.metadata,
        ]
        for condition in ps.build_design(study_of(AB, **fields), DesignSpec(**spec))
    ]

    assert made == golden[name]["conditions"]


def _distinct(conditions: list[list[Any]]) -> list[tuple[Any, ...]]:
    """Merge equal rows, first seen first, as a condition with replicates."""
    counts = Counter(json.dumps([row[1], row[2]], sort_keys=True) for row in conditions)
    first = {json.dumps([row[1], row[2]], sort_keys=True): row for row in reversed(conditions)}
    merged = []
    for text, count in counts.items():
        metadata = {key: value for key, value in first[text][5].items() if key != "fingerprint"}
        metadata |= {"replicates": count} if count > 1 else {}
        merged.append((first[text][1], first[text][2], count, metadata))

    return merged


@pytest.mark.parametrize("name", MATRIX_LIKE)
def test_a_matrix_like_design_has_the_golden_values_and_order(
    name: str, golden: dict[str, Any]
) -> None:
    factors, blocks, spec = MATRIX_LIKE[name]
    made = [
        (
            condition.factor_assignments,
            condition.block_assignments,
            condition.replicates,
            {key: value for key, value in condition.metadata.items() if key != "fingerprint"},
        )
        for condition in ps.build_design(study_of(factors, blocks=blocks), DesignSpec(**spec))
    ]

    assert made == _distinct(golden[name]["conditions"])


@pytest.mark.parametrize(("suffix", "levels"), [("csv", ["0", "1"]), ("json", [0, 1])])
def test_a_custom_matrix_has_the_golden_values_and_order(
    suffix: str, levels: list[Any], tmp_path: Path, golden: dict[str, Any]
) -> None:
    expected = golden[f"custom_matrix_{suffix}"]["conditions"]
    rows = [{**row[1], **row[2]} for row in expected]
    path = tmp_path / f"matrix.{suffix}"
    with path.open("w", encoding="utf-8", newline="") as file:
        if suffix == "json":
            json.dump(rows, file)
        else:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)

    study = study_of({"a": levels, "b": ["x", "y"]}, blocks=COHORT, base_dir=tmp_path)
    made = ps.build_design(study, DesignSpec(kind="custom_matrix", matrix_path=path.name))

    assert [[c.factor_assignments, c.block_assignments, c.metadata] for c in made] == [
        [row[1], row[2], row[5]] for row in expected
    ]


def test_levels_with_roles_have_the_golden_comparison_metadata(golden: dict[str, Any]) -> None:
    study = study_of({"a": [0, 1]}).to_dict(problems=False)
    study.pop("schema_version")
    arm = [
        {"name": "base", "value": "base", "label": "Base"},
        {"name": "t", "value": "treat", "label": "Treat"},
    ]
    arm[0]["metadata"] = {"is_baseline": True, "role": "baseline"}  # type: ignore[assignment]
    arm[1]["metadata"] = {"role": "treatment"}  # type: ignore[assignment]
    factors = [{"name": "arm", "levels": arm}, *study["factors"]]
    made = ps.build_design(ps.Study.model_validate({**study, "factors": factors}))

    expected = golden["comparison_metadata"]["conditions"]
    assert [[c.condition_id, c.metadata] for c in made] == [[row[0], row[5]] for row in expected]


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        (
            "doe_full",
            {
                "kind": "full",
                "factors": {"a": [0, 1], "b": ["x", "y"]},
                "seed": 1,
                "replicates": 2,
                "center_points": 1,
            },
        ),
        (
            "doe_lhs",
            {
                "kind": "lhs",
                "factors": {"x": [0.0, 1.0], "y": [10.0, 20.0]},
                "n_samples": 4,
                "seed": 7,
            },
        ),
        ("doe_frac2", {"kind": "frac2", "factors": {n: [-1, 1] for n in "abcd"}, "seed": 2}),
    ],
)
def test_generate_doe_gives_the_golden_report(
    name: str, arguments: dict[str, Any], golden: dict[str, Any]
) -> None:
    assert generate_doe(**arguments) == golden["helpers"][name]


def test_runs_are_randomized_within_blocks_in_the_golden_order(golden: dict[str, Any]) -> None:
    rows = [{"i": i, "k": k} for k in "uv" for i in range(4)]

    assert randomize_runs(rows, 1, block="k") == golden["helpers"]["randomize_block"]


def test_the_schedule_turns_a_shuffled_order_as_the_golden_one(golden: dict[str, Any]) -> None:
    made = balanced_randomization_schedule(["c1", "c2", "c3"], 3, seed=4)

    assert [list(run) for run in made] == golden["helpers"]["schedule"]
