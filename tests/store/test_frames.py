from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import penstock as ps

LEVELS = ["terse", "plain", "chatty"]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> ps.StudyResult:
    """Texts in an order that is not the alphabet's, numbers, and a metric that is either."""

    async def agent(ctx: Any) -> str:
        is_small = ctx.condition["size"] == 1
        ctx.record(words=3 if is_small else 3.5, grade=1.0 if is_small else "good")
        return "42"

    study = ps.Study(
        study_id="framed",
        title="t",
        factors=(
            ps.Factor(name="tone", levels=tuple(LEVELS)),
            ps.Factor(name="size", levels=(1, 10)),
        ),
        problems=(ps.Problem(problem_id="p"),),
        agent_specs=("a",),
        output_dir=tmp_path_factory.mktemp("frames") / "results",
    )
    return ps.run_study(study, agent_bindings={"a": agent}, show_progress=False, report=False)


def test_factors_of_texts_are_ordered_categories_in_pandas(results: ps.StudyResult) -> None:
    frame = results.to_pandas()

    assert frame["tone"].cat.ordered
    assert [*frame["tone"].cat.categories] == LEVELS
    assert frame["tone"].min() == "terse"
    assert int(frame["size"].sum()) == 33, "one can calculate with numbers"


def test_factors_of_texts_are_ordered_categories_in_polars(results: ps.StudyResult) -> None:
    pl = pytest.importorskip("polars")

    frame = results.to_polars()

    assert frame["tone"].dtype == pl.Enum(LEVELS)
    assert frame.sort("tone")["tone"].to_list() == [each for each in LEVELS for _ in range(2)]


def test_factors_of_texts_are_ordered_dictionaries_in_arrow(results: ps.StudyResult) -> None:
    table = results.to_arrow()

    assert table.schema.field("tone").type.ordered
    assert table.column("tone").chunk(0).dictionary.to_pylist() == LEVELS
    assert table.num_rows == 6
    assert table.column("words").to_pylist() == [3.0, 3.5] * 3
    assert table.column("grade").to_pylist() == ["1.0", "good"] * 3, "as texts: both are kept"


@pytest.mark.parametrize("name", ["to_pandas", "to_polars", "to_arrow"])
def test_every_column_of_the_rows_is_there(results: ps.StudyResult, name: str) -> None:
    if name == "to_polars":
        pytest.importorskip("polars")

    frame = getattr(results, name)()

    columns = frame.column_names if name == "to_arrow" else frame.columns
    assert set(columns) == {column for row in results.to_rows() for column in row}


def test_levels_that_a_design_of_ones_own_brings_are_levels_too(tmp_path: Path) -> None:
    async def agent(ctx: Any) -> str:
        return "42"

    study = ps.Study(
        study_id="own",
        title="t",
        factors=(ps.Factor(name="tone", levels=("b", "a")),),
        problems=(ps.Problem(problem_id="p"),),
        agent_specs=("a",),
        output_dir=tmp_path / "results",
    )
    rows = [{"tone": "a"}, {"tone": "other"}]
    results = ps.run_study(
        study,
        conditions=ps.conditions(rows),
        agent_bindings={"a": agent},
        show_progress=False,
        report=False,
    )

    assert [*results.to_pandas()["tone"].cat.categories] == ["b", "a", "other"]


@pytest.mark.field("studies-C10")
@pytest.mark.parametrize("name", ["to_polars", "to_arrow"])
def test_values_that_no_column_holds_together_are_numbers_or_texts(
    name: str, tmp_path: Path
) -> None:
    if name == "to_polars":
        pytest.importorskip("polars")

    mixed: dict[str, list[Any]] = {
        "large": [10**100, 1],
        "larger": [10**400, 1],
        "nested": [[1], {"a": 1}],
        "unlike": [{"a": 1}, {"a": "x"}],
        "apart": [{"a": 1}, {"b": "x"}],
    }

    async def agent(ctx: ps.RunContext) -> str:
        ctx.record(**{name: values[ctx.spec.replicate - 1] for name, values in mixed.items()})
        return "42"

    study = ps.Study(
        study_id="mixed",
        title="t",
        problems=(ps.Problem(problem_id="p"),),
        agents={"a": agent},
        replicates=2,
        output_dir=tmp_path / "results",
    )
    results = ps.run_study(study, show_progress=False, report=False)
    frame = getattr(results, name)()
    rows = frame.to_pylist() if name == "to_arrow" else frame.to_dicts()

    assert [row["large"] for row in rows] == [1e100, 1.0]
    assert [row["larger"] for row in rows] == [str(10**400), "1"]
    assert [row["nested"] for row in rows] == ["[1]", '{"a":1}']
    assert "x" in str(rows[1]["unlike"])
    assert [row["apart"] for row in rows] == [{"a": 1, "b": None}, {"a": None, "b": "x"}]
