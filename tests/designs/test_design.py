"""The door for designs: a function of rows, and what every kind honours done in one place."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import penstock as ps
from penstock.agents import RunOutput
from penstock.designs import ORDERED, WITH_CENTER, Design, DesignRow
from penstock.designs.design import finish
from penstock.designs.registry import DESIGNS
from penstock.errors import ValidationError
from penstock.export.artifacts import export_artifacts
from penstock.planning.plan import RunSpec
from penstock.study.policies import DesignSpec
from tests.designs.studies import study_of
from tests.packages import install_package

FACTORS = {"a": [0, 1], "b": [0, 10]}
BLOCKS = {"cohort": ["n", "e"]}
CORNERS = """
    from penstock.designs import WITH_CENTER, Design

    def rows(study, spec):
        first = {factor.name: factor.values()[0] for factor in study.factors}
        yield first
        for factor in study.factors:
            yield first | {factor.name: factor.values()[-1]}

    corners = Design(kind="corners", rows=rows, options={"most": int}, honours=WITH_CENTER)
"""


def corners(study: ps.Study, _: DesignSpec) -> Iterator[dict[str, Any]]:
    first = {factor.name: factor.values()[0] for factor in study.factors}
    yield first
    for factor in study.factors:
        yield first | {factor.name: factor.values()[-1]}


def answer(spec: RunSpec, condition: ps.Condition) -> RunOutput:
    return RunOutput(outputs={"text": "x"})


def finished(design: Design, factors: Any = FACTORS, **asked: Any) -> list[DesignRow]:
    study = study_of(factors, blocks=BLOCKS)
    spec = DesignSpec(**asked)
    return finish(study, spec, design, design.rows(study, spec))


@pytest.fixture
def beside(tmp_path: Path) -> Path:
    (tmp_path / "corners.py").write_text(
        "\n".join(line[4:] for line in CORNERS.splitlines()), encoding="utf-8"
    )
    return tmp_path


@pytest.mark.field("studies-R4")
@pytest.mark.parametrize("is_sample", [False, True])
def test_a_design_that_gives_rows_alone_has_all_the_rest_done(is_sample: bool) -> None:
    design = Design(kind="corners", rows=corners, honours=WITH_CENTER, is_sample=is_sample)
    plain = finished(design)
    assert [(row.factors, row.blocks) for row in plain[:2]] == [
        ({"a": 0, "b": 0}, {"cohort": "n"}),
        ({"a": 0, "b": 0}, {"cohort": "e"}),
    ]

    repeated = finished(design, replicates=3)
    assert sum(row.replicates for row in repeated) == 3 * len(plain)

    centred = finished(design, center_points=2)
    centres = [row for row in centred if row.factors == {"a": 0.5, "b": 5.0}]
    assert Counter(
        row.blocks["cohort"] for row in centres for _ in range(row.replicates) if row.blocks
    ) == {"n": 2, "e": 2}

    eight = {name: [0, 1] for name in "abcdefgh"}
    plain = finished(design, eight)
    for order in ("counterbalance", "randomize"):
        ordered = finished(design, eight, **{order: True})
        assert [row[:2] for row in ordered] != [row[:2] for row in plain]
        assert sorted(map(repr, (row[:2] for row in ordered))) == sorted(
            map(repr, (row[:2] for row in plain))
        )


def test_what_a_kind_sees_to_itself_is_left_alone() -> None:
    design = Design(kind="corners", rows=corners, own=ORDERED)
    asked = {"replicates": 2, "randomize": True, "counterbalance": True}

    assert finished(design, **asked) == finished(design)


def test_a_row_that_knows_its_blocks_is_not_crossed_with_them() -> None:
    row = DesignRow({"a": 0, "b": 0}, {"cohort": "e"}, {"note": "mine"}, 2)
    design = Design(kind="mine", rows=lambda study, spec: [row])

    assert finished(design, replicates=3) == [row._replace(replicates=6)]


@pytest.mark.parametrize("made", [dict, DesignRow])
def test_rows_that_do_not_fit_the_study_are_refused_each_with_its_number(made: Any) -> None:
    rows: list[dict[str, Any]] = [{"a": 0, "b": 0}, {"a": 0, "bb": 0}, {"a": 0, "b": {1, 2}}]
    design = Design(kind="mine", rows=lambda study, spec: map(made, rows))
    with pytest.raises(ValidationError) as caught:
        finished(design)

    wrong_name, missing, unstable = caught.value.errors
    assert "row 2: no factor or block is named 'bb'; did you mean 'b'?" in wrong_name
    assert "row 2: no value for 'b'" in missing
    assert "row 3" in unstable


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (3, "row 1: must be a mapping or a DesignRow (got 3)"),
        ("ab", "row 1: must be a mapping or a DesignRow (got 'ab')"),
        (DesignRow({"a": 0, "b": 0, 3: 1}), "row 1: no factor or block is named 3"),  # type: ignore[dict-item]
        (DesignRow({"a": 0, "b": 0}, {"cohrt": "e"}), "its blocks: no value for 'cohort'"),
        (DesignRow({"a": 0, "b": 0}, {}), "its blocks: no value for 'cohort'"),
    ],
)
def test_what_is_no_row_of_the_study_is_refused(row: Any, said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        finished(Design(kind="mine", rows=lambda study, spec: [row]))

    assert said in str(caught.value)


def test_numbers_of_numpy_in_a_row_are_the_numbers_that_they_write() -> None:
    row = DesignRow({"a": np.int64(1), "b": np.float64(0.5)}, {"cohort": "e"})
    (made,) = finished(Design(kind="mine", rows=lambda study, spec: [row]))

    assert [type(value) for value in made.factors.values()] == [int, float]


def test_a_design_in_a_file_beside_the_study_is_named_by_a_reference(beside: Path) -> None:
    spec = {"kind": "corners.py:corners", "replicates": 2, "center_points": 1}
    study = study_of(FACTORS, design_spec=spec, base_dir=beside)

    made = ps.build_design(study)
    assert [(c["a"], c["b"], c.replicates) for c in made] == [
        (0, 0, 2),
        (1, 0, 2),
        (0, 10, 2),
        (0.5, 5.0, 1),
    ]
    assert made[0].metadata["design_kind"] == "corners.py:corners"
    assert ps.validate_study(study) == []


def test_a_plain_function_is_a_design_too(beside: Path) -> None:
    study = study_of(FACTORS, design_spec={"kind": "corners.py:rows"}, base_dir=beside)
    assert len(ps.build_design(study)) == 3


def test_a_package_registers_a_kind_and_is_imported_when_a_study_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_package(
        tmp_path,
        "penstock-corners",
        entry_points={"penstock.designs": {"corners": "corner_designs:corners"}},
        modules={"corner_designs": CORNERS},
    )
    monkeypatch.syspath_prepend(tmp_path)
    study = study_of(FACTORS, design_spec={"kind": "corners", "options": {"mots": 3}})
    assert "corner_designs" not in sys.modules

    with pytest.raises(ValidationError, match="corners has no option 'mots'; did you mean 'most'"):
        ps.build_design(study)

    assert len(ps.build_design(study, DesignSpec(kind="corners"))) == 3
    with pytest.raises(ps.ValidationError, match=r"one of: full_factorial, .*, corners"):
        DesignSpec(kind="corner")


def test_what_was_run_is_read_where_the_package_of_its_design_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages, results = tmp_path / "packages", tmp_path / "results"
    install_package(
        packages,
        "penstock-corners",
        entry_points={"penstock.designs": {"gone": "gone_designs:corners"}},
        modules={"gone_designs": CORNERS},
    )
    with monkeypatch.context() as patched:
        patched.syspath_prepend(packages)
        study = study_of(FACTORS, design_spec={"kind": "gone"})
        ps.run_study(study, condition_runner=answer, output_dir=results, show_progress=False)

    with pytest.raises(ps.ValidationError, match="Unsupported design kind: 'gone'"):
        DesignSpec(kind="gone")

    export_artifacts(results, tmp_path / "copy")
    assert json.loads((tmp_path / "copy" / "design.json").read_text())["kind"] == "gone"
    assert len(ps.StudyResult.open(results)) == 3


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("corners.py:absent", "design_spec.kind: .*has no 'absent'"),
        ("absent.py:corners", "design_spec.kind: there is no file"),
        ("corners.py:WITH_CENTER", "name a Design, or a function of rows"),
    ],
)
def test_a_reference_to_no_design_is_an_error_that_says_what_is_wrong(
    kind: str, said: str, beside: Path
) -> None:
    study = study_of(FACTORS, design_spec={"kind": kind}, base_dir=beside)
    (error,) = ps.validate_study(study)
    with pytest.raises(ValidationError, match=said):
        raise ValidationError([error])


def test_what_a_kind_does_not_honour_is_refused(beside: Path) -> None:
    (beside / "fixed.py").write_text(
        "from penstock.designs import Design\n"
        "fixed = Design(kind='fixed', rows=lambda study, spec: [], honours=frozenset())\n"
    )
    asked = {"replicates": 2, "randomize": True, "counterbalance": True, "center_points": 1}
    study = study_of(FACTORS, design_spec={"kind": "fixed.py:fixed", **asked}, base_dir=beside)
    with pytest.raises(ValidationError) as caught:
        ps.build_design(study)

    assert [error.split()[0] for error in caught.value.errors] == [
        f"DesignSpec.{name}" for name in sorted(asked)
    ]


def test_a_package_that_a_design_needs_is_named(beside: Path) -> None:
    (beside / "needy.py").write_text(
        "from penstock.designs import Design\n"
        "def rows(study, spec):\n"
        "    import no_such_package\n"
        "needy = Design(kind='needy', rows=rows, needs='corners[all]')\n"
    )
    study = study_of(FACTORS, design_spec={"kind": "needy.py:needy"}, base_dir=beside)
    with pytest.raises(ValidationError) as caught:
        ps.build_design(study)

    assert "no_such_package, which is not installed: pip install 'corners[all]'" in str(
        caught.value
    )


def test_the_page_on_studies_lists_the_options_of_each_kind() -> None:
    page = (Path(__file__).parents[2] / "docs" / "studies.md").read_text(encoding="utf-8")
    for kind, design in DESIGNS.items():
        (row,) = (line for line in page.splitlines() if line.startswith(f"| `{kind}`"))
        told = row.rpartition(" | ")[2]
        assert all(f"`{option}`" in told or "and `" in told for option in design.options), kind
