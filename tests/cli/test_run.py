from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from typing import Any

import pytest
import typer

from penstock.cli.arguments import number_or_auto
from penstock.store.reader import StoreReader
from tests.command_line import StudyFolder, fill, json_lines, read_until


def test_a_study_runs_to_its_end_and_says_so_to_people_on_stderr(folder: StudyFolder) -> None:
    ended = folder.run()
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == ""
    assert "tones: complete" in ended.stderr
    assert "40 planned, 40 succeeded" in ended.stderr
    assert "40/40 done" in ended.stderr
    assert str(folder.results) in ended.stderr
    assert (folder.results / "runs.csv").exists()


def test_running_it_again_runs_nothing_again(folder: StudyFolder) -> None:
    folder.run()
    ended = folder.run()
    assert ended.returncode == 0
    assert "40 kept from before" in ended.stderr
    assert len(folder.calls()) == 40


def test_machines_read_launch_and_done_and_nothing_else_on_stdout(folder: StudyFolder) -> None:
    ended = folder.run("--json")
    launch, done = json_lines(ended.stdout)
    assert launch["event"] == "launch"
    assert (launch["study_id"], launch["planned"], launch["restored"]) == ("tones", 40, 0)
    session = done.pop("session")
    assert done["attempts"] == session["attempts"] == session["succeeded"] == 40
    assert done["agents"] == {"cost_usd": 0.0, "input_tokens": 0, "output_tokens": 0}
    spent = ("agents", "judges", "cost_usd", "input_tokens", "output_tokens", "attempts")
    assert {name: done[name] for name in done if name not in spent} == {
        "event": "done",
        "planned": 40,
        "restored": 0,
        "succeeded": 40,
        "failed": 0,
        "skipped": 0,
        "remaining": 0,
        "left_out": 0,
        "lost_calls": 0,
        "uncounted_cost_usd": 0.0,
        "uncounted_tokens": 0,
        "unpriced": 0,
        "unknown_endings": 0,
        "stopped_because": None,
        "output_dir": str(folder.results),
    }
    assert ended.stderr == "answered\n" * 40  # what agents print is for people; no progress


def test_progress_can_be_asked_for_beside_json(folder: StudyFolder) -> None:
    ended = folder.run("--json", "--progress")
    assert "40/40 done" in ended.stderr
    assert [line["event"] for line in json_lines(ended.stdout)] == ["launch", "done"]


def test_progress_can_be_left_out(folder: StudyFolder) -> None:
    assert "40/40 done" not in folder.run("--no-progress").stderr


def test_failed_runs_are_exit_code_10_and_what_they_said_is_shown_unarmed(
    folder: StudyFolder,
) -> None:
    folder.set_up(failing=["p2"])
    ended = folder.run()
    assert ended.returncode == 10
    assert "20 x  ValueError: no [/bold] \\x1b[31manswer (agent)" in ended.stderr
    assert "\x1b" not in ended.stderr
    assert "run it again to make the 20 runs" in ended.stderr
    folder.set_up()
    assert folder.run().returncode == 0
    assert len(folder.calls()) == 40


@pytest.mark.parametrize(("most", "code"), [(20, 0), (19, 10)])
def test_max_failures_says_how_many_failed_runs_are_bearable(
    folder: StudyFolder, most: int, code: int
) -> None:
    folder.set_up(failing=["p2"])
    assert folder.run("--max-failures", str(most)).returncode == code


@pytest.mark.parametrize("option", [["--fail-fast"], ["--max-failures", "0"]])
def test_a_study_stops_early_when_too_many_runs_failed(
    folder: StudyFolder, option: list[str]
) -> None:
    folder.set_up(failing=["p1", "p2"])
    ended = folder.run("--json", *option)
    done = json_lines(ended.stdout)[-1]
    assert ended.returncode == 10
    assert 1 <= done["failed"] <= 4
    assert done["remaining"] == 40 - done["failed"]


