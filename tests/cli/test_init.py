from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.children import COMMAND_LINE, run_python
from tests.command_line import json_lines

TEMPLATES = ("quickstart", "chat", "python", "paired")


def penstock(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a folder, as a person would."""
    environment = {**os.environ, "COLUMNS": "400"}
    return run_python(*COMMAND_LINE, *arguments, cwd=folder, env=environment)


@pytest.mark.parametrize("template", TEMPLATES)
def test_what_is_written_is_a_study_without_a_fault(
    template: str, tmp_path: Path, cli: Any
) -> None:
    (written,) = json_lines(cli("init", tmp_path / "new", "--template", template, "--json").stdout)
    target = "study.py:study" if template == "python" else "study.yaml"

    checked = penstock(tmp_path / "new", "check", target, "--strict")

    assert checked.returncode == 0, checked.stderr
    assert "valid" in checked.stderr
    assert {*written["files"]} == {each.name for each in (tmp_path / "new").iterdir()} - {
        "__pycache__"
    }
    assert ".env\n" in (tmp_path / "new" / ".gitignore").read_text()


def test_a_first_study_ends_with_its_finding_and_its_report(tmp_path: Path, cli: Any) -> None:
    assert cli("init", tmp_path / "new").exit_code == 0

    ended = penstock(tmp_path / "new", "run")

    assert ended.returncode == 0, ended.stderr
    assert "h1: Supported: once-never" in ended.stderr
    report = tmp_path / "new" / "artifacts" / "quickstart" / "report.html"
    assert f"report: {report}" in ended.stderr
    assert "Does it help to check the answer?" in report.read_text(encoding="utf-8")
    again = penstock(tmp_path / "new", "run")
    assert "240 kept from before" in again.stderr


def test_a_study_of_a_chat_model_runs_for_nothing_and_says_what_to_change(
    tmp_path: Path, cli: Any
) -> None:
    assert cli("init", tmp_path, "--template", "chat").exit_code == 0

    ended = penstock(tmp_path, "run", "--no-report")

    assert ended.returncode == 0, ended.stderr
    assert "120 succeeded" in ended.stderr
    assert "h1: Inconclusive: steps-short" in ended.stderr
    text = (tmp_path / "study.yaml").read_text()
    real = text.replace("      provider: simulated\n", "").replace("      simulator:", "      # ")
    real = real.replace("      #   base_url:", "      base_url:")
    (tmp_path / "study.yaml").write_text(real)
    assert "to https://api.openai.com/v1" in penstock(tmp_path, "preview").stderr


def test_a_study_in_python_runs_as_a_script(tmp_path: Path, cli: Any) -> None:
    assert cli("init", tmp_path, "--template", "python").exit_code == 0

    ran = run_python("study.py", cwd=tmp_path)

    assert ran.returncode == 0, ran.stderr
    assert "240 runs" in ran.stdout


def test_nothing_that_is_there_is_written_over(tmp_path: Path, cli: Any) -> None:
    (tmp_path / "study.yaml").write_text("mine")

    refused = cli("init", tmp_path)

    assert refused.exit_code == 3
    assert "holds study.yaml already" in refused.stderr
    assert [each.name for each in tmp_path.iterdir()] == ["study.yaml"]
    assert (tmp_path / "study.yaml").read_text() == "mine"
