"""Agents in worker processes."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest

import penstock as ps
from penstock._base.threads import WorkerThreads
from penstock.agents import in_worker_process, per_condition
from penstock.agents.shapes import bind_agent
from penstock.agents.workers import SENDABLE
from penstock.errors import BindingError
from penstock.study.references import load_reference
from tests import worker_agents
from tests.builders import make_context, make_study

pytestmark = pytest.mark.anyio


async def answer(agent: Any, ctx: ps.RunContext | None = None) -> Any:
    return await bind_agent("a", agent, WorkerThreads(1))(ctx or make_context())


def first_draws(seed: int) -> list[float]:
    return [random.Random(seed).random(), float(np.random.RandomState(seed).random())]


async def test_a_worker_draws_as_a_process_that_was_seeded_with_the_seed_of_the_run() -> None:
    ctx = make_context()
    before = random.getstate()
    given = await answer(worker_agents.drawing, ctx)
    assert given["draws"] == first_draws(ctx.seed)
    assert given["process"] != os.getpid()
    assert given["seed"] == ctx.seed
    assert given["tone"] == ctx.condition["tone"]
    assert given["brief"] == ctx.problem.brief
    assert given["request_id"] == ctx.spec.run_id
    assert random.getstate() == before


async def test_every_run_of_a_study_draws_its_own_numbers_whichever_worker_it_gets(
    tmp_path: Path,
) -> None:
    results = await ps.arun_study(
        make_study(replicates=4),
        agent_bindings={"agent-a": worker_agents.drawing},
        output_dir=tmp_path,
        parallelism=8,
        show_progress=False,
    )
    assert results.summary.succeeded == 8
    for result in results:
        assert result.outputs["draws"] == first_draws(result.spec.seed)


async def test_a_function_that_takes_anything_gets_all_that_can_be_sent() -> None:
    assert await answer(worker_agents.asking_for_anything) == sorted(SENDABLE)


async def test_what_a_worker_raises_is_raised_here() -> None:
    with pytest.raises(LookupError, match="no "):
        await answer(worker_agents.raising)


async def test_a_worker_that_dies_is_an_error_of_its_run() -> None:
    with pytest.raises(anyio.BrokenWorkerProcess):
        await answer(worker_agents.dying)


async def test_a_run_that_is_cancelled_ends_its_worker(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    ctx = make_context(problem=ps.Problem(problem_id="p1", brief=str(pipe)))
    async with anyio.create_task_group() as group:
        group.start_soon(answer, worker_agents.hanging, ctx)
        process = int(await anyio.to_thread.run_sync(pipe.read_text))
        group.cancel_scope.cancel()

    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


async def test_a_function_of_a_module_can_be_marked_where_it_is_bound() -> None:
    ctx = make_context()
    drawn = await answer(in_worker_process(worker_agents.plain), ctx)
    assert drawn == first_draws(ctx.seed)[0]


async def test_a_function_within_a_class_can_be_bound() -> None:
    ctx = make_context()
    drawn = await answer(in_worker_process(worker_agents.Kept.inside), ctx)
    assert drawn == first_draws(ctx.seed)[0]


async def test_a_function_of_a_file_beside_the_study_can_be_bound(tmp_path: Path) -> None:
    (tmp_path / "agents.py").write_text(
        "import random\nfrom penstock.agents import in_worker_process\n\n"
        "@in_worker_process\ndef agent(seed):\n"
        "    return random.random()\n"
    )
    ctx = make_context()
    agent = load_reference("agents.py:agent", tmp_path)
    assert await answer(agent, ctx) == first_draws(ctx.seed)[0]


async def test_a_builder_may_give_a_function_for_worker_processes() -> None:
    ctx = make_context()
    builder = per_condition(lambda _: worker_agents.drawing)
    assert (await answer(builder, ctx))["draws"] == first_draws(ctx.seed)


def test_a_marked_function_can_still_be_called() -> None:
    assert worker_agents.asking_for_anything(seed=1) == ["seed"]
    assert worker_agents.drawing.__name__ == "drawing"


@pytest.mark.parametrize("parameter", ["ctx", "context", "rng", "dependencies", "seed, /"])
def test_what_cannot_be_sent_is_refused_before_the_first_run(parameter: str) -> None:
    names: dict[str, Any] = {"__name__": worker_agents.__name__}
    exec(f"def agent({parameter}): ...", names)
    worker_agents.agent = names["agent"]  # type: ignore[attr-defined]
    try:
        with pytest.raises(BindingError, match="cannot be sent to a worker process"):
            bind(in_worker_process(names["agent"]))
    finally:
        del worker_agents.agent  # type: ignore[attr-defined]


def bind(agent: Any) -> None:
    bind_agent("a", agent, WorkerThreads())


def test_a_function_that_a_worker_cannot_import_is_refused() -> None:
    def local(seed: int) -> int:
        return seed

    with pytest.raises(BindingError, match="defined at the top of a module"):
        bind(in_worker_process(local))


async def coroutine_function(seed: int) -> int:
    return seed


@pytest.mark.parametrize("agent", [coroutine_function, random.Random, "text"])
def test_what_is_no_plain_function_is_refused(agent: Any) -> None:
    with pytest.raises(BindingError, match="not a plain function"):
        bind(in_worker_process(agent))
