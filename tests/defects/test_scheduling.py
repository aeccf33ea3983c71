"""Known defects of such tools, part 3: starting, stopping and bounding runs."""

from __future__ import annotations

import concurrent.futures
import inspect
import itertools
import json
import signal
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from typer.testing import CliRunner

import penstock as ps
from penstock.cli import app
from penstock.events import RunsSaved
from penstock.planning import plan as planning_plan
from penstock.study.policies import RunBudget
from tests.builders import make_study
from tests.defects.situations import Calls, finish, query, read, run, script, start

INTERRUPTED = """
import sys
from pathlib import Path
import anyio
import penstock as ps
from penstock.events import StudyStopping
from tests.builders import make_study
from tests.defects.situations import Calls

folder = Path(sys.argv[1])
calls, stopping = Calls(folder / "calls"), anyio.Event()

async def agent(ctx):
    calls.note(ctx)
    if len(calls.all()) > 4:
        print("called", flush=True)
        await stopping.wait()

    return "x"

async def notice(stream):
    async for event in stream:
        if isinstance(event, StudyStopping):
            stopping.set()

ps.run_study(
    make_study(replicates=20), agent_bindings={"agent-a": agent}, output_dir=folder / "out",
    parallelism=2, subscribers=[notice], show_progress=False,
)
"""


def test_ctrl_c_starts_nothing_more_and_keeps_and_exports_what_was_made(tmp_path: Path) -> None:
    """D10"""
    with start(script(tmp_path / "study.py", INTERRUPTED), tmp_path) as child:
        assert child.stdout is not None
        for _ in range(2):
            assert child.stdout.readline() == "called\n"

        child.send_signal(signal.SIGINT)
        child.communicate(timeout=30)

    assert child.returncode == -signal.SIGINT
    calls = Calls(tmp_path / "calls")
    assert len(calls.all()) == 6
    kept = [row["run_id"] for row in read(tmp_path / "out" / "runs.csv")]
    assert sorted(kept) == sorted(calls.all())
    again = run(make_study(replicates=20), calls.note_and("x"), tmp_path / "out")
    assert again.summary.session.restored == 6
    assert set(Counter(calls.all()).values()) == {1}


async def _hangs_once(ctx: ps.RunContext) -> str:
    if (ctx.condition["tone"], ctx.spec.replicate) == ("a", 1):
        await anyio.sleep_forever()

    return "x"


def test_a_call_that_hangs_fails_alone_after_its_time(tmp_path: Path) -> None:
    """D11"""
    results = run(make_study(replicates=10), _hangs_once, tmp_path, timeout_s=0.2, parallelism=4)
    assert results.summary.succeeded == 19
    (failed,) = (row for row in read(tmp_path / "runs.csv") if row["status"] == "failed")
    assert failed["error_info"].startswith("AttemptTimeoutError: the agent did not answer within")


@pytest.mark.anyio
async def test_a_study_that_hangs_can_be_cancelled_and_is_exported(tmp_path: Path) -> None:
    """More of D11: without a time limit."""
    runner = ps.StudyRunner(
        make_study(replicates=10),
        agent_bindings={"agent-a": _hangs_once},
        output_dir=tmp_path,
        parallelism=4,
    )
    with anyio.fail_after(20), runner.watch(RunsSaved) as saved:
        async with anyio.create_task_group() as group:
            group.start_soon(runner.run)
            done = 0
            while done < 19:
                event = await anext(saved)
                assert isinstance(event, RunsSaved)
                done += len(event.run_ids)

            runner.stop()
            runner.cancel()

    assert len(read(tmp_path / "runs.csv")) == 19


_ENDS_PROGRAMS = [SystemExit, GeneratorExit, concurrent.futures.CancelledError]


