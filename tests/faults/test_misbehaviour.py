"""Agents and subscribers that misbehave, each through a real study: isolated, typed, and told."""

from __future__ import annotations

import asyncio  # noqa: TID251 - what agents that misbehave use
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import anyio
import pytest

import penstock as ps
from penstock.events import RunAbandoned, SubscriberFailed
from tests.faults.conftest import IS_LONG, Prove
from tests.faults.study import RUNS, build_study, run, saved

BAD = "p2"
"""The problem at which the agent misbehaves: half of the runs."""


class Case(NamedTuple):
    """What an agent does at a bad problem, and what is to be kept of its error."""

    name: str
    do: Callable[[ps.RunContext], Any]
    error: str | None
    options: dict[str, Any] = {}  # noqa: RUF012 - read only


def raising(error: BaseException) -> Callable[[ps.RunContext], Any]:
    async def do(_: ps.RunContext) -> Any:
        raise type(error)(*error.args)

    return do


def returning(make: Callable[[], Any]) -> Callable[[ps.RunContext], Any]:
    async def do(_: ps.RunContext) -> Any:
        return make()

    return do


class Abrupt(BaseException):
    """An exception that is no Exception."""


def cycle() -> dict[str, Any]:
    ring: dict[str, Any] = {}
    ring["ring"] = ring
    return ring


def generator() -> Iterator[int]:
    yield 1


async def async_generator() -> AsyncIterator[int]:
    yield 1


def deep() -> int:
    return deep() + 1


async def recursing(_: ps.RunContext) -> Any:
    return deep()


async def swallowing(_: ps.RunContext) -> Any:
    try:
        await anyio.sleep(30)
    except BaseException:  # noqa: BLE001 - the fault
        return "in spite of it"


async def never_returning(_: ps.RunContext) -> Any:
    await anyio.sleep_forever()


async def blocking(_: ps.RunContext) -> Any:
    time.sleep(0.02)  # noqa: ASYNC251 - the fault
    return "late"


async def observing_much(ctx: ps.RunContext) -> Any:
    for number in range(10_000 if ctx.spec.replicate == 1 else 1):
        ctx.observe("step", f"step {number}")

    return "said it all"


async def leaking_tasks(_: ps.RunContext) -> Any:
    task = asyncio.ensure_future(asyncio.sleep(0.05))
    LEAKED.append(task)
    return "one is still running"


LEAKED: list[Any] = []


async def closing_the_executor(_: ps.RunContext) -> Any:
    await asyncio.get_running_loop().shutdown_default_executor()
    return "closed"


IN_TIME = {"timeout_s": 0.05}
CASES = [
    Case("raises BaseException", raising(Abrupt("abrupt")), "Abrupt"),
    Case("raises SystemExit", raising(SystemExit(3)), "SystemExit"),
    Case("raises GeneratorExit", raising(GeneratorExit()), "GeneratorExit"),
    Case("raises CancelledError", raising(asyncio.CancelledError()), "CancelledError"),
    Case("raises StopIteration", raising(StopIteration()), "RuntimeError"),
    Case("swallows its cancellation", swallowing, None, IN_TIME),
    Case("never returns", never_returning, "AttemptTimeoutError", IN_TIME),
    Case("recurses", recursing, "RecursionError"),
    Case("returns a generator", returning(generator), "OutputError"),
    Case("returns an async generator", returning(async_generator), "OutputError"),
    Case("returns a lock", returning(threading.Lock), "OutputError"),
    Case("returns a cycle", returning(cycle), "OutputError"),
    Case("returns lone surrogates", returning(lambda: "\ud800"), None),
    Case("returns NaN", returning(lambda: {"x": float("nan")}), None),
    Case("blocks the loop", blocking, None),
    Case("observes 10,000 times", observing_much, None),
    Case("leaks tasks", leaking_tasks, None),
    Case("closes the default executor", closing_the_executor, None),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "-"))
