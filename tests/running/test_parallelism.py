"""Automatic concurrency in real studies."""

from __future__ import annotations

import resource
from itertools import count
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest

import penstock as ps
from penstock.events import LimitChanged
from penstock.models.openai.client import OpenAIChatModel
from penstock.running import parallelism
from penstock.running.scheduler import Scheduler
from penstock.simulator import SimulatedProvider, SimulatorOptions
from penstock.study.policies import RunBudget
from tests.artifacts import assert_same_artifacts
from tests.builders import Announced, make_study
from tests.models.loopback import REQUEST
from tests.models.studies import chat, chat_study, rows

pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time]

RETRY = ps.Retry(attempts=20, wait_s=0.05, max_wait_s=0.1)


class TooManyRequests(Exception):  # noqa: N818 - as a client of a provider calls it
    retry_after_s = 0.05
    status_code = 429


class Crowd:
    """An agent that refuses whoever comes when so many are there already."""

    def __init__(self, bears: int) -> None:
        self.bears = bears
        self.most = self.calls = self.refused = self._there = 0

    async def __call__(self, ctx: ps.RunContext) -> str:
        self.calls += 1
        if self._there >= self.bears:
            self.refused += 1
            raise TooManyRequests("come back later")

        self._there += 1
        self.most = max(self.most, self._there)
        try:
            await anyio.sleep(0.03)
        finally:
            self._there -= 1

        return str(ctx.rng.integers(1_000_000))


async def run(
    study: ps.Study, agent: Any, folder: Path, **options: Any
) -> tuple[ps.StudySummary, list[LimitChanged]]:
    given: dict[str, Any] = {"parallelism": "auto", "retry": RETRY, "output_dir": folder}
    runner = ps.StudyRunner(study, agent_bindings={"agent-a": agent}, **(given | options))
    changes: list[LimitChanged] = []
    runner.on(LimitChanged)(changes.append)
    return await runner.run(), changes


async def test_a_study_settles_at_what_its_agent_bears_and_nothing_is_lost(tmp_path: Path) -> None:
    agent = Crowd(bears=6)
    summary, changes = await run(make_study(replicates=300), agent, tmp_path)

    assert (summary.succeeded, summary.failed) == (600, 0)
    assert agent.most == 6
    assert agent.refused == summary.session.retried <= 0.1 * 600
    assert changes[0].limit == 16
    assert changes[0].reason.startswith("automatic; it grows to ")
    assert changes[1].limit == 8
    assert changes[1].reason == "agent-a was refused: TooManyRequests (http status 429)"


async def test_an_agent_that_keeps_up_gets_more(tmp_path: Path) -> None:
    async def agent(ctx: ps.RunContext) -> str:
        await anyio.sleep(0.3)
        return "done"

    summary, changes = await run(make_study(replicates=60), agent, tmp_path)

    assert summary.succeeded == 120
    assert [(change.limit, change.reason) for change in changes[1:2]] == [(32, "slow start")]


async def test_runs_that_only_wait_for_each_other_stay_few(tmp_path: Path) -> None:
    async def agent(ctx: ps.RunContext) -> str:
        async with ctx.limiter("one"):
            await anyio.sleep(0.002)

        return "done"

    summary, changes = await run(make_study(replicates=400), agent, tmp_path, limiters={"one": 1})

    assert summary.succeeded == 800
    assert max(change.limit for change in changes) <= 64
    assert any("times as long" in change.reason for change in changes)


async def test_results_are_the_same_bytes_as_one_by_one(tmp_path: Path) -> None:
    study = make_study(replicates=50)
    await run(study, Crowd(bears=6), tmp_path / "auto")
    await run(study, Crowd(bears=6), tmp_path / "one", parallelism=1)

    assert_same_artifacts(tmp_path / "auto", tmp_path / "one")


async def test_a_host_that_sets_a_number_ends_it(tmp_path: Path) -> None:
    study = make_study(replicates=300)
    agent = Crowd(bears=6)
    runner = ps.StudyRunner(
        study,
        agent_bindings={"agent-a": agent},
        output_dir=tmp_path,
        parallelism="auto",
        retry=RETRY,
    )
    changes: list[LimitChanged] = []

    @runner.on(LimitChanged)
    def take_over(event: LimitChanged) -> None:
        changes.append(event)
        if "was refused" in event.reason:
            runner.concurrency = 5

    summary = await runner.run()

    assert (summary.succeeded, runner.concurrency) == (600, 5)
    assert [change.reason for change in changes[2:]] == ["set by the host"]


async def test_the_study_file_may_say_auto(tmp_path: Path) -> None:
    study = make_study(run_budget=RunBudget(replicates=5, parallelism="auto"))
    summary, changes = await run(study, Crowd(bears=100), tmp_path, parallelism=None)

    assert summary.succeeded == 10
    assert [change.limit for change in changes] == [16]


async def test_a_number_has_no_subscriber(tmp_path: Path) -> None:
    runner = ps.StudyRunner(make_study(), agent_bindings={"agent-a": Crowd(9)}, output_dir=tmp_path)
    assert runner._parallelism.subscriptions == []
    assert runner._parallelism.gate() is None


