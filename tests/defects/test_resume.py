"""Known defects of such tools, part 2: what a study loses when it stops and goes on."""

from __future__ import annotations

import os
import signal
import socket
from collections import Counter
from pathlib import Path
from typing import Any

import anyio
import pytest

import penstock as ps
from penstock.errors import DirectoryInUseError, ForeignDirectoryError
from penstock.events import StudyStopping
from tests.builders import make_study
from tests.defects.situations import Calls, finish, query, read, run, script, start


def test_files_that_lie_about_do_not_end_a_resume_and_a_damaged_store_is_named(
    tmp_path: Path,
) -> None:
    """D03"""
    calls = Calls(tmp_path / "calls")
    for _ in range(2):
        run(make_study(), calls.note_and("x"), tmp_path / "out")
        checkpoints = tmp_path / "out" / "artifacts" / "checkpoints"
        checkpoints.mkdir(parents=True, exist_ok=True)
        for name, text in (("run-1.json", '{"run_id": "ru'), ("notes.json", "{}"), ("n.json", "")):
            (checkpoints / name).write_text(text)

    assert len(calls.all()) == 2
    assert len(read(tmp_path / "out" / "runs.csv")) == 2
    (tmp_path / "out" / "study.sqlite").write_bytes(b"torn" * 10_000)
    with pytest.raises(ForeignDirectoryError, match=r"out/study\.sqlite is not a store"):
        run(make_study(), calls.note_and("x"), tmp_path / "out")


LARGE = """
import sys
from pathlib import Path
import penstock as ps
from penstock.events import RunsSaved
from tests.builders import make_study
from tests.defects.situations import Calls

folder = Path(sys.argv[1])
calls = Calls(folder / "calls")

async def say(stream):
    async for event in stream:
        if isinstance(event, RunsSaved):
            print(*event.run_ids, flush=True)

ps.run_study(
    make_study(replicates=10), agent_bindings={"agent-a": calls.note_and("x" * 1_000_000)},
    output_dir=folder / "out", subscribers=[say], parallelism=2, show_progress=False,
)
"""


def test_a_killed_study_has_what_it_called_saved_and_runs_only_the_rest(tmp_path: Path) -> None:
    """D04"""
    child_script = script(tmp_path / "large.py", LARGE)
    saved: dict[str, int] = {}
    for _ in range(3):
        with start(child_script, tmp_path) as child:
            assert child.stdout is not None
            told = child.stdout.readline().split()
            child.send_signal(signal.SIGKILL)

        calls = Counter(Calls(tmp_path / "calls").all())
        saved |= {run_id: calls[run_id] for run_id in told}

    assert query(tmp_path / "out", "PRAGMA integrity_check") == [("ok",)]
    assert saved.keys() <= {row[0] for row in query(tmp_path / "out", "SELECT run_id FROM runs")}
    finish(child_script, tmp_path)
    calls = Counter(Calls(tmp_path / "calls").all())
    assert len(calls) == 20
    assert {run_id: calls[run_id] for run_id in saved} == saved
    assert saved
    lengths = query(tmp_path / "out", "SELECT DISTINCT length(outputs ->> '$.text') FROM runs")
    assert lengths == [(1_000_000,)]


FULL_DISK = """
import resource, sys
from pathlib import Path
import penstock as ps
from penstock.errors import SubscriberError
from tests.builders import make_study
from tests.defects.situations import Calls

folder, unlimited = Path(sys.argv[1]), resource.RLIM_INFINITY
calls = Calls(folder / "calls")

def go_on():
    return ps.run_study(
        make_study(replicates=400), agent_bindings={"agent-a": calls.note_and("x" * 30_000)},
        output_dir=folder / "out", parallelism=4, show_progress=False,
    )

resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, unlimited))
try:
    go_on()
except OSError as error:
    print(error)
except SubscriberError as error:
    print(error)

resource.setrlimit(resource.RLIMIT_FSIZE, (unlimited, unlimited))
print(len(calls.all()))
print(go_on().summary.session.restored)
"""