@pytest.mark.parametrize(
    ("error", "is_async"),
    # In the main thread a KeyboardInterrupt is a person's, who wants the study to stop.
    [*itertools.product(_ENDS_PROGRAMS, (True, False)), (KeyboardInterrupt, False)],
)
def test_an_agent_that_raises_what_ends_programs_fails_its_own_run_only(
    tmp_path: Path, error: type[BaseException], is_async: bool
) -> None:
    """D29"""

    def fails(ctx: ps.RunContext) -> str:
        if (ctx.condition["tone"], ctx.spec.replicate) == ("a", 1):
            raise error

        return "x"

    async def fails_async(ctx: ps.RunContext) -> str:
        await anyio.lowlevel.checkpoint()
        return fails(ctx)

    agent = fails_async if is_async else fails
    results = run(make_study(replicates=4), agent, tmp_path, parallelism=4)
    assert (results.summary.succeeded, results.summary.failed) == (7, 1)
    (failed,) = (row for row in read(tmp_path / "runs.csv") if row["status"] == "failed")
    assert failed["error_info"] == f"{error.__name__}: "


def test_an_agent_that_raises_the_loops_own_cancellation_fails_its_own_run_only(
    tmp_path: Path,
) -> None:
    """More of D29: as a client does that times out inside."""

    async def agent(ctx: ps.RunContext) -> str:
        await anyio.lowlevel.checkpoint()
        if (ctx.condition["tone"], ctx.spec.replicate) == ("a", 1):
            raise anyio.get_cancelled_exc_class()

        return "x"

    results = run(make_study(replicates=4), agent, tmp_path, parallelism=4)
    assert (results.summary.succeeded, results.summary.failed) == (7, 1)
    assert len(read(tmp_path / "runs.csv")) == 8


MEASURED = """
import resource, sys
from pathlib import Path
import penstock as ps
from tests.builders import make_study

async def agent(ctx):
    return f"{ctx.spec.replicate:020000}"

def study(replicates):
    ps.run_study(
        make_study(("a",), replicates=replicates), agent_bindings={"agent-a": agent},
        output_dir=Path(sys.argv[1]) / str(replicates), parallelism=4, show_progress=False,
        checkpoint=False, report=False,  # a page has a test of its own, of its run table
    )
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

print(study(1000), study(3000))
"""


def test_memory_grows_with_what_is_in_flight_and_not_with_the_plan(tmp_path: Path) -> None:
    """D33: 2,000 more runs of 20 kB are 40 MB, of which nothing stays in memory."""
    few, many = map(int, finish(script(tmp_path / "study.py", MEASURED), tmp_path).split())
    assert many - few < 20_000  # kB


@pytest.mark.anyio
async def test_spending_and_calls_at_once_can_be_bounded(tmp_path: Path) -> None:
    """D34"""
    now = most = 0

    async def agent(ctx: ps.RunContext) -> str:
        nonlocal now, most
        async with ctx.limiter("provider"):
            now += 1
            most = max(most, now)
            await anyio.sleep(0.001)
            now -= 1

        ctx.record(cost_usd=100)
        return "x"

    runner = ps.StudyRunner(
        make_study(replicates=25),
        agent_bindings={"agent-a": agent},
        output_dir=tmp_path,
        parallelism=10,
        limiters={"provider": 3},
    )

    @runner.on(ps.RunFinished)
    def account(event: ps.RunFinished) -> None:
        if runner.summary.cost_usd >= 1000:
            runner.stop("the money is spent")

    summary = await runner.run()
    assert most == 3
    assert 1000 <= summary.cost_usd <= 1000 + 10 * 100
    assert summary.remaining >= 50 - 20