def test_what_is_no_number_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ps.ValidationError, match=r"a whole number, or 'auto' \(got 'many'\)"):
        ps.StudyRunner(make_study(), parallelism="many", output_dir=tmp_path)  # type: ignore[arg-type]


def test_the_ceiling_leaves_room_among_the_open_files(monkeypatch: pytest.MonkeyPatch) -> None:
    for files, most in (
        (256, 192),
        (65, 1),
        (64, 1),
        (10**6, 1000),
        (resource.RLIM_INFINITY, 1000),
    ):
        monkeypatch.setattr(resource, "getrlimit", lambda _, files=files: (files, files))
        assert parallelism.most_in_flight() == most


async def test_a_provider_that_bears_so_many_calls_is_asked_for_no_more(tmp_path: Path) -> None:
    options = SimulatorOptions(latency_s=0.05, max_in_flight=24)
    async with SimulatedProvider(options) as provider, OpenAIChatModel(provider.url) as model:

        async def agent(ctx: ps.RunContext) -> str:
            return (await model.complete(REQUEST)).text or ""

        summary, changes = await run(make_study(replicates=400), agent, tmp_path)
        refused = provider.stats()["requests"] - 800

    assert (summary.succeeded, summary.failed) == (800, 0)
    assert refused == summary.session.retried <= 0.1 * 800
    assert all(change.limit <= 64 for change in changes)


async def test_a_provider_with_a_rate_limit_is_waited_for(tmp_path: Path) -> None:
    options = SimulatorOptions(latency_s=0.02, requests_per_minute=100, window_s=1.0)
    async with SimulatedProvider(options) as provider, OpenAIChatModel(provider.url) as model:

        async def agent(ctx: ps.RunContext) -> str:
            return (await model.complete(REQUEST)).text or ""

        summary, changes = await run(make_study(replicates=200), agent, tmp_path)

    assert (summary.succeeded, summary.failed) == (400, 0)
    assert summary.session.retried <= 0.25 * 400
    assert any("http status 429" in change.reason for change in changes)


async def test_behind_a_gate_the_gate_alone_is_cut(tmp_path: Path) -> None:
    options = SimulatorOptions(latency_s=0.05, max_in_flight=24)
    async with SimulatedProvider(options) as provider:
        study = chat_study(
            tmp_path,
            chat(provider.url),
            run_budget=RunBudget(replicates=100, parallelism="auto"),
        )
        summary, changes = await run(study, None, tmp_path / "results", parallelism=None)

    of_runs = [change for change in changes if change.endpoint is None]
    assert (summary.succeeded, summary.failed) == (200, 0)
    assert not any("refused" in change.reason for change in of_runs)
    assert len(rows(study, "SELECT * FROM attempts WHERE final")) == 200


async def held(limit: Any) -> tuple[int, list[LimitChanged]]:
    """Hold a scheduler of 4 at a limit twice; give its limit, and what was said."""
    announced = Announced()
    scheduler = Scheduler[int](no_work, 4)
    for _ in range(2):
        parallelism.Parallelism(4, scheduler, announced).hold_at(limit)
        await anyio.sleep(1.0)

    return scheduler.limit, announced.of(LimitChanged)


async def no_work(_: int) -> None: ...


@pytest.mark.field("engine-K2")
async def test_only_a_change_of_the_limit_is_said() -> None:
    assert await held(4) == (4, [])
    limit, said = await held(np.int64(7))
    assert (limit, [event.limit for event in said]) == (7, [7])


async def test_a_host_that_sets_what_the_automatic_limit_is_ends_it_all_the_same() -> None:
    announced = Announced()
    automatic = parallelism.Parallelism("auto", Scheduler[int](no_work, 16), announced)
    automatic.hold_at(16)
    await anyio.sleep(1.0)

    assert automatic.subscriptions == []
    assert [event.reason for event in announced.of(LimitChanged)] == ["set by the host"]


@pytest.mark.field("engine-K24")
@pytest.mark.parametrize("limit", [float("nan"), float("inf"), 0, -3, 2.5, "5", None])
async def test_a_limit_that_is_not_a_whole_number_is_refused(limit: Any) -> None:
    with pytest.raises(ps.ValidationError, match="concurrency must be a whole number >= 1, not"):
        await held(limit)


@pytest.mark.field("engine-K2")
async def test_subscribers_that_change_the_limit_at_each_change_do_not_feed_each_other(
    tmp_path: Path,
) -> None:
    async def answer(ctx: ps.RunContext) -> str:
        return "42"

    limits = count(1)

    async def steer(stream: ps.EventStream) -> None:
        async for _ in stream:
            if len(said) < 100_000:
                runner.concurrency = 1 + next(limits) % 7

    runner = ps.StudyRunner(
        make_study(replicates=50), agent_bindings={"agent-a": answer}, output_dir=tmp_path
    )
    said: list[LimitChanged] = []
    runner.on(LimitChanged)(said.append)
    for _ in range(3):
        runner.subscribe(steer)

    summary = await runner.run()

    assert summary.succeeded == 100
    assert len(said) < 10_000