def test_retries_are_attempts_beside_the_first(folder: StudyFolder) -> None:
    folder.set_up(failing=["p2"])
    folder.file.write_text(folder.file.read_text().replace("replicates: 10", "replicates: 1"))
    assert folder.run("--retries", "2").returncode == 10
    with StoreReader(folder.results) as store:
        tries = Counter(row["run_id"] for row in store.rows("SELECT run_id FROM attempt"))

    assert sorted(tries.values()) == [1, 1, 3, 3]


def test_timeout_ends_an_attempt_that_hangs(folder: StudyFolder) -> None:
    folder.set_up(free_replicates=9)
    ended = folder.run("--timeout", "0.05", "--concurrency", "40")
    assert ended.returncode == 10
    assert "AttemptTimeoutError" in ended.stderr


def test_a_thread_that_hangs_in_an_agent_does_not_keep_the_command_from_ending(
    folder: StudyFolder,
) -> None:
    (folder.path / "agents.py").write_text(
        "import threading\n\ndef worker(ctx):\n    threading.Event().wait()\n"
    )
    ended = folder.run("--timeout", "0.05", "--concurrency", "40", "--json")
    assert ended.returncode == 10
    assert json_lines(ended.stdout)[-1]["failed"] == 40


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_one_interrupt_lets_runs_in_flight_end_and_the_next_run_goes_on(
    folder: StudyFolder, signum: signal.Signals
) -> None:
    folder.set_up(free_replicates=3)
    process = folder.start("--json", "--concurrency", "2")
    read_until(process, "held", times=2)
    process.send_signal(signum)
    more = "cancels them" if signum is signal.SIGINT else "leaves at once"
    read_until(process, f"{signum.name}: runs in flight end; once more {more}")
    (folder.path / "open").touch()
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    done = json_lines(out)[-1]
    assert (done["event"], done["succeeded"], done["remaining"]) == ("done", 8, 32)
    again = folder.run("--json")
    assert again.returncode == 0
    assert json_lines(again.stdout)[-1]["restored"] == 8
    assert Counter(Counter(folder.calls()).values()) == {1: 40}  # each run, exactly once


def test_two_interrupts_cancel_what_is_in_flight_and_lose_nothing(folder: StudyFolder) -> None:
    folder.set_up(free_replicates=3)
    process = folder.start("--json")
    read_until(process, "held", times=4)
    process.send_signal(signal.SIGINT)
    read_until(process, "SIGINT: runs in flight end")
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    done = json_lines(out)[-1]
    assert (done["event"], done["succeeded"], done["remaining"]) == ("done", 6, 34)
    (folder.path / "open").touch()
    assert folder.run().returncode == 0
    assert Counter(Counter(folder.calls()).values()) == {1: 40}


def test_a_third_interrupt_leaves_at_once_what_ignores_its_cancellation(
    folder: StudyFolder,
) -> None:
    (folder.path / "agents.py").write_text(
        "import anyio\n\nasync def worker(ctx):\n"
        "    with anyio.CancelScope(shield=True):\n"
        "        print('held', flush=True)\n        await anyio.sleep_forever()\n"
    )
    process = folder.start("--json")
    read_until(process, "held", times=4)
    for said in ("runs in flight end", "runs in flight are cancelled"):
        process.send_signal(signal.SIGINT)
        read_until(process, said)

    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "left at once" in err
    assert json_lines(out)[-1]["event"] == "done"


@pytest.mark.field("studies-B1", "studies-SEC3")
def test_a_third_interrupt_leaves_an_agent_that_blocks_the_loop_and_saves_what_had_ended(
    folder: StudyFolder, cli: Any
) -> None:
    (folder.path / "agents.py").write_text(
        "import time\n\nasync def worker(ctx):\n    if ctx.started_order == 3:\n"
        "        print('held', flush=True)\n        time.sleep(600)\n\n    return 'yes'\n"
    )
    process = folder.start("--concurrency", "1", "--timeout", "1")
    read_until(process, "held")
    for said in ("runs in flight end", "runs in flight are cancelled"):
        process.send_signal(signal.SIGINT)
        read_until(process, said)

    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "left at once; what had ended is saved" in err
    assert json_lines(cli("status", folder.results, "--json").stdout)[-1]["succeeded"] == 2
    assert cli("doctor", folder.results).exit_code == 0


