"""A description of a design tells a reader of the results what they can be used for."""

from __future__ import annotations

import json
from pathlib import Path

import penstock as ps
from penstock.designs import describe_design
from tests.designs.studies import study_of

SIX = {name: [0, 1] for name in "abcdef"}


def test_a_fraction_is_described_with_what_it_confounds() -> None:
    study = study_of(
        SIX,
        blocks={"cohort": ["n", "e"]},
        design_spec={"kind": "frac2", "replicates": 2, "options": {"resolution": "IV"}},
    )
    described = describe_design(study)

    assert described["kind"] == "fractional_factorial_2level"
    assert described["seed"] == 5
    assert (described["conditions"], described["rows"]) == (32, 64)
    assert described["balance"]["cohort"] == {"n_levels": 2.0, "max_to_min_ratio": 1.0}
    assert described["alias_structure"]["resolution"] == "IV"
    assert len(described["alias_structure"]["defining_relation"]) == 3
    json.dumps(described)


def test_center_points_are_no_levels_and_constraints_leave_holes() -> None:
    constraints = [{"constraint_id": "c", "description": "d", "expression": "a + b < 2"}]
    study = study_of(
        {"a": [0, 1], "b": [0, 1], "t": ["x", "y"]},
        constraints=constraints,
        design_spec={"center_points": 2},
    )
    described = describe_design(study)

    assert (described["conditions"], described["admissible"]) == (9, 7)
    assert described["alias_structure"]["runs"] == 6
    assert "b" in described["alias_structure"]["partial_aliases"]["a"]


def test_a_design_without_two_factors_of_two_levels_has_no_alias_structure() -> None:
    assert describe_design(study_of({"a": [0, 1, 2], "b": [0, 1]}))["alias_structure"] is None


def test_conditions_that_were_given_are_described_in_place_of_the_studys_own() -> None:
    study = study_of(SIX)

    assert describe_design(study, ps.build_design(study)[:4])["conditions"] == 4


def test_a_study_writes_its_design_beside_its_results(tmp_path: Path) -> None:
    study = study_of(
        SIX,
        design_spec={"kind": "frac2", "replicates": 2},
        agent_specs=["echo"],
        output_dir=tmp_path / "out",
    )
    ps.run_study(
        study,
        agent_bindings={"echo": lambda ctx: ctx.condition["a"]},
        problem_registry={"p1": {"problem_id": "p1", "family": "f", "brief": "b"}},
        show_progress=False,
    )

    written = json.loads((tmp_path / "out" / "design.json").read_text(encoding="utf-8"))
    assert written == describe_design(study)
