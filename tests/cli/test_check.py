from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from penstock.cli import readiness
from penstock.running.checking import Prepared, prepare
from penstock.study.model import Study
from tests.command_line import StudyFolder, json_lines


def test_check_says_that_a_study_is_valid_and_writes_nothing(folder: StudyFolder, cli: Any) -> None:
    before = sorted(folder.path.rglob("*"))
    checked = cli("check", folder.file)
    assert checked.exit_code == 0
    assert "tones: valid" in checked.stderr
    assert sorted(folder.path.rglob("*")) == before


def test_check_lists_everything_that_does_not_load(folder: StudyFolder, cli: Any) -> None:
    folder.file.write_text(
        folder.file.read_text()
        + "agent_specs: [worker, nobody]\n"
        + "evaluators: {mine: 'scores.py:score'}\n"
        + "hypotheses: [{hypothesis_id: h1, label: l, statement: s, independent_vars: [none]}]\n"
    )
    checked = cli("check", folder.file)
    assert checked.exit_code == 3
    for wrong in ("nobody", "scores.py", "'h1' references unknown independent variable 'none'"):
        assert wrong in checked.stderr


def test_check_lists_everything_that_is_wrong_with_a_file(folder: StudyFolder, cli: Any) -> None:
    folder.file.write_text(
        folder.file.read_text().replace("run_order", "run_ordr").replace("title: ", "titel: ")
    )
    checked = cli("check", folder.file)
    assert checked.exit_code == 3
    assert "did you mean `run_order`?" in checked.stderr
    assert "title: is required" in checked.stderr
    assert "Traceback" not in checked.stderr


def test_each_fault_has_a_line_with_its_place(folder: StudyFolder, cli: Any) -> None:
    folder.file.write_text(folder.file.read_text().replace("run_order", "run_ordr") + "notes: 3\n")
    faults = [
        f"error: {folder.file}: run_ordr: unknown key; did you mean `run_order`?",
        f"error: {folder.file}: notes: must be text (got 3)",
        "the study cannot be run: 2 errors",
    ]
    assert sorted(cli("check", folder.file).stderr.splitlines()) == sorted(faults)


def test_machines_read_what_check_found(folder: StudyFolder, cli: Any) -> None:
    (checked,) = json_lines(cli("check", folder.file, "--json").stdout)
    assert checked == {
        "event": "check",
        "study_id": "tones",
        "is_valid": True,
        "errors": [],
        "warnings": [],
        "planned": 40,
        "done": 0,
        "left": 40,
        "output_dir": str(folder.results),
    }
    folder.file.write_text("title: t\n")
    refused = cli("check", folder.file, "--json")
    assert refused.exit_code == 3
    assert refused.stderr == ""
    (checked,) = json_lines(refused.stdout)
    assert (checked["study_id"], checked["is_valid"]) == (None, False)
    assert checked["errors"] == [f"{folder.file}: study_id: is required"]


def test_check_says_what_is_done(folder: StudyFolder, cli: Any) -> None:
    assert cli("run", folder.file).exit_code == 0
    folder.file.write_text(folder.file.read_text().replace("[warm, cold]", "[warm, cold, mild]"))
    assert "60 runs planned, 40 done, 20 left" in cli("check", folder.file).stderr


def test_strict_refuses_what_is_only_doubtful(
    folder: StudyFolder, cli: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def doubtful(study: Study) -> Prepared:
        made = prepare(study)
        doubts = {"warnings": ("factor 'tone' is used nowhere",)}
        return made._replace(report=made.report.model_copy(update=doubts))

    monkeypatch.setattr(readiness, "prepare", doubtful)
    checked = cli("check", folder.file)
    assert checked.exit_code == 0
    assert "warning: factor 'tone' is used nowhere" in checked.stderr
    refused = cli("check", folder.file, "--strict")
    assert refused.exit_code == 3
    assert "--strict refuses it: 1 warning" in refused.stderr


def change_agent(folder: StudyFolder) -> None:
    folder.file.write_text(folder.file.read_text().replace("agents.py:worker", "other.py:worker"))
    (folder.path / "other.py").write_text("async def worker(ctx):\n    return 1\n")


def change_study(folder: StudyFolder) -> None:
    folder.file.write_text(folder.file.read_text().replace("study_id: tones", "study_id: other"))


def change_seeds(folder: StudyFolder) -> None:
    folder.file.write_text(folder.file.read_text() + "seed_policy: {base_seed: 7}\n")


def lose_store(folder: StudyFolder) -> None:
    (folder.results / "study.sqlite").unlink()


def name_nobody(folder: StudyFolder) -> None:
    folder.file.write_text(folder.file.read_text() + "agent_specs: [nobody]\n")


def plan_too_much(folder: StudyFolder) -> None:
    text = folder.file.read_text()
    folder.file.write_text(text.replace("replicates: 10", "replicates: 10, max_runs: 1"))


def misspell(folder: StudyFolder) -> None:
    folder.file.write_text(folder.file.read_text() + "runs_order: shuffled\n")


@pytest.mark.field("studies-N11")
@pytest.mark.parametrize(
    "spoil",
    [
        change_agent,
        change_study,
        change_seeds,
        lose_store,
        name_nobody,
        plan_too_much,
        misspell,
    ],
)
def test_check_plan_a_dry_run_and_a_run_refuse_the_same_in_the_same_words(
    folder: StudyFolder, cli: Any, spoil: Callable[[StudyFolder], None]
) -> None:
    assert cli("run", folder.file, "--no-progress").exit_code == 0
    spoil(folder)
    said = set()
    for command in (["check"], ["plan"], ["run", "--dry-run"], ["run"]):
        ended = cli(*command, folder.file)
        assert ended.exit_code == 3
        said.add(tuple(line for line in ended.stderr.splitlines() if line.startswith("error: ")))

    assert len(said) == 1
    assert said != {()}


@pytest.mark.parametrize(
    ("right", "wrong", "told"),
    [
        ("agents.py:solver", "agents.py:slover", "has no 'slover'; did you mean 'solver'?"),
        ("problems.csv", "problem.csv", "problem.csv; did you mean 'problems.csv'?"),
        ("brief: question", "brief: qestion", "no column qestion; columns: id, question, answer"),
        ("brief: question", "brief: qestion", "did you mean 'question'?"),
        ("replicates: 5", "replicates: five", "must be a whole number (got 'five')"),
        ("direction: greater", "direction: greatr", "(got 'greatr'; did you mean 'greater'?)"),
        ("[method]", "[methods]", "independent variable 'methods'; did you mean 'method'?"),
        ("hypothesis_ids: [h1]", "hypothesis_ids: [h11]", "'h11'; did you mean 'h1'?"),
    ],
)
def test_a_slip_of_the_pen_is_told_with_what_was_probably_meant(
    tmp_path: Path, cli: Any, right: str, wrong: str, told: str
) -> None:
    assert cli("init", tmp_path / "s", "--template", "paired").exit_code == 0
    study = tmp_path / "s" / "study.yaml"
    text = study.read_text()
    assert right in text
    study.write_text(text.replace(right, wrong))

    checked = cli("check", study)

    assert checked.exit_code == 3
    assert told in checked.stderr
