"""Scores that are not there yet, and scores of a newer release, as a person is told of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import penstock as ps
from penstock.evaluators import builtin
from penstock.store.reader import StoreReader
from penstock.store.scores.score_accounts import lacking_scores, rule_changes
from tests.command_line import StudyFolder, cli, folder, json_lines

__all__ = ["cli", "folder"]

STUDY = """\
study_id: told
title: Told
agents: {a: "agents.py:a"}
problems: [{problem_id: p1, brief: x, payload: {expected: "yes"}}, {problem_id: p2, brief: y,
  payload: {expected: "no"}}]
replicates: 5
output_dir: results
evaluators: {right: exact}
"""
JUDGE = """\
evaluators:
  right: exact
  clear:
    judge: {provider: simulated, simulator: {latency_s: 0, answers: ["Score: 7"]}, model: m,
      max_tokens: 10, prompt: "Is it clear? {{ answer }}",
      price: {input_usd_per_million: 1000.0, output_usd_per_million: 1000.0}}
"""


@pytest.fixture
def study(folder: StudyFolder) -> StudyFolder:
    """A study of ten answers, of which half are right."""
    folder.file.write_text(STUDY)
    (folder.path / "agents.py").write_text("async def a(ctx): return 'yes'\n")
    run(folder)
    return folder


def run(folder: StudyFolder, **options: Any) -> None:
    study = ps.load_study(folder.file)
    ps.run_study(study, report=False, show_progress=False, **options)


def told(ended: Any) -> str:
    assert ended.exit_code == 0, ended.stderr
    return " ".join(ended.stderr.split())


def test_answers_that_a_new_judge_has_not_scored_are_counted_and_priced(
    study: StudyFolder, cli: Any
) -> None:
    study.file.write_text(STUDY.replace("evaluators: {right: exact}\n", JUDGE))

    with pytest.warns(UserWarning, match="10 kept answers are not scored by 'clear'") as warned:
        run(study)

    (standing,) = json_lines(cli("status", study.file, "--json").stdout)

    assert "for that may cost (about $0." in str(warned[0].message)
    assert standing["not_scored"] == {"clear": 10}
    assert "not scored: 10 by 'clear'; `penstock run --rescore`" in told(cli("status", study.file))

    run(study, rescore=True)
    (standing,) = json_lines(cli("status", study.file, "--json").stdout)
    assert standing["not_scored"] == {}


def test_what_the_rule_of_a_newer_release_changed_is_told(
    study: StudyFolder, cli: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rule = builtin._RULES["exact"]
    newer = rule._replace(version=rule.version + 1, check=lambda *_: bool)
    monkeypatch.setitem(builtin._RULES, "exact", newer)

    run(study)
    with StoreReader(study.results) as store:
        assert [*rule_changes(store)] == [], "a study that is complete keeps its scores"

    said = told(cli("rescore", study.file))
    assert "by the newer rule of 'right' 5 of 10 kept scores are other values" in said
    run(study)
    with StoreReader(study.results) as store:
        assert [*rule_changes(store)] == [], "it is told once"


def test_nothing_lacks_scores_where_all_were_made(study: StudyFolder, tmp_path: Path) -> None:
    with StoreReader(tmp_path / "results") as store:
        assert lacking_scores(store) == {}
