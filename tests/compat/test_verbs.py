from __future__ import annotations

import csv
import json
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from penstock.compat.verbs import main
from penstock.export.file_checks import validate_canonical_artifacts
from tests.children import COMMAND_LINE, run_python
from tests.command_line import StudyFolder

CANONICAL = ("conditions.csv", "runs.csv", "events.csv", "evaluations.csv", "study.yaml")


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def packed(path: Path) -> set[str]:
    with tarfile.open(path) as bundle:
        return set(bundle.getnames())


def test_a_valid_study_is_valid_and_one_that_is_not_is_exit_code_3_with_every_error(
    folder: StudyFolder, cli: Any
) -> None:
    ended = cli("validate-study", folder.file)
    assert (ended.exit_code, ended.stderr) == (0, "Study 'tones' is valid.\n")

    text = folder.file.read_text().replace("levels: [warm, cold]", "levels: [warm, warm]")
    folder.file.write_text(f"{text}hypotheses: [{{hypothesis_id: h}}]\n")
    ended = cli("validate-study", folder.file)
    assert ended.exit_code == 3
    assert "Factor 'tone' has duplicate level names." in ended.stderr
    assert "hypotheses[0].label: is required" in ended.stderr


def test_a_hypothesis_about_nothing_is_exit_code_3(folder: StudyFolder, cli: Any) -> None:
    said = "{hypothesis_id: h, label: l, statement: s, independent_vars: [size]}"
    folder.file.write_text(f"{folder.file.read_text()}hypotheses: [{said}]\n")
    ended = cli("validate-study", folder.file)
    assert ended.exit_code == 3
    assert "Hypothesis 'h' references unknown independent variable 'size'." in ended.stderr


def test_run_study_runs_and_resume_study_goes_on(folder: StudyFolder) -> None:
    def call(verb: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        options = ("--parallelism", "8", *arguments)
        return run_python(*COMMAND_LINE, verb, folder.file, *options)

    folder.set_up(failing=["p2"])
    ended = call("run-study", "--sqlite", "--no-progress")
    assert ended.returncode == 10, ended.stderr  # failed runs are no success
    assert "finished, but some runs failed" in ended.stderr

    folder.set_up()
    ended = call("resume-study", "--no-progress")
    assert ended.returncode == 0, ended.stderr
    assert "20 kept from before" in ended.stderr
    run_ids = [row["run_id"] for row in table(folder.results / "runs.csv")]
    assert sorted(folder.calls()) == sorted(run_ids)


def test_a_dry_run_writes_nothing(folder: StudyFolder, cli: Any) -> None:
    ended = cli("run-study", folder.file, "--dry-run")
    assert ended.exit_code == 0
    assert "40 runs planned" in ended.stderr
    assert not folder.results.exists()


def test_a_dry_run_of_an_agent_that_is_nowhere_is_exit_code_3(
    folder: StudyFolder, cli: Any
) -> None:
    folder.file.write_text(folder.file.read_text().replace("agents.py:worker", "agents.py:nobody"))
    ended = cli("run-study", folder.file, "--dry-run")
    assert ended.exit_code == 3
    assert "agent 'worker'" in ended.stderr


def test_the_materialized_conditions_are_the_bytes_that_a_run_exports(
    folder: StudyFolder, cli: Any
) -> None:
    ended = cli("materialize-design", folder.file)
    assert ended.exit_code == 0, ended.stderr
    assert "Materialized 2 conditions" in ended.stderr
    materialized = (folder.results / "conditions.csv").read_bytes()

    assert cli("run", folder.file, "--no-progress").exit_code == 0
    assert (folder.results / "conditions.csv").read_bytes() == materialized
    assert cli("materialize-design", folder.file).exit_code == 0  # the same again changes nothing


def test_the_conditions_of_another_study_are_not_overwritten(
    folder: StudyFolder, cli: Any, tmp_path: Path
) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(folder.file.read_text().replace("study_id: tones", "study_id: moods"))
    cli("materialize-design", other)
    written = (folder.results / "conditions.csv").read_bytes()

    ended = cli("materialize-design", folder.file)
    assert ended.exit_code == 3
    assert "belongs to 'moods', not to 'tones'" in ended.stderr
    assert (folder.results / "conditions.csv").read_bytes() == written
    elsewhere = tmp_path / "new" / "conditions.csv"
    assert cli("materialize-design", folder.file, "--output", elsewhere).exit_code == 0
    assert len(table(elsewhere)) == 2


def test_the_conditions_that_results_were_made_with_are_not_overwritten(
    folder: StudyFolder, cli: Any
) -> None:
    cli("run", folder.file, "--no-progress")
    folder.file.write_text(folder.file.read_text().replace("[warm, cold]", "[warm, cold, wet]"))
    ended = cli("materialize-design", folder.file)
    assert ended.exit_code == 3
    assert "the conditions that the results beside it were made with" in ended.stderr
    assert len(table(folder.results / "conditions.csv")) == 2


def test_without_results_the_conditions_of_an_earlier_draft_are_replaced(
    folder: StudyFolder, cli: Any
) -> None:
    cli("materialize-design", folder.file)
    folder.file.write_text(folder.file.read_text().replace("[warm, cold]", "[warm, cold, wet]"))
    assert cli("materialize-design", folder.file).exit_code == 0
    assert len(table(folder.results / "conditions.csv")) == 3


def test_a_design_without_a_study_is_written_as_a_table(cli: Any, tmp_path: Path) -> None:
    out = tmp_path / "new" / "doe.csv"
    factors = json.dumps({"a": [1, 2], "b": ["x", "y"]})
    arguments = ("--kind", "full", "--factors-json", factors, "--out", out, "--no-randomize")
    ended = cli("generate-doe", *arguments, "--replicates", "2")
    assert ended.exit_code == 0, ended.stderr
    assert "Generated a full_factorial DOE with 8 runs across 2 factors." in ended.stderr
    assert table(out) == 2 * [{"a": a, "b": b} for a in "12" for b in "xy"]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--kind", "full", "--factors-json", "{"), 2, "--factors-json must be valid JSON"),
        (("--kind", "full", "--factors-json", "[]"), 2, "must decode to a JSON object"),
        (("--kind", "most", "--factors-json", "{}"), 2, "'most' is not one of"),
        (("--kind", "lhs", "--factors-json", '{"a": [0, 1]}'), 3, "n_samples is required"),
    ],
)
def test_a_design_that_cannot_be_made_writes_nothing(
    arguments: tuple[str, ...], code: int, said: str, cli: Any, tmp_path: Path
) -> None:
    ended = cli("generate-doe", *arguments, "--out", tmp_path / "doe.csv")
    assert ended.exit_code == code
    assert said in " ".join(ended.stderr.replace("│", " ").split())
    assert not (tmp_path / "doe.csv").exists()


