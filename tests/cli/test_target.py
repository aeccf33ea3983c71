from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.command_line import StudyFolder, json_lines
from tests.older_stores import make_older

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
    (folder.path / "empty").mkdir()
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
        ("tones.py:number", "is not a study but int: 3"),
        ("tones.py:broken", "KeyError"),
        ("tones.py:nothing", "has no 'nothing'"),
        ("missing.py:study", "there is no file"),
        ("no_such_module:study", "No module named"),
        ("nothing", "there is no study 'nothing'"),
        ("missing.yaml", "No such file"),
        ("empty", "is a folder without results (study.sqlite) and without study.yaml"),
    ],
)
def test_what_is_not_a_study_is_refused_with_what_to_do(
    python: StudyFolder, cli: Any, monkeypatch: pytest.MonkeyPatch, target: str, said: str
) -> None:
    monkeypatch.chdir(python.path)
    refused = cli("check", target)
    assert refused.exit_code == 3
    assert said in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize("command", ["check", "plan", "run", "status", "export", "doctor"])
def test_where_no_study_is_named_it_is_the_study_file_that_lies_there(
    folder: StudyFolder, cli: Any, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.chdir(folder.path)
    assert cli("run", "study.yaml").exit_code == 0
    ended = cli(command)
    assert ended.exit_code == 0, ended.stderr
    assert "tones" in ended.stderr or str(folder.results) in ended.stderr


@pytest.mark.parametrize("command", ["check", "plan", "run", "export", "doctor"])
@pytest.mark.parametrize(("here", "named"), [(".", "."), ("..", "{folder}"), ("inside", "../")])
def test_a_folder_stands_for_the_study_file_that_lies_in_it(  # noqa: PLR0917 - as parametrized
    folder: StudyFolder, cli: Any, monkeypatch: Any, command: str, here: str, named: str
) -> None:
    (folder.path / "inside").mkdir()
    assert cli("run", folder.file).exit_code == 0
    by_file = json_lines(cli(command, folder.file, "--json").stdout)
    monkeypatch.chdir(folder.path / here)
    by_folder = cli(command, named.format(folder=folder.path.name), "--json")
    assert by_folder.exit_code == 0, by_folder.stderr
    assert json_lines(by_folder.stdout)[-1].get("output_dir") == by_file[-1].get("output_dir")


def test_a_folder_whose_study_was_not_run_has_no_results(folder: StudyFolder, cli: Any) -> None:
    refused = cli("doctor", folder.path)
    assert refused.exit_code == 3
    assert str(folder.results) in refused.stderr


def test_the_study_file_among_results_whose_store_is_gone_stands_for_no_study(
    folder: StudyFolder, cli: Any
) -> None:
    assert cli("run", folder.file).exit_code == 0
    (folder.results / "study.sqlite").unlink()
    refused = cli("run", folder.results)
    assert refused.exit_code == 3
    assert "is a folder without results" in refused.stderr


@pytest.mark.parametrize("command", ["check", "plan", "run", "status", "export", "doctor"])
def test_where_no_study_is_named_and_none_is_there_it_is_said_what_to_give(
    tmp_path: Path, cli: Any, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.chdir(tmp_path)
    refused = cli(command)
    assert refused.exit_code == 2
    said = " ".join(refused.stderr.replace("│", " ").split())
    assert "no study is named, and there is no study.yaml in" in said
    assert "give a study file, or a study's output directory" in said


@pytest.mark.parametrize("command", ["status", "export", "doctor"])
def test_commands_that_read_results_take_the_directory_or_its_study(
    folder: StudyFolder, cli: Any, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    assert cli("run", folder.file).exit_code == 0
    (named,) = json_lines(cli(command, folder.results, "--json").stdout)
    assert json_lines(cli(command, folder.file, "--json").stdout) == [named]
    monkeypatch.chdir(folder.results)
    assert json_lines(cli(command, "--json").stdout) == [named]


def test_a_directory_that_is_not_there_is_refused(cli: Any) -> None:
    refused = cli("status", "nowhere")
    assert refused.exit_code == 3
    assert "there is no directory 'nowhere'" in refused.stderr


@pytest.mark.field("engine-G19")
@pytest.mark.parametrize(
    "arguments",
    [
        ["run", ""],
        ["check", " "],
        ["plan", ""],
        ["status", ""],
        ["export", ""],
        ["doctor", ""],
        ["run", "study.yaml", "--output-dir", ""],
        ["export", "results", "--to", ""],
        ["run-study", ""],
        ["bundle-results", ""],
    ],
)
def test_an_empty_name_is_refused_and_is_not_the_working_directory(
    folder: StudyFolder, cli: Any, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.chdir(folder.path)
    before = sorted(folder.path.rglob("*"))
    refused = cli(*arguments)
    assert refused.exit_code == 2
    assert "it is empty" in refused.stderr
    assert sorted(folder.path.rglob("*")) == before


@pytest.mark.parametrize("command", ["check", "plan", "run"])
def test_a_directory_stands_for_the_study_file_that_it_was_run_from(
    folder: StudyFolder, cli: Any, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    elsewhere = folder.path / "somewhere" / "else"
    assert cli("run", folder.file, "--limit", "4", "--output-dir", elsewhere).exit_code == 0
    ended = cli(command, elsewhere, "--json")
    assert ended.exit_code == 0, ended.stderr
    last = json_lines(ended.stdout)[-1]
    assert last["output_dir"] == str(elsewhere)
    assert last["planned"] == 40
    monkeypatch.chdir(elsewhere)
    assert json_lines(cli(command, "--json").stdout)[-1]["output_dir"] == str(elsewhere)


def test_a_folder_that_was_moved_as_a_whole_still_finds_its_study(
    folder: StudyFolder, cli: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert cli("run", folder.file, "--limit", "4").exit_code == 0
    moved = tmp_path_factory.mktemp("moved") / "study"
    shutil.move(folder.path, moved)
    ended = cli("run", moved / "results", "--json")
    assert ended.exit_code == 0, ended.stderr
    launch, done = json_lines(ended.stdout)
    assert (launch["restored"], done["succeeded"]) == (4, 40)
    assert str(folder.path).encode() not in (moved / "results" / "study.sqlite").read_bytes()


def test_a_study_file_that_is_gone_is_named(folder: StudyFolder, cli: Any) -> None:
    assert cli("run", folder.file, "--limit", "4").exit_code == 0
    renamed = folder.file.rename(folder.path / "renamed.yaml")
    refused = cli("run", folder.results)
    assert refused.exit_code == 3
    assert f"the study file of {folder.results} was {folder.file}" in refused.stderr
    assert cli("run", renamed, "--output-dir", folder.results).exit_code == 0
    assert cli("run", folder.results).exit_code == 0  # the last session knows the new name


def test_a_study_that_was_made_in_python_is_not_run_from_its_directory(
    python: StudyFolder, cli: Any
) -> None:
    assert cli("run", f"{python.path}/tones.py:study").exit_code == 0
    results = python.path / "artifacts" / "tones"
    refused = cli("run", results)
    assert refused.exit_code == 3
    assert "does not know its study file: the study was made in Python" in refused.stderr
    assert cli("status", results).exit_code == 0


def test_a_directory_of_an_older_layout_says_that_it_does_not_know(
    folder: StudyFolder, cli: Any
) -> None:
    assert cli("run", folder.file, "--limit", "4").exit_code == 0
    make_older(folder.results / "study.sqlite", 3)
    assert "or last run by an older version" in cli("run", folder.results).stderr
    assert cli("run", folder.file).exit_code == 0
    assert cli("check", folder.results).exit_code == 0


@pytest.mark.field("studies-C3")
def test_the_study_file_in_the_results_is_run_with_the_code_of_its_study(
    folder: StudyFolder, cli: Any
) -> None:
    folder.file.write_text(folder.file.read_text().replace("replicates: 10", "replicates: 1"))
    first = cli("run", folder.file, "--no-report")
    kept = folder.results / "study.yaml"
    again = cli("run", kept, "--no-report")
    checked = cli("check", kept, "--json")
    elsewhere = cli("run", kept, "--no-report", "--output-dir", folder.path / "elsewhere")
    from_directory = cli("check", folder.results, "--json")

    assert (first.exit_code, again.exit_code, elsewhere.exit_code) == (0, 0, 0), again.stderr
    assert "4 kept from before" in again.stderr
    assert len(folder.calls()) == 8
    assert (folder.path / "elsewhere" / "runs.csv").exists()
    (found,) = json_lines(checked.stdout)
    assert (found["done"], found["output_dir"]) == (4, str(folder.results))
    assert json_lines(from_directory.stdout)[0]["done"] == 4, "it still knows its study file"


@pytest.mark.field("studies-C3")
def test_the_study_file_in_the_results_can_be_copied_beside_its_code(
    folder: StudyFolder, cli: Any, tmp_path: Path
) -> None:
    folder.file.write_text(folder.file.read_text().replace("replicates: 10", "replicates: 1"))
    cli("run", folder.file, "--no-report")
    copied = tmp_path / "copy"
    copied.mkdir()
    for path in (folder.results / "study.yaml", folder.results / "problems.jsonl"):
        shutil.copy(path, copied)

    for path in folder.path.glob("*.py"):
        shutil.copy(path, copied)

    assert cli("run", copied / "study.yaml", "--no-report").exit_code == 0
    assert (copied / "results" / "runs.csv").exists()