def test_an_agent_that_misbehaves_costs_its_own_runs_and_no_other(
    case: Case, tmp_path: Path, proved: Prove
) -> None:
    async def agent(ctx: ps.RunContext) -> Any:
        return await case.do(ctx) if ctx.problem.problem_id == BAD else "fine"

    result = run(tmp_path, agent, **case.options)
    bad = [each for each in result if each.spec.problem_id == BAD]
    kinds = {each.error.kind if each.error else None for each in bad}
    failed = 0 if case.error is None else RUNS // 2
    assert kinds <= {case.error}, kinds
    assert (result.summary.failed, result.summary.succeeded) == (failed, RUNS - failed)
    assert result.summary.remaining == 0
    assert saved(tmp_path) == RUNS - failed
    for task in LEAKED:
        task.cancel()

    proved(
        "an agent that misbehaves",
        "its own runs fail, typed, or are kept; all others succeed; the study ends",
        "{ways:.0f} ways, each in half of {runs:.0f} runs",
        ways=1,
        runs=0 if case is not CASES[0] else RUNS,
    )


def test_an_answer_of_many_megabytes_is_kept(tmp_path: Path) -> None:
    length = 100_000_000 if IS_LONG else 20_000_000

    async def agent(_: ps.RunContext) -> str:
        return "x" * length

    study = build_study(factors=[], problems=[ps.Problem(problem_id="p")], run_budget={})
    (result,) = run(tmp_path, agent, study=study)
    assert len(result.outputs["text"]) == length


@pytest.mark.parametrize(
    "error",
    [Abrupt("abrupt"), SystemExit(3), GeneratorExit(), asyncio.CancelledError(), ValueError("no")],
    ids=lambda error: type(error).__name__,
)
def test_a_subscriber_that_misbehaves_is_switched_off_and_the_study_goes_on(
    error: BaseException, tmp_path: Path, proved: Prove
) -> None:
    told: list[SubscriberFailed] = []

    async def subscriber(stream: ps.EventStream) -> None:
        async for _ in stream:
            raise error

    async def witness(stream: ps.EventStream) -> None:
        told.extend([event async for event in stream if isinstance(event, SubscriberFailed)])

    async def agent(_: ps.RunContext) -> str:
        return "fine"

    assert run(tmp_path, agent, subscribers=[subscriber, witness]).summary.succeeded == RUNS
    assert [each.error.partition(":")[0] for each in told] == [type(error).__name__]
    proved(
        "a subscriber that raises",
        "it is switched off and `SubscriberFailed` says so; the study goes on",
        "{ways:.0f} kinds of error",
        ways=1,
    )


@pytest.mark.anyio
async def test_a_run_that_ignores_its_cancellation_past_the_grace_is_abandoned_and_named(
    tmp_path: Path, proved: Prove
) -> None:
    deaf, release = anyio.Event(), anyio.Event()

    async def agent(ctx: ps.RunContext) -> str:
        while not release.is_set():
            try:
                deaf.set()
                await release.wait()
            except BaseException:  # noqa: BLE001 - the fault
                continue

        return "at last"

    study = build_study(factors=[], problems=[ps.Problem(problem_id="p")], run_budget={})
    runner = ps.StudyRunner(
        study, agent_bindings={"agent": agent}, output_dir=tmp_path, grace_s=0.05
    )
    named: list[str] = []

    @runner.on(RunAbandoned)
    def name(event: RunAbandoned) -> None:
        named.append(event.run_id)

    async with anyio.create_task_group() as group:
        group.start_soon(runner.run)
        await deaf.wait()
        runner.cancel()

    release.set()
    assert named == [runner.plan.at(0).run_id]
    assert runner.summary.remaining == 1
    proved(
        "a run that ignores its cancellation",
        "abandoned after the grace and named; the study ends without it",
        "{n:.0f} run, grace of 0.05 s",
        n=1,
    )