def test_a_full_disk_stops_the_study_which_keeps_what_it_committed_and_goes_on_later(
    tmp_path: Path,
) -> None:
    """D36"""
    out = finish(script(tmp_path / "full.py", FULL_DISK), tmp_path)
    error, made, restored = out.splitlines()
    assert str(tmp_path / "out" / "study.sqlite") in error
    assert "MB are free on its disk" in error
    assert "run the study again" in error
    assert 10 < int(restored) <= int(made) < 800
    assert query(tmp_path / "out", "SELECT count(*), status FROM runs") == [(800, "success")]


def test_a_failed_run_runs_again_in_the_next_session(tmp_path: Path) -> None:
    """D05"""
    calls: list[str] = []

    def flaky(ctx: ps.RunContext) -> str:
        calls.append(ctx.spec.run_id)
        if len(calls) == 1:
            raise ConnectionError("try later")

        return "x"

    first = run(make_study(replicates=2), flaky, tmp_path).summary
    second = run(make_study(replicates=2), flaky, tmp_path).summary
    assert (first.failed, first.succeeded) == (1, 3)
    assert (second.session.restored, second.session.succeeded) == (3, 1)
    assert (second.succeeded, second.failed) == (4, 0)
    assert calls[4:] == calls[:1]
    tried = "SELECT attempt, status, error_message FROM attempts WHERE run_id = '{}'"
    history = query(tmp_path, tried.format(calls[0]))
    assert history == [(1, "failed", "try later"), (2, "success", None)]


def test_a_provider_that_limits_its_rate_is_asked_again(tmp_path: Path) -> None:
    """D47"""
    calls: list[int] = []

    def agent(ctx: ps.RunContext) -> str:
        calls.append(ctx.attempt)
        if len(calls) % 2 == 0:
            raise ValueError("rate limited")

        return "x"

    results = run(make_study(replicates=5), agent, tmp_path, retry=ps.Retry(attempts=9, wait_s=0))
    assert results.summary.succeeded == 10
    assert results.summary.session.retried == len(calls) - 10 > 0
    assert {row["status"] for row in read(tmp_path / "runs.csv")} == {"success"}


AGENTS = "def one(ctx):\n    return 'one'\n\n\ndef other(ctx):\n    return 'other'\n"


def _declared(tmp_path: Path, call: str = "one", **fields: Any) -> ps.Study:
    (tmp_path / "two_agents.py").write_text(AGENTS)
    agents = {"agent-a": f"two_agents.py:{call}"}
    return make_study(agents=agents, base_dir=tmp_path, output_dir="out", **fields)


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"base_seed": 1}, "restore base_seed"),
        ({"call": "other"}, r"agent 'agent-a' was two_agents\.py:one and is two_agents\.py:other"),
        (
            {"problems": (ps.Problem(problem_id="p1", brief="What is 6 x 8?"),)},
            r"problem 'p1' has another brief \(2 results\)",
        ),
        ({"study_id": "foreign"}, "holds study 'tested', not 'foreign'"),
    ],
)
def test_a_resume_does_not_mix_results_of_another_study_seed_agent_or_problem(
    tmp_path: Path, changed: dict[str, Any], error: str
) -> None:
    """D06"""
    ps.run_study(_declared(tmp_path), show_progress=False)
    before = query(tmp_path / "out", "SELECT run_id, seed, outputs, study_id FROM runs")
    with pytest.raises(ForeignDirectoryError, match=error):
        ps.run_study(_declared(tmp_path, **changed), show_progress=False)

    assert query(tmp_path / "out", "SELECT run_id, seed, outputs, study_id FROM runs") == before
    again = ps.run_study(_declared(tmp_path), show_progress=False)
    assert again.summary.session.restored == 2


def test_a_resume_shows_only_what_is_in_the_plan_and_forgets_nothing(tmp_path: Path) -> None:
    """More of D06: a plan that shrinks, and grows again."""
    run(make_study(("a", "b", "c")), lambda: "x", tmp_path)
    smaller = run(make_study(("c", "a")), lambda: "y", tmp_path)
    assert [result.outputs["text"] for result in smaller] == ["x", "x"]
    conditions = {row["condition_id"] for row in read(tmp_path / "conditions.csv")}
    assert {row["condition_id"] for row in read(tmp_path / "runs.csv")} == conditions
    larger = run(make_study(("a", "b", "c", "d")), lambda: "z", tmp_path)
    assert [result.outputs["text"] for result in larger] == ["x", "x", "x", "z"]


