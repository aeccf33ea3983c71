from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import penstock as ps
from penstock.compat import markdown
from penstock.study.policies import RunBudget
from tests.builders import make_error, make_plan, make_result

STUDY = ps.Study(
    study_id="tones",
    title="Does tone matter",
    factors=(
        ps.Factor(
            name="tone",
            description="how it is said",
            levels=(ps.Level(name="warm", value=1, label="Warm & kind"), "cold"),
        ),
    ),
    blocks=(ps.Block(name="cohort", levels=("novice",)),),
    constraints=(
        ps.Constraint(constraint_id="c", description="no cold", expression="tone != 'cold'"),
    ),
    design_spec=ps.DesignSpec(replicates=2),
    run_budget=RunBudget(replicates=3),
    hypotheses=(ps.Hypothesis(hypothesis_id="h1", label="l", statement="Tone matters."),),
    outcomes=(
        ps.Outcome(
            name="score",
            source_table="runs",
            column="primary_outcome",
            aggregation="mean",
            primary=True,
        ),
    ),
)
BARE = ps.Study(study_id="bare", title="Bare")


def test_a_summary_says_how_runs_ended_and_what_was_asked() -> None:
    first, second = make_plan()
    results = (result for result in [make_result(first), make_result(second, error=make_error())])
    text = markdown.render_markdown_summary(STUDY, results)
    assert text.startswith("# Study Summary: Does tone matter\n\n- Study ID: `tones`\n- Runs: 2\n")
    assert "- Design: `full_factorial` (factors: 1, blocks: 1)\n" in text
    assert "- Primary outcomes: `score`\n" in text
    assert "## Status Counts\n- failed: 1\n- success: 1\n" in text
    assert text.endswith("## Hypotheses\n- `h1`: Tone matters.\n")


def test_what_a_study_does_not_declare_is_said_to_be_none() -> None:
    summary = markdown.render_markdown_summary(BARE, [])
    assert (
        "- Primary outcomes: none\n\n## Status Counts\n- none\n\n## Hypotheses\n- none" in summary
    )
    methods = markdown.render_methods_scaffold(BARE)
    assert "### Factors\n- none\n\n### Blocks\n- none\n\n### Constraints\n- none\n" in methods
    assert markdown.render_codebook(BARE, []).count("- none") == 3


def test_methods_say_the_design_and_where_its_randomness_comes_from() -> None:
    text = markdown.render_methods_scaffold(STUDY)
    assert "- Replicates: 6\n" in text
    assert "- Seed policy: `condition_replicate`, from 0\n- Order of runs: `blocked`\n" in text
    assert "- `tone` (manipulated): how it is said\n" in text
    assert '- `cohort` with levels ["novice"]\n' in text
    assert "- `c`: no cold\n" in text


def test_a_codebook_says_what_ids_and_levels_stand_for() -> None:
    conditions = ps.build_design(STUDY)
    text = markdown.render_codebook(STUDY, conditions)
    assert "- `tone` = 1: Warm & kind\n" in text
    ids = [condition.condition_id for condition in conditions]
    assert f'- `{ids[0]}` -> factors={{"tone":1}}, blocks={{"cohort":"novice"}}\n' in text
    assert f"- `{ids[1]}` -> " in text
    assert ", not run: c: no cold\n" in text
    assert "- `score` from `runs.primary_outcome` (mean)\n" in text


class Analysis:
    def to_significance_rows(self) -> list[dict[str, Any]]:
        return [{"test": "t-test", "outcome": "score", "p_value": 0.04, "effect_size": 0.3}]


@pytest.mark.parametrize("analysis", [Analysis(), Analysis().to_significance_rows()])
def test_tests_are_told_in_a_line_each(analysis: Any) -> None:
    assert markdown.render_significance_brief(analysis) == (
        "## Significance Brief\n- t-test on `score`: p=0.04, effect_size=0.3.\n"
    )


def test_what_a_test_does_not_say_is_not_made_up() -> None:
    assert "- test on `outcome`: p=n/a, effect_size=n/a." in markdown.render_significance_brief(
        [{}]
    )
    assert "- No analysis rows provided." in markdown.render_significance_brief([])


@pytest.mark.parametrize("analysis", [7, "rows", [1], None])
def test_what_is_no_analysis_is_not_taken_for_an_empty_one(analysis: Any) -> None:
    with pytest.raises(TypeError, match="is not a list of mappings"):
        markdown.render_significance_brief(analysis)


def test_a_report_is_written_into_the_folder_of_reports(tmp_path: Path) -> None:
    path = markdown.write_markdown_report(tmp_path / "out", "summary.md", "# é\n")
    assert path == tmp_path / "out" / "artifacts" / "summary.md"
    assert path.read_text(encoding="utf-8") == "# é\n"
    markdown.write_markdown_report(str(tmp_path / "out"), "summary.md", "again")
    assert path.read_text(encoding="utf-8") == "again"
    deeper = markdown.write_markdown_report(tmp_path / "out", "reports/methods.md", "m")
    assert deeper.is_file()


@pytest.mark.parametrize("name", ["../study.yaml", "/etc/motd", "", ".."])
def test_a_report_stays_in_its_folder(name: str, tmp_path: Path) -> None:
    with pytest.raises(ps.ValidationError, match="is not the name of a file"):
        markdown.write_markdown_report(tmp_path, name, "text")

    assert not list(tmp_path.iterdir())


@pytest.mark.field("studies-P5")
def test_arguments_have_the_names_they_had(tmp_path: Path) -> None:
    assert "- Runs: 0" in markdown.render_markdown_summary(study=STUDY, run_results=[])
    assert "No analysis rows" in markdown.render_significance_brief(analysis_rows=[])
    written = markdown.write_markdown_report(output_dir=tmp_path, filename="a.md", content="text")
    assert written.read_text() == "text"
