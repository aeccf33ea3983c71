"""Known defects of such tools, part 4: designs, study files and the command line."""

from __future__ import annotations

import itertools
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import penstock as ps
from penstock.cli import app
from penstock.errors import StudyFileError
from tests.builders import make_study
from tests.defects.situations import read, run
from tests.designs.studies import rows_of, study_of


def test_replicates_blocks_and_orders_of_a_design_do_what_they_say(tmp_path: Path) -> None:
    """D26"""
    study = study_of({"a": [1, 2, 3, 4, 5], "b": ["x", "y"]}, blocks={"day": list(range(6))})
    blocked = ps.build_design(
        study, ps.DesignSpec(kind="randomized_block", block_randomization_key="day")
    )
    days: dict[Any, list[Any]] = {}
    for condition in blocked:
        days.setdefault(condition["day"], []).append((condition["a"], condition["b"]))

    assert [condition["day"] for condition in blocked] == [day for day in days for _ in range(10)]
    assert {frozenset(order) for order in days.values()} == {frozenset(days[0])}
    assert len({tuple(order) for order in days.values()}) > 1

    repeated = study_of({"a": [1, 2], "b": ["x", "y"]})
    assert set(Counter(map(str, rows_of(repeated, replicates=3))).values()) == {3}
    assert {"a": 1.5, "b": "x"} in rows_of(repeated, center_points=1)

    square = study_of({"row": [1, 2, 3], "column": [1, 2, 3], "what": list("xyz"), "more": [0, 1]})
    roles = {"row_factor": "row", "column_factor": "column", "treatment_factor": "what"}
    assert len(rows_of(square, kind="latin_square", options=roles)) == 9 * 2

    subjects = study_of({"dose": [1, 2, 3, 4]}, blocks={"subject": list("abcd")})
    visits = ps.build_design(
        subjects, ps.DesignSpec(kind="repeated_measures", options={"subject_factor": "subject"})
    )
    orders: dict[str, dict[int, int]] = {}
    for visit in visits:
        place = visit.metadata["within_subject_order"]
        orders.setdefault(visit["subject"], {})[place] = visit["dose"]

    sequences = [[order[place] for place in range(4)] for order in orders.values()]
    neighbours = Counter(pair for each in sequences for pair in itertools.pairwise(each))
    assert set(neighbours.values()) == {1}
    assert len(neighbours) == 12


def test_a_matrix_takes_declared_levels_only_and_expressions_stop_where_they_are_decided(
    tmp_path: Path,
) -> None:
    """More of D26."""
    matrix = tmp_path / "matrix.csv"
    study = study_of({"a": [0, 7], "b": ["x"]}, base_dir=tmp_path)
    matrix.write_text("a,b\n7,x\n0,x\n")
    spec = {"kind": "custom_matrix", "matrix_path": "matrix.csv"}
    assert rows_of(study, **spec) == [{"a": 7, "b": "x"}, {"a": 0, "b": "x"}]
    matrix.write_text("a\n7\n9\n")
    with pytest.raises(ps.ValidationError) as wrong:
        rows_of(study, **spec)

    assert [error.split(": ", 1)[1] for error in wrong.value.errors] == [
        "row 1: no value for 'b'",
        "row 2: no value for 'b'",
        "row 2: a: '9' is not a declared level; levels: 0, 7",
    ]
    rule = {"constraint_id": "r", "description": "d", "expression": "a != 0 and 1/a > 0"}
    conditions = ps.build_design(study_of({"a": [0, 7]}, constraints=[rule]))
    assert [condition.admissible for condition in conditions] == [False, True]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("problem_ids: foo", "problem_ids: "),
        ("problem_idz: [p1]", "problem_idz: unknown key; did you mean `problem_ids`?"),
        ("design_spec: {randomize: 'false'}", "design_spec.randomize: "),
        ("seed_policy: {strategy: nonsense}", "seed_policy.strategy: "),
        ("schema_version: '99'", "schema_version: '99' is newer than this version reads"),
        ("factors: 5", "factors: "),
        ("factors: [{levels: [a]}]", "factors[0].name: is required"),
    ],
)
def test_a_study_file_is_read_strictly_and_every_error_names_its_place(
    tmp_path: Path, text: str, error: str
) -> None:
    """D27"""
    file = tmp_path / "study.yaml"
    file.write_text(f"study_id: s\ntitle: A study\n{text}\nrun_budget: {{replicates: no}}\n")
    with pytest.raises(StudyFileError) as wrong:
        ps.load_study(file)

    assert len(wrong.value.errors) == 2
    assert any(found.startswith(error) for found in wrong.value.errors)
    assert any(found.startswith("run_budget.replicates: ") for found in wrong.value.errors)


def test_the_command_line_overwrites_no_other_file_and_says_errors_in_a_sentence(
    tmp_path: Path,
) -> None:
    """D28"""

    def cli(*arguments: object) -> Any:
        return CliRunner().invoke(app, [str(each) for each in arguments])

    for name in ("exp-1.5", "exp-1.6"):
        run(make_study(), lambda: "x", tmp_path / name)
        assert cli("bundle-results", tmp_path / name).exit_code == 0

    for name in ("exp-1.5", "exp-1.6"):
        with tarfile.open(tmp_path / f"{name}.tar.gz") as bundle:
            assert any(member.endswith("study.yaml") for member in bundle.getnames())

    study = tmp_path / "study.yaml"
    study.write_text(
        "study_id: tested\ntitle: A study under test\nproblem_ids: [p1]\n"
        "factors: [{name: tone, levels: [a, b]}]\noutput_dir: exp-1.5\n"
    )
    assert cli("materialize-design", study).exit_code == 0
    first, _ = read(tmp_path / "exp-1.5" / "conditions.csv")
    assert {"study_id", "condition_id", "assignment_meta_json", "tone"} <= first.keys()
    missing = cli("materialize-design", tmp_path / "nowhere.yaml")
    assert missing.exit_code == 3
    assert "nowhere.yaml" in missing.output
    assert "Traceback" not in missing.output


def test_an_agents_class_is_instantiated_for_each_run(tmp_path: Path) -> None:
    """D52"""
    made: list[object] = []

    class Baseline:
        def __init__(self, scale: float = 2.0) -> None:
            self.scale = scale
            made.append(self)

        def run(self, seed: int) -> dict[str, float]:
            return {"x": self.scale * seed}

    results = run(make_study(), Baseline, tmp_path)
    assert [dict(each.outputs) for each in results] == [{"x": 2.0 * r.spec.seed} for r in results]
    assert len(made) == 2