def test_the_files_of_a_study_are_written_again_from_its_store(
    folder: StudyFolder, cli: Any, tmp_path: Path
) -> None:
    cli("run", folder.file, "--no-progress")
    for name in CANONICAL:
        (folder.results / name).unlink()

    assert cli("export-analysis", folder.file).exit_code == 0
    assert cli("export-analysis", folder.file, "--output-dir", folder.results).exit_code == 0
    elsewhere = tmp_path / "elsewhere"
    assert cli("export-analysis", folder.file, "--output-dir", elsewhere, "--sqlite").exit_code == 0
    for name in CANONICAL:
        assert (elsewhere / name).read_bytes() == (folder.results / name).read_bytes()

    assert (elsewhere / "study.sqlite").exists()


def test_the_results_of_another_study_are_not_exported_as_this_one(
    folder: StudyFolder, cli: Any
) -> None:
    cli("run", folder.file, "--no-progress")
    folder.file.write_text(folder.file.read_text().replace("study_id: tones", "study_id: moods"))
    ended = cli("export-analysis", folder.file)
    assert ended.exit_code == 3
    assert "holds study 'tones', not 'moods'" in ended.stderr


def test_a_study_that_never_ran_has_nothing_to_export(folder: StudyFolder, cli: Any) -> None:
    assert cli("export-analysis", folder.file).exit_code == 3


def test_a_bundle_keeps_the_dots_of_its_name(cli: Any, tmp_path: Path) -> None:
    for name in ("exp-1.5", "exp-1.6"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "notes.md").write_text(name)
        assert cli("bundle-results", tmp_path / name).exit_code == 0

    assert packed(tmp_path / "exp-1.5.tar.gz") == {"exp-1.5", "exp-1.5/notes.md"}
    assert packed(tmp_path / "exp-1.6.tar.gz") == {"exp-1.6", "exp-1.6/notes.md"}


def test_a_bundle_inside_the_directory_does_not_contain_itself(
    folder: StudyFolder, cli: Any
) -> None:
    cli("run", folder.file, "--no-progress")
    inside = folder.results / "all.tar.gz"
    for _ in range(2):  # nor the bundle that was there before it
        assert cli("bundle-results", folder.results, "--bundle-path", inside).exit_code == 0

    names = packed(inside)
    assert {"results", "results/runs.csv", "results/study.sqlite"} <= names
    assert not {name for name in names if "all.tar" in name or ".lock" in name}


