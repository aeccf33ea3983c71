from __future__ import annotations

from typing import Any

import pytest

from tests.command_line import StudyFolder, json_lines

IN_PYTHON = """\
import penstock as ps

print("a module prints")
study = ps.Study(
    study_id="tones",
    title="In Python",
    factors=[ps.Factor(name="tone", levels=["warm"])],
    agents={"worker": "agents.py:worker"},
    problems=[ps.Problem(problem_id="p1")],
)


def made():
    return study


def broken():
    raise KeyError("no such tone")


number = 3
"""


@pytest.fixture
def python(folder: StudyFolder) -> StudyFolder:
    (folder.path / "tones.py").write_text(IN_PYTHON)
    return folder


@pytest.mark.parametrize("attribute", ["study", "made"])
def test_a_study_or_a_function_that_returns_one_is_taken_from_a_file(
    python: StudyFolder, cli: Any, attribute: str
) -> None:
    ended = cli("run", f"{python.path}/tones.py:{attribute}")
    assert ended.exit_code == 0, ended.stderr
    assert (python.path / "artifacts" / "tones" / "runs.csv").exists()


def test_a_study_is_taken_from_a_module_of_the_working_directory(
    python: StudyFolder, cli: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(python.path)
    planned = cli("plan", "tones:made", "--json")
    assert planned.exit_code == 0, planned.stderr
    assert [line["event"] for line in json_lines(planned.stdout)] == ["plan"]
    assert "a module prints" in planned.stderr


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("tones.py", "say which study in it"),
        ("tones.py:number", "is no study but int: 3"),
        ("tones.py:broken", "KeyError"),
        ("tones.py:nothing", "has no 'nothing'"),
        ("missing.py:study", "there is no file"),
        ("no_such_module:study", "No module named"),
        ("nothing", "there is no study 'nothing'"),
        ("missing.yaml", "No such file"),
        (".", "is a folder"),
    ],
)
def test_what_is_no_study_is_refused_with_what_to_do(
    python: StudyFolder, cli: Any, monkeypatch: pytest.MonkeyPatch, target: str, said: str
) -> None:
    monkeypatch.chdir(python.path)
    refused = cli("check", target)
    assert refused.exit_code == 3
    assert said in refused.stderr
    assert "Traceback" not in refused.stderr
