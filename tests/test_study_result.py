from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import penstock as ps
from penstock.errors import StopStudy
from penstock.planning.plan import plan
from tests.analysis.test_analyze import helped, hypothesis, study_of


def run(tmp_path: Path, agent: Any = helped, **fields: Any) -> ps.StudyResult:
    study = study_of(tmp_path, **fields)
    return ps.run_study(study, agent_bindings={"a": agent}, show_progress=False, report=False)


async def stops(ctx: Any) -> str:
    if ctx.spec.replicate == 2:
        raise StopStudy("enough")

    return await helped(ctx)


def test_the_paired_table_has_a_row_for_each_problem_and_its_mean_under_each_condition(
    tmp_path: Path,
) -> None:
    rows = run(tmp_path).items()

    assert [row["problem_id"] for row in rows] == [f"p{at}" for at in range(8)]
    assert rows[3] == {"problem_id": "p3", "plain": 0.3, "polite": pytest.approx(0.43)}


def test_the_paired_table_of_another_outcome_is_had_by_its_name(tmp_path: Path) -> None:
    cost = ps.Outcome(name="cost", source_table="runs", column="cost_usd", aggregation="mean")
    results = run(tmp_path, outcomes=(*study_of(tmp_path).outcomes, cost))

    assert results.items("cost")[0] == {"problem_id": "p0", "plain": 0.0, "polite": 0.0}
    with pytest.raises(KeyError):
        results.items("speed")


def test_the_paired_table_is_withheld_as_the_analysis_is(tmp_path: Path) -> None:
    results = run(tmp_path, stops, hypotheses=(hypothesis(),))

    with pytest.raises(ps.PenstockError, match="withheld"):
        results.items()

    results.analyze(unblind="to see")
    assert results.items()[0]["plain"] == 0.0


def test_notebooks_show_studies_plans_results_and_analyses(tmp_path: Path) -> None:
    hostile = "<script>alert(1)</script>"
    study = study_of(tmp_path, title=hostile, hypotheses=(hypothesis(statement=hostile),))
    results = run(tmp_path, title=hostile, hypotheses=(hypothesis(statement=hostile),))

    pages = [each._repr_html_() for each in (study, plan(study), results, results.analyze())]

    for page in pages:
        assert "<script>" not in page
        assert len(page) < 200_000

    of_study, of_plan, of_results, of_analysis = pages
    assert "plain, polite" in of_study
    assert "32 runs planned" in of_plan
    assert "h1: Supported: polite-plain = 0.135" in of_results
    assert "<td>supported</td>" in of_analysis


def test_a_notebook_is_not_shown_what_is_withheld(tmp_path: Path) -> None:
    results = run(tmp_path, stops, hypotheses=(hypothesis(),))

    assert "withheld" in results._repr_html_()
    assert "<td>blind</td>" in results.analyze()._repr_html_()
    assert "polite" not in results._repr_html_().replace(str(results.output_dir), "")


def test_figures_are_had_by_name_and_drawn_by_the_notebook(tmp_path: Path) -> None:
    figures = run(tmp_path).figures()

    assert [*figures][:2] == ["verdicts", "conditions"]
    (mime_type, _) = figures["conditions"]._repr_mimebundle_()
    assert mime_type == "application/vnd.vegalite.v6+json"