def test_another_studys_tables_are_not_overwritten(tmp_path: Path) -> None:
    """D07"""
    run(make_study(replicates=5), lambda: "x", tmp_path / "out")
    before = (tmp_path / "out" / "runs.csv").read_bytes()
    other = make_study(study_id="other")
    with pytest.raises(ForeignDirectoryError, match="holds study 'tested', not 'other'"):
        run(other, lambda: "y", tmp_path / "out")

    assert (tmp_path / "out" / "runs.csv").read_bytes() == before
    run(other, lambda: "y", tmp_path / "out", fresh=True)
    (aside,) = (path for path in tmp_path.iterdir() if path.name != "out")
    assert (aside / "runs.csv").read_bytes() == before


WAITING = """
import sys
from pathlib import Path
import penstock as ps
from tests.builders import make_study
from tests.defects.situations import Calls

folder = Path(sys.argv[1])
calls = Calls(folder / "calls")

def agent(ctx):
    calls.note(ctx)
    print("called", flush=True)
    sys.stdin.readline()
    return "x"

ps.run_study(
    make_study(replicates=5), agent_bindings={"agent-a": agent}, output_dir=folder / "out",
    show_progress=False,
)
"""


def test_a_second_process_on_a_directory_is_refused_and_told_who_holds_it(tmp_path: Path) -> None:
    """D08"""
    with start(script(tmp_path / "waiting.py", WAITING), tmp_path, stdin=True) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stdout.readline() == "called\n"
        holder = f"process {child.pid} on host {socket.gethostname()}"
        with pytest.raises(DirectoryInUseError, match=holder):
            run(make_study(replicates=5), lambda: "never called", tmp_path / "out")

        child.stdin.write("\n" * 20)
        child.stdin.close()
        child.stdout.read()

    assert child.returncode == 0
    assert set(Counter(Calls(tmp_path / "calls").all()).values()) == {1}
    assert len(Calls(tmp_path / "calls").all()) == 10


@pytest.mark.anyio
async def test_what_is_in_flight_when_a_study_fails_fast_ends_and_is_kept(tmp_path: Path) -> None:
    """D09"""
    started, stopping = [], anyio.Event()

    async def agent(ctx: ps.RunContext) -> dict[str, Any]:
        started.append(ctx.spec.run_id)
        if len(started) == 4:
            raise RuntimeError("the fourth fails")

        await stopping.wait()
        return {"output": "x", "metrics": {"cost_usd": 5.0}}

    study = make_study(replicates=6)
    runner = ps.StudyRunner(
        study,
        agent_bindings={"agent-a": agent},
        output_dir=tmp_path,
        parallelism=4,
        fail_fast=True,
    )
    runner.on(StudyStopping)(lambda _: stopping.set())
    summary = await runner.run()
    assert (len(started), summary.succeeded, summary.failed) == (4, 3, 1)
    assert summary.cost_usd == 15.0
    assert query(tmp_path, "SELECT sum(cost_usd), count(*) FROM runs") == [(15.0, 4)]
    again = await ps.arun_study(study, agent_bindings={"agent-a": agent}, output_dir=tmp_path)
    assert (again.summary.session.restored, again.summary.session.succeeded) == (3, 9)


def test_a_study_resumed_from_another_working_directory_finds_its_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D50"""
    home = tmp_path / "home"
    home.mkdir()
    (home / "two_agents.py").write_text(AGENTS)
    (home / "study.yaml").write_text(
        "study_id: here\ntitle: Here\nfactors: [{name: tone, levels: [a, b]}]\n"
        "agents: {worker: 'two_agents.py:one'}\nproblems: [{problem_id: p1}]\noutput_dir: results\n"
    )
    restored = []
    for folder in (home, tmp_path, Path("/")):
        monkeypatch.chdir(folder)
        study = ps.load_study(os.path.relpath(home / "study.yaml"))
        restored.append(ps.run_study(study, show_progress=False).summary.session.restored)

    assert restored == [0, 2, 2]
    (manifest,) = {row["manifest_path"] for row in read(home / "results" / "runs.csv")}
    assert (home / "results" / manifest).is_file()  # beside the table, wherever both are moved
