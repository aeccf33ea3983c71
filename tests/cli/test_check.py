from __future__ import annotations

from typing import Any

from tests.command_line import StudyFolder


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