def test_a_bundle_of_the_working_directory_has_its_name(
    cli: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert cli("bundle-results", ".").exit_code == 0
    assert packed(tmp_path / "here.tar.gz") == {"here"}


@pytest.mark.field("engine-G10")
@pytest.mark.parametrize(
    "name", ["study.sqlite", "runs.csv", "study.sqlite-wal", "notes.txt", "new.zip"]
)
def test_a_bundle_takes_the_place_of_no_file_of_the_directory(
    folder: StudyFolder, cli: Any, name: str
) -> None:
    cli("run", folder.file, "--no-progress")
    (folder.results / "notes.txt").write_text("mine")
    before = {path: path.read_bytes() for path in folder.results.rglob("*") if path.is_file()}
    ended = cli("bundle-results", folder.results, "--bundle-path", folder.results / name)
    assert ended.exit_code == 3
    assert "give another (--bundle-path)" in ended.stderr
    assert {
        path: path.read_bytes() for path in folder.results.rglob("*") if path.is_file()
    } == before


@pytest.mark.field("engine-G10")
def test_a_bundle_takes_the_place_of_an_earlier_one_alone(folder: StudyFolder, cli: Any) -> None:
    cli("run", folder.file, "--no-progress")
    for target in (folder.results / "all.tar.gz", folder.path / "study.tgz"):
        for _ in range(2):
            ended = cli("bundle-results", folder.results, "--bundle-path", target)
            assert ended.exit_code == 0, ended.stderr

    for name, text in {"thesis.docx": "mine", "half.tar.gz": "\x1f\x8b"}.items():
        (folder.path / name).write_text(text)
        ended = cli("bundle-results", folder.results, "--bundle-path", folder.path / name)
        assert ended.exit_code == 3
        assert "is not an earlier bundle" in ended.stderr
        assert (folder.path / name).read_text() == text

    (folder.path / "link.tgz").symlink_to(folder.path / "study.tgz")
    ended = cli("bundle-results", folder.results, "--bundle-path", folder.path / "link.tgz")
    assert ended.exit_code == 3


@pytest.mark.field("studies-N17")
def test_a_bundle_holds_the_study_s_own_code(folder: StudyFolder, cli: Any) -> None:
    (folder.path / "unrelated.py").write_text("")
    cli("run", folder.file, "--no-progress")
    assert cli("bundle-results", folder.results).exit_code == 0
    held = packed(folder.path / "results.tar.gz")
    code = {name.removeprefix("results/study-code/") for name in held if "study-code" in name}
    assert code == {"study.yaml", "agents.py", "sibling.py"}

    folder.file.unlink()  # then what is known of it is bundled
    assert cli("bundle-results", folder.results).exit_code == 0
    assert not [name for name in packed(folder.path / "results.tar.gz") if "study-code" in name]


@pytest.mark.field("engine-G19")
@pytest.mark.parametrize(
    "arguments",
    [
        ("materialize-design", "study.yaml", "--output", ""),
        ("export-analysis", "study.yaml", "--output-dir", ""),
        ("bundle-results", "results", "--bundle-path", ""),
        ("bundle-results", ""),
        ("generate-doe", "--kind", "full", "--factors-json", "{}", "--out", ""),
        ("run-study", "study.yaml", "--output-dir", ""),
    ],
)
def test_an_empty_path_is_not_the_working_directory(
    folder: StudyFolder, cli: Any, arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.path)
    before = {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()}
    ended = cli(*arguments)
    assert ended.exit_code == 2
    assert "it is empty; is a variable" in " ".join(ended.stderr.replace("│", "").split())
    assert {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()} == before


def test_a_directory_that_is_not_there_cannot_be_bundled(cli: Any, tmp_path: Path) -> None:
    ended = cli("bundle-results", tmp_path / "nowhere")
    assert ended.exit_code == 3
    assert not list(tmp_path.iterdir())


def test_what_is_wrong_with_exported_files_is_listed(folder: StudyFolder, cli: Any) -> None:
    missing = ["conditions.csv", "evaluations.csv", "events.csv", "manifest.json"]
    folder.results.mkdir()
    assert validate_canonical_artifacts(folder.results) == [
        f"Missing canonical artifacts: {[*missing, 'runs.csv', 'study.yaml']}."
    ]

    cli("run", folder.file, "--no-progress")
    assert validate_canonical_artifacts(folder.results) == []
    manifest = json.loads((folder.results / "manifest.json").read_text())
    del manifest["provenance"]
    manifest |= {"study_id": "moods", "schema_version": "0.1.0"}
    (folder.results / "manifest.json").write_text(json.dumps(manifest))
    (folder.results / "evaluations.csv").write_text("run_id,metric_value\r\n")
    assert validate_canonical_artifacts(folder.results) == [
        "manifest.json is missing required keys: provenance.",
        "manifest.json schema_version '0.1.0' does not match '0.2.0'.",
        "study.yaml and manifest.json disagree on study_id: 'tones' != 'moods'.",
        (
            "evaluations.csv is missing required columns: evaluator_id, metric_name, "
            "metric_unit, aggregation_level, notes_json."
        ),
    ]


@pytest.mark.parametrize("text", ["[]", "{"])
def test_a_manifest_that_cannot_be_read_is_told(text: str, folder: StudyFolder, cli: Any) -> None:
    cli("run", folder.file, "--no-progress")
    (folder.results / "manifest.json").write_text(text)
    (error,) = validate_canonical_artifacts(folder.results)
    assert error.startswith("manifest.json cannot be read: ")


def test_the_command_line_runs_in_this_process_and_returns_its_code(
    folder: StudyFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["validate-study", str(folder.file)]) == 0
    assert "Study 'tones' is valid." in capsys.readouterr().err
    folder.file.write_text("study_id: [")
    assert main(["validate-study", str(folder.file)]) == 3
