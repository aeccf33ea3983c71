from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from penstock.cli import looking
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


def test_a_dry_run_says_how_large_the_plan_is_and_writes_nothing(
    folder: StudyFolder, cli: Any
) -> None:
    dry = cli("run", folder.file, "--dry-run")
    assert dry.exit_code == 0
    assert "40 runs planned (2 conditions, 1 agent, 2 problems)" in dry.stderr
    assert not folder.results.exists()
    launch, done = json_lines(cli("run", folder.file, "--dry-run", "--json").stdout)
    assert launch["dry_run"]
    assert (done["planned"], done["remaining"]) == (40, 40)
    assert not folder.results.exists()


def test_a_plan_is_counted_by_condition_agent_and_problem(folder: StudyFolder, cli: Any) -> None:
    shown = cli("plan", folder.file)
    assert shown.exit_code == 0
    assert shown.stdout == ""
    for part in ("40 runs planned", "tone=warm", "worker  40", "p1  20", "replicate 1"):
        assert part in shown.stderr

    (plan,) = json_lines(cli("plan", folder.file, "--json").stdout)
    assert plan["planned"] == 40
    assert [condition["runs"] for condition in plan["conditions"]] == [20, 20]
    assert (plan["agents"], plan["problems"]) == ({"worker": 40}, {"p1": 20, "p2": 20})
    assert [run["position"] for run in plan["first_runs"]] == [0, 1, 2, 3, 4]
    assert not folder.results.exists()


def test_a_plan_shows_the_first_of_many_rows(folder: StudyFolder, cli: Any) -> None:
    levels = ", ".join(f"l{number}" for number in range(20))
    folder.file.write_text(folder.file.read_text().replace("[warm, cold]", f"[{levels}]"))
    assert "... and 8 more" in cli("plan", folder.file).stderr


def test_a_plan_of_an_invalid_study_is_refused(folder: StudyFolder, cli: Any) -> None:
    folder.file.write_text(
        folder.file.read_text().replace("replicates: 10", "replicates: 10, max_runs: 1")
        + "agent_specs: [worker, worker]\n"
    )
    shown = cli("plan", folder.file)
    assert shown.exit_code == 3
    assert "max_runs" in shown.stderr
    assert "Duplicate" in shown.stderr


def test_status_shows_where_a_study_stands(folder: StudyFolder, cli: Any) -> None:
    folder.set_up(failing=["p2"])
    assert cli("run", folder.file).exit_code == 10
    shown = cli("status", folder.results)
    assert shown.exit_code == 0
    assert "40 planned, 20 succeeded, 20 failed, 0 skipped, 0 remaining" in shown.stderr
    assert "20 x  ValueError: no [/bold] \\x1b[31manswer (agent)" in shown.stderr
    (status,) = json_lines(cli("status", folder.results, "--json").stdout)
    assert (status["event"], status["planned"], status["failed"]) == ("status", 40, 20)
    assert status["failures"][0]["runs"] == 20


def test_export_writes_the_files_anew_or_elsewhere(folder: StudyFolder, cli: Any) -> None:
    assert cli("run", folder.file).exit_code == 0
    runs = (folder.results / "runs.csv").read_bytes()
    (folder.results / "runs.csv").unlink()
    assert cli("export", folder.results).exit_code == 0
    assert (folder.results / "runs.csv").read_bytes() == runs
    copy = folder.path / "copy"
    assert cli("export", folder.results, "--to", copy, "--sqlite").exit_code == 0
    assert (copy / "runs.csv").read_bytes() == runs
    assert cli("status", copy).exit_code == 0


def test_export_writes_parquet_where_it_is_asked_for(folder: StudyFolder, cli: Any) -> None:
    assert cli("run", folder.file).exit_code == 0
    assert not [*folder.results.glob("*.parquet")]
    assert cli("export", folder.results, "--parquet").exit_code == 0
    runs = pq.read_table(folder.results / "runs.parquet")
    assert runs.num_rows == len((folder.results / "runs.csv").read_text().splitlines()) - 1


@pytest.mark.parametrize("command", ["status", "export"])
def test_a_directory_without_a_study_is_refused(command: str, tmp_path: Path, cli: Any) -> None:
    refused = cli(command, tmp_path)
    assert refused.exit_code == 3
    assert refused.stderr.startswith("error: ")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", ["status", "export"])
def test_a_broken_store_is_refused(command: str, folder: StudyFolder, cli: Any) -> None:
    assert cli("run", folder.file).exit_code == 0
    store = folder.results / "study.sqlite"
    whole = store.read_bytes()
    store.write_bytes(whole[:4096] + b"\x5a" * (len(whole) - 4096))
    refused = cli(command, folder.results)
    assert refused.exit_code == 3
    assert "study.sqlite" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_an_output_directory_is_relative_to_where_one_stands(
    folder: StudyFolder, cli: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = folder.path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert cli("run", "../study.yaml", "--output-dir", "out").exit_code == 0
    assert (elsewhere / "out" / "runs.csv").exists()


def test_fresh_starts_from_nothing_and_keeps_the_old_aside(folder: StudyFolder, cli: Any) -> None:
    assert cli("run", folder.file).exit_code == 0
    folder.set_up(failing=["p2"])
    del sys.modules["sibling"]
    ended = cli("run", folder.file, "--fresh")
    assert "kept from before" not in ended.stderr
    assert len(list(folder.path.glob("results*"))) == 2
    assert len(folder.calls()) == 80


@pytest.mark.parametrize(
    "arguments",
    [
        ["run"],
        ["run", "study.yaml", "--concurrency", "0"],
        ["run", "study.yaml", "--timeout", "0"],
        ["run", "study.yaml", "--retries", "-1"],
        ["run", "study.yaml", "--unknown"],
        ["run", "study.yaml", "--fail-fast", "--max-failures", "3"],
        ["walk"],
    ],
)
def test_wrong_usage_is_exit_code_2(arguments: list[str], cli: Any) -> None:
    assert cli(*arguments).exit_code == 2


def test_an_internal_error_is_one_message_unless_debugging(
    folder: StudyFolder, cli: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: str) -> None:
        raise RuntimeError("the \x1b[2Jroof")

    monkeypatch.setattr(looking, "find_study", broken)
    told = cli("check", folder.file)
    assert told.exit_code == 1
    assert "internal error: RuntimeError: the \\x1b[2Jroof" in told.stderr
    assert "Traceback" not in told.stderr
    monkeypatch.setenv("PENSTOCK_DEBUG", "1")
    assert "Traceback" in cli("check", folder.file).stderr


def test_ctrl_c_before_a_study_begins_is_exit_code_130(
    folder: StudyFolder, cli: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(looking, "find_study", interrupted)
    assert cli("check", folder.file).exit_code == 130


def test_a_study_module_that_exits_is_refused(folder: StudyFolder, cli: Any) -> None:
    (folder.path / "agents.py").write_text("import sys\nsys.exit(0)\n")
    refused = cli("check", folder.file)
    assert refused.exit_code == 3
    assert "exit(0)" in refused.stderr


def test_the_version_is_told(cli: Any) -> None:
    assert cli("--version").stdout.startswith("penstock ")


def test_help_loads_nothing_that_only_commands_need() -> None:
    script = (
        "import sys\nfrom penstock.cli import app\n"
        "try:\n    app(['--help'])\nexcept SystemExit:\n    pass\n"
        "print([name for name in ('structlog', 'penstock.cli.running', "
        "'penstock.cli.looking') if name in sys.modules])"
    )
    told = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert told.stdout.endswith("[]\n")
