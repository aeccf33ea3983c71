from __future__ import annotations

from typing import Any

import pytest

from penstock.store.reader import StoreReader
from tests.command_line import StudyFolder, json_lines

EXPECTING = """\
problems:
  - {problem_id: p1, brief: one, payload: {expected: "yes"}}
  - {problem_id: p2, brief: two, payload: {expected: "no"}}
evaluators: {right: exact}
"""


@pytest.fixture
def scored(folder: StudyFolder, cli: Any) -> StudyFolder:
    """Twenty runs of forty, scored by an evaluator that is then changed."""
    lines = [line for line in folder.file.read_text().splitlines() if "problems:" not in line]
    folder.file.write_text("\n".join(lines) + "\n" + EXPECTING)
    assert cli("run", folder.file, "--problems", "1").exit_code == 0
    folder.file.write_text(folder.file.read_text().replace("right: exact", "right: contains"))
    return folder


def scores(folder: StudyFolder) -> set[tuple[str, Any]]:
    with StoreReader(folder.results) as store:
        return {
            tuple(row) for row in store.table("SELECT evaluator_id, metric_value FROM evaluation")
        }


def shown(folder: StudyFolder) -> set[tuple[str, Any]]:
    """Give the scores that the tables show."""
    with StoreReader(folder.results) as store:
        rows = store.table("SELECT evaluator_id, metric_value FROM evaluations")
        return {tuple(row) for row in rows}


@pytest.mark.field("studies-B3", "studies-N4")
def test_kept_answers_are_scored_again_and_no_agent_is_called(
    scored: StudyFolder, cli: Any
) -> None:
    before = scored.calls()
    text = scored.file.read_text().replace("right: contains", "right: contains, other: exact")
    scored.file.write_text(text)
    ended = cli("rescore", scored.file)
    assert ended.exit_code == 0, ended.stderr
    assert scored.calls() == before
    assert {name for name, _ in scores(scored)} == {"right", "other"}


@pytest.mark.field("studies-N4")
def test_answers_are_scored_by_what_is_expected_now_and_a_person_is_told(
    scored: StudyFolder, cli: Any
) -> None:
    before = scored.calls()
    scored.file.write_text(scored.file.read_text().replace('expected: "yes"', 'expected: "no"'))
    ended = cli("run", scored.file, "--problems", "1")
    assert ended.exit_code == 0, ended.stderr
    assert "kept answers are scored by what is declared now" in " ".join(ended.stderr.split())
    assert "20 by 'right'" in " ".join(ended.stderr.split())
    assert shown(scored) == {("right", 0.0)}
    assert scored.calls() == before


@pytest.mark.field("studies-N4")
def test_the_advice_where_other_parts_of_a_payload_have_changed_can_be_followed(
    scored: StudyFolder, cli: Any
) -> None:
    text = scored.file.read_text()
    scored.file.write_text(text.replace('expected: "yes"', 'expected: "no", hint: "?"'))
    refused = cli("run", scored.file)
    assert refused.exit_code == 3
    assert "use rescore" in refused.stderr
    assert cli("rescore", scored.file).exit_code == 0
    assert shown(scored) == {("right", 0.0)}
    assert cli("run", scored.file, "--problems", "1").exit_code == 0


@pytest.mark.field("studies-N2", "studies-B3")
def test_a_changed_rule_leaves_no_score_of_the_old_one_in_the_table(
    scored: StudyFolder, cli: Any
) -> None:
    text = scored.file.read_text().replace("right: contains", "right: {regex: {pattern: x}}")
    scored.file.write_text(text)
    assert cli("run", scored.file).exit_code == 0
    assert shown(scored) == {("right", 0.0)}
    scored.file.write_text(text.replace("{regex: {pattern: x}}", "exact"))
    assert cli("run", scored.file).exit_code == 0
    assert shown(scored) == {("right", 0.0), ("right", 1.0)}
    assert len(scored.calls()) == 40


def test_run_makes_what_is_missing_and_scores_kept_answers_where_it_is_told_to(
    scored: StudyFolder, cli: Any
) -> None:
    before = scored.calls()
    assert cli("run", scored.file, "--rescore").exit_code == 0
    assert len(scored.calls()) == 40
    assert scored.calls()[:20] == before


def test_what_would_be_scored_is_said_and_nothing_is_written(scored: StudyFolder, cli: Any) -> None:
    before = (scored.results / "study.sqlite").read_bytes()
    dry = cli("rescore", scored.file, "--dry-run")
    assert dry.exit_code == 0
    assert "20 left, 20 of them only to be scored, 20 for a later run" in dry.stderr
    launch, done = json_lines(cli("rescore", scored.file, "--dry-run", "--json").stdout)
    assert (launch["left_out"], done["left_out"], done["remaining"]) == (20, 20, 40)
    assert (scored.results / "study.sqlite").read_bytes() == before


def test_answers_cannot_be_kept_and_moved_aside(scored: StudyFolder, cli: Any) -> None:
    refused = cli("run", scored.file, "--fresh", "--rescore")
    assert refused.exit_code == 2
