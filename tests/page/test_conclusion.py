from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

import penstock as ps
from penstock.analysis.analysis_facts import Analysis
from penstock.analysis.finding import finding_lines
from penstock.page.conclusion import conclude
from penstock.planning.selection import Selection
from tests.analysis.test_analyze import helped, hypothesis, study_of


def run(study: ps.Study, **options: Any) -> Path:
    return ps.run_study(
        study, agent_bindings={"a": helped}, show_progress=False, **options
    ).output_dir


def found_of(study: ps.Study, **options: Any) -> Analysis:
    results = ps.run_study(study, agent_bindings={"a": helped}, show_progress=False, **options)
    return results.analyze()


def test_a_study_that_is_run_has_its_report_beside_its_results(tmp_path: Path) -> None:
    assert "polite lies" in (run(study_of(tmp_path)) / "report.html").read_text(encoding="utf-8")


def test_a_report_that_nobody_wants_is_not_written(tmp_path: Path) -> None:
    study = study_of(tmp_path, execution={"report": False})

    assert not (run(study) / "report.html").exists()
    assert (run(study, report=True) / "report.html").exists()


def test_a_report_is_written_again_only_where_something_has_changed(tmp_path: Path) -> None:
    study = study_of(tmp_path)
    page = run(study) / "report.html"
    page.write_text(page.read_text(encoding="utf-8").replace("<title>", "<title>kept "))

    run(study)
    assert "<title>kept " in page.read_text(encoding="utf-8")

    run(study.model_copy(update={"hypotheses": (hypothesis(),)}))
    assert "<title>kept " not in page.read_text(encoding="utf-8")


@pytest.mark.anyio
async def test_a_host_has_a_report_only_where_it_asks_for_one(tmp_path: Path) -> None:
    study = study_of(tmp_path)
    page = tmp_path / "results" / "report.html"
    options: dict[str, Any] = {"agent_bindings": {"a": helped}, "show_progress": False}

    await ps.arun_study(study, **options)
    assert not await anyio.Path(page).exists()

    await ps.arun_study(study, **options, report=True)
    assert "polite lies" in await anyio.Path(page).read_text(encoding="utf-8")


def test_a_report_that_fails_is_a_warning(tmp_path: Path) -> None:
    study = study_of(tmp_path)
    (run(study, report=False) / "report.html").mkdir()

    with pytest.warns(UserWarning, match="the report could not be made"):
        run(study)


def test_a_declared_hypothesis_is_the_finding(tmp_path: Path) -> None:
    (line,) = finding_lines(found_of(study_of(tmp_path, hypotheses=(hypothesis(),))))

    assert line.startswith("h1: Supported: polite-plain = 0.135 [")


def test_without_one_it_is_the_clearest_difference_of_each_factor(tmp_path: Path) -> None:
    (line,) = finding_lines(found_of(study_of(tmp_path)))

    assert line.startswith("tone (exploratory): polite-plain = 0.135 [")
    assert ", p = 0.0078" in line


def test_without_a_factor_it_is_the_estimate(tmp_path: Path) -> None:
    async def agent(ctx: Any) -> str:
        ctx.record(score=int(ctx.problem.problem_id[1:]) / 10)
        return "x"

    study = study_of(tmp_path, factors=())
    results = ps.run_study(study, agent_bindings={"a": agent}, show_progress=False)
    (line,) = finding_lines(results.analyze())

    assert line.startswith("all: score = ")


def test_where_nothing_was_scored_it_says_so(tmp_path: Path) -> None:
    async def fails(_ctx: Any) -> str:
        raise ValueError("no")

    results = ps.run_study(study_of(tmp_path), agent_bindings={"a": fails}, show_progress=False)

    assert finding_lines(results.analyze()) == [
        "no finding: no run has a value of the outcome 'score'"
    ]


def test_a_finding_has_three_lines_at_most(tmp_path: Path) -> None:
    asked = tuple(hypothesis(hypothesis_id=f"h{at}") for at in range(5))

    lines = finding_lines(found_of(study_of(tmp_path, hypotheses=asked)))

    assert [line.partition(":")[0] for line in lines] == ["h0", "h1", "and 3 more"]


def test_while_runs_are_left_the_finding_is_withheld(tmp_path: Path) -> None:
    study = study_of(tmp_path, hypotheses=(hypothesis(),))
    directory = run(study, only=Selection(limit=4))

    concluded = conclude(directory, study)

    assert list(concluded.finding) == [
        "the finding is withheld until every planned run has ended (4 of 32 have)"
    ]