def test_a_reader_that_is_gone_does_not_end_the_study(folder: StudyFolder) -> None:
    process = folder.start("--json", "--progress")
    for stream in (process.stdout, process.stderr):
        assert stream is not None
        stream.close()

    assert process.wait(timeout=60) == 0
    assert len(folder.calls()) == 40
    assert (folder.results / "runs.csv").exists()


def test_a_reader_that_does_not_read_does_not_end_the_study(folder: StudyFolder) -> None:
    reading, writing = os.pipe()
    fill(writing)
    process = folder.start("--json", "--progress", stdout=writing, stderr=writing)
    try:
        assert process.wait(timeout=60) == 0
    finally:
        os.close(reading)
        os.close(writing)

    assert len(folder.calls()) == 40


def test_closed_descriptors_do_not_become_files_of_the_study(folder: StudyFolder) -> None:
    command = folder.command("run", str(folder.file), "--json", "--progress")
    shell = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *command]
    assert subprocess.run(shell, cwd=folder.path, timeout=60, check=False).returncode == 0
    with StoreReader(folder.results) as store:
        assert store.count() == 40


def test_done_is_the_last_line_also_when_the_results_cannot_be_written(
    folder: StudyFolder,
) -> None:
    folder.set_up(failing=["p1", "p2"])
    assert folder.run("--stop-alike", "0").returncode == 10
    folder.set_up()
    (folder.results / "runs.csv").unlink()
    (folder.results / "runs.csv").mkdir()  # a folder, where the export has a file
    ended = folder.run("--json")
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    assert "export" in ended.stderr.splitlines()[-1]
    done = json_lines(ended.stdout)[-1]
    assert (done["event"], done["succeeded"]) == ("done", 40)


def test_a_directory_in_use_is_refused_with_its_holder_named(folder: StudyFolder, cli: Any) -> None:
    folder.set_up(free_replicates=0)
    process = folder.start()
    read_until(process, "held")
    try:
        refused = cli("run", folder.file, "--json")
        assert refused.exit_code == 3
        assert f"process {process.pid}" in refused.stderr
        assert refused.stdout == ""
        status = cli("status", folder.results)
        assert "running" in status.stderr
        exported = cli("export", folder.results)
        assert exported.exit_code == 3
        assert "in use" in exported.stderr
        assert cli("export", folder.results, "--to", folder.path / "copy").exit_code == 0
    finally:
        process.kill()
        process.communicate()

    assert "killed" in cli("status", folder.results).stderr


def test_as_many_runs_as_agents_keep_up_with_may_be_asked_for(folder: StudyFolder) -> None:
    ended = folder.run("--parallelism", "auto", "--json")
    assert ended.returncode == 0
    assert json_lines(ended.stdout)[0]["concurrency"] == 16


def test_a_number_of_runs_is_at_least_one_or_auto() -> None:
    assert (number_or_auto("12"), number_or_auto("auto")) == (12, "auto")
    for wrong in ("0", "-1", "many", "2.5", ""):
        with pytest.raises(typer.BadParameter, match="neither a whole number from 1 nor auto"):
            number_or_auto(wrong)


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


@pytest.mark.field("studies-N8")
def test_a_pilot_is_over_with_exit_code_0_and_a_later_run_goes_on(
    folder: StudyFolder, cli: Any
) -> None:
    folder.file.write_text(folder.file.read_text().replace("as_designed", "blocked"))
    pilot = cli("run", folder.file, "--limit", "3", "--json")
    assert pilot.exit_code == 0
    _, done = json_lines(pilot.stdout)
    assert (done["succeeded"], done["remaining"], done["left_out"]) == (4, 36, 36)
    assert done["stopped_because"] == "limit"
    again = cli("run", folder.file, "--limit", "3")
    assert again.exit_code == 0
    assert "--limit 3 takes 4 runs, so that the last block is whole" in again.stderr
    assert "4 kept from before, 36 not run" in again.stderr
    assert "makes the other 36" in again.stderr
    assert cli("run", folder.file).exit_code == 0
    assert Counter(Counter(folder.calls()).values()) == {1: 40}