THOUSAND = """
import resource, sys, threading
from pathlib import Path
import penstock as ps
from tests.builders import make_study

STACK, ROOM_FOR = 64_000_000, 10  # bytes; threads
folder, most, lock = Path(sys.argv[1]), 0, threading.Lock()

def count():
    global most
    with lock:
        most = max(most, threading.active_count())

async def agent(ctx):
    count()
    return "x"

def blocking(ctx):
    count()
    return "x"

def study(name, agent):
    summary = ps.run_study(
        make_study(replicates=500), agent_bindings={"agent-a": agent},
        output_dir=folder / name, parallelism=1000, show_progress=False,
    ).summary
    print(summary.succeeded, summary.failed, most)

study("async", agent)
for thread in threading.enumerate():  # idle ones end, and would leave their stacks' room to others
    if thread is not threading.main_thread():
        thread.join()

threading.stack_size(STACK)
size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
room = ROOM_FOR * STACK + STACK * 7 // 8  # what is left is for the heap
resource.setrlimit(resource.RLIMIT_AS, (size + room,) * 2)
study("blocking", blocking)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux's /proc")
def test_a_thousand_runs_in_flight_need_no_thread_each_and_no_more_than_there_is_room_for(
    tmp_path: Path,
) -> None:
    """D43"""
    file = script(tmp_path / "study.py", THOUSAND)
    out = finish(file, tmp_path, env={"MALLOC_ARENA_MAX": "1"})  # else threads map more than stacks
    (ran, failed, threads), (blocking_ran, blocking_failed, blocking_threads) = (
        map(int, line.split()) for line in out.splitlines()
    )
    assert (ran, failed, blocking_ran, blocking_failed) == (1000, 0, 1000, 0)
    assert threads < 10
    assert 5 < blocking_threads <= 12


@pytest.mark.anyio
async def test_an_event_loop_lives_while_a_study_runs_in_it(tmp_path: Path) -> None:
    """D42"""
    beat = threading.Event()

    def blocking(ctx: ps.RunContext) -> str:
        beat.clear()
        return "the loop lives" if beat.wait(60) else "nothing else could run"

    async def go_on_beating() -> None:
        while True:
            await anyio.sleep(0.001)
            beat.set()

    async with anyio.create_task_group() as group:
        group.start_soon(go_on_beating)
        results = await ps.arun_study(
            make_study(replicates=2),
            agent_bindings={"agent-a": blocking},
            output_dir=tmp_path,
        )
        group.cancel_scope.cancel()

    assert [each.outputs["text"] for each in results] == ["the loop lives"] * 4


def test_a_plan_larger_than_its_budget_is_an_error_and_not_cut(tmp_path: Path) -> None:
    """D22"""
    study = make_study(("a", "b", "c", "d"), run_budget=RunBudget(replicates=3, max_runs=5))
    with pytest.raises(ps.ValidationError, match=r"Planned runs \(12\) exceed .* max_runs \(5\)"):
        run(study, lambda: "never called", tmp_path / "out")

    assert ps.validate_study(study)
    assert not (tmp_path / "out").exists()


def test_a_dry_run_finds_what_is_missing_and_the_command_line_says_that_runs_failed(
    tmp_path: Path,
) -> None:
    """D23"""
    with pytest.raises(ps.ValidationError) as found:
        ps.run_study(make_study(problem_ids=("p9",)), dry_run=True, output_dir=tmp_path / "out")

    assert [error.partition(" (")[0].partition(";")[0] for error in found.value.errors] == [
        "no problem is named 'p9'",
        "no agent is named 'agent-a'",
    ]
    assert not (tmp_path / "out").exists()
    (tmp_path / "failing_agents.py").write_text("def fails(ctx):\n    raise ValueError('no')\n")
    study = tmp_path / "study.json"
    study.write_text(
        json.dumps(
            {
                "study_id": "failing",
                "title": "All fails",
                "agents": {"one": "failing_agents.py:fails"},
                "problems": [{"problem_id": "p1"}],
                "output_dir": "out",
            }
        )
    )
    assert CliRunner().invoke(app, ["run", str(study)]).exit_code == 10


def test_a_failed_run_leaves_events_a_traceback_and_tables_that_can_be_analysed(
    tmp_path: Path,
) -> None:
    """D39"""

    def score(answer: Any) -> float:
        return 1.0

    def agent(ctx: ps.RunContext) -> str:
        if ctx.condition["tone"] == "a":
            raise ValueError("no answer")

        return "x"

    heard: list[str] = []

    async def listen(stream: ps.EventStream) -> None:
        heard.extend([type(event).__name__ async for event in stream])

    problem = ps.Problem(problem_id="p1", evaluator=score)
    run(make_study(problems=(problem,)), agent, tmp_path, subscribers=[listen])
    assert Counter(heard) == {
        "StudyStarted": 1,
        "RunStarted": 2,
        "RunFailed": 1,
        "RunSucceeded": 1,
        "RunsSaved": heard.count("RunsSaved"),
        "StudyFinished": 1,
    }
    failed, _ = read(tmp_path / "events.csv")
    assert (failed["event_type"], failed["text"]) == ("run_failed", "ValueError: no answer")
    assert len(failed["timestamp"].partition(".")[2]) == len("678901+00:00")
    ((traceback,),) = query(tmp_path, "SELECT traceback FROM attempt WHERE status = 'failed'")
    assert 'raise ValueError("no answer")' in traceback
    analysable = read(tmp_path / "analysis" / "runs.csv")
    assert [row["primary_outcome"] for row in analysable] == ["1.0"]
    (excluded,) = read(tmp_path / "analysis" / "excluded.csv")
    assert excluded["reason"] == "ValueError: no answer"


def test_nothing_is_written_for_a_run_before_it_is_made(tmp_path: Path) -> None:
    """D40"""
    found: list[set[str]] = []

    def agent(ctx: ps.RunContext) -> str:
        found.append({path.name for path in (tmp_path / "out").rglob("*")})
        return "x"

    run(make_study(replicates=50), agent, tmp_path / "out")
    assert found[0] >= {"study.sqlite"}
    assert len(found[0]) < 10


def test_what_is_worked_out_once_is_not_worked_out_for_every_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D37"""
    run(make_study(), lambda ctx: "x", tmp_path / "first")  # it imports what it uses
    counted: Counter[str] = Counter()
    for owner, name in ((inspect, "signature"), (planning_plan, "build_design")):
        real = getattr(owner, name)

        def counting(*args: Any, _real: Any = real, _name: str = name, **kwargs: Any) -> Any:
            counted[_name] += 1
            return _real(*args, **kwargs)

        monkeypatch.setattr(owner, name, counting)

    spent = []
    for replicates in (10, 300):
        run(make_study(replicates=replicates), lambda ctx: "x", tmp_path / str(replicates))
        spent.append(dict(counted))
        counted.clear()

    assert spent[0] == spent[1]
    assert spent[0]["build_design"] == 1


def test_planning_costs_the_same_for_each_level_and_no_memory_for_each_run() -> None:
    """D51: benchmarks/planning.py has the seconds that 100,000 levels take."""
    few, many = (min(_planning_s(levels) for _ in range(3)) for levels in (1_000, 8_000))
    assert many / few < 24, "8 if each level costs the same, 64 if each is sought among all"

    plan = ps.plan(make_study(replicates=600_000))
    assert len(plan) == 1_200_000
    iterated = iter(plan)
    next(iterated)
    in_memory = _traced_memory(iterated, 20_000)
    assert in_memory < 100_000
    assert next(iterated).position == 20_001
    assert plan[-1].position == 1_199_999
    assert threading.active_count() < 20


def _planning_s(levels: int) -> float:
    names = [f"level {number}" for number in range(levels)]
    begun = time.process_time()
    study = make_study(factors=(ps.Factor(name="tone", levels=names),))
    assert len(ps.plan(study)) == levels
    return time.process_time() - begun


def _traced_memory(iterator: Any, count: int) -> int:
    import tracemalloc

    tracemalloc.start()
    try:
        for _ in range(count):
            next(iterator)

        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