def test_runs_are_chosen_by_name(folder: StudyFolder, cli: Any) -> None:
    chosen = ["--agent", "worker", "--condition", "tone=warm", "--problem", "p2"]
    dry = cli("run", folder.file, *chosen, "--dry-run")
    assert "0 done, 10 left, 30 for a later run" in dry.stderr
    ended = cli("run", folder.file, *chosen, "--json")
    assert ended.exit_code == 0
    assert json_lines(ended.stdout)[-1]["stopped_because"] == "selection"
    assert len(folder.calls()) == 10
    refused = cli("run", folder.file, "--agent", "wrker")
    assert refused.exit_code == 3
    assert "did you mean 'worker'?" in refused.stderr


def test_what_was_refused_for_good_is_told_and_asked_again_where_that_is_said(
    folder: StudyFolder, cli: Any
) -> None:
    chat = "{provider: simulated, model: m, simulator: {latency_s: 0, faults: {bad_request: 1}}}"
    study = folder.file.read_text().replace(
        '{worker: "agents.py:worker"}', f"{{m: {{chat: {chat}}}}}"
    )
    folder.file.write_text(study.replace("replicates: 10", "replicates: 1"))
    first, second = (cli("run", folder.file, "--no-report") for _ in range(2))
    third = cli("run", folder.file, "--no-report", "--retry-failed")

    for ended in (first, third):
        assert ended.exit_code == 10
        assert "4 of them were refused for good" in ended.stderr
        assert "next:" not in ended.stderr

    assert second.exit_code == 10
    assert "4 runs were refused for good by their provider (4 BadRequestError)" in second.stderr
    assert "4 failed, 4 kept from before" in second.stderr
    assert "4 runs refused for good before are asked again" in third.stderr


@pytest.mark.field("models-F13")
def test_a_study_whose_runs_all_fail_alike_is_left_with_exit_code_12(
    folder: StudyFolder, cli: Any
) -> None:
    folder.set_up(failing=["p1", "p2"])
    ended = cli("run", folder.file, "--stop-alike", "6", "--concurrency", "1", "--json")
    again = cli("run", folder.file, "--stop-alike", "6", "--concurrency", "1")
    done = json_lines(ended.stdout)[-1]

    assert (ended.exit_code, done["failed"], done["remaining"]) == (12, 6, 34)
    assert again.exit_code == 12
    assert "tones: stopped: the first 6 runs of agent 'worker' all failed" in again.stderr
    assert "next: run it again to make the 40 runs that failed or remain" in again.stderr


def test_a_failed_run_of_a_pilot_is_exit_code_10(folder: StudyFolder, cli: Any) -> None:
    folder.set_up(failing=["p1"])
    ended = cli("run", folder.file, "--problems", "1")
    assert ended.exit_code == 10
    assert "run it again to make the 20 runs" in ended.stderr


@pytest.mark.field("studies-P7")
def test_where_results_go_elsewhere_it_does_not_matter_where_the_file_sends_them(
    folder: StudyFolder, cli: Any
) -> None:
    text = folder.file.read_text()
    folder.file.write_text(text.replace("output_dir: results", "output_dir: ../results"))
    refused = cli("run", folder.file)
    assert refused.exit_code == 3
    assert "say where when it is run (--output-dir)" in refused.stderr
    ended = cli("run", folder.file, "--output-dir", folder.path / "elsewhere")
    assert ended.exit_code == 0, ended.stderr
    assert (folder.path / "elsewhere" / "runs.csv").exists()
