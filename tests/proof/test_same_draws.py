"""Studies whose agents draw from the global random generators give the same answers."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import gauss
from random import random as captured
from typing import Any

import anyio
import anyio.lowlevel
import numpy as np
import pytest
from numpy.random import randn

import penstock as ps
from penstock.agents import per_condition
from penstock.study.policies import RunOrder
from tests.artifacts import assert_same_artifacts
from tests.builders import make_study

pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time]


@pytest.fixture(autouse=True)
def _host_state_is_untouched() -> Iterator[None]:
    random.seed("the host's")
    np.random.seed(77)
    before = random.getstate(), repr(np.random.get_state())
    yield
    assert (random.getstate(), repr(np.random.get_state())) == before


def first_draw(seed: int) -> float:
    return random.Random(seed).random()


async def study_agent(ctx: ps.RunContext) -> dict[str, Any]:
    drawn = [captured(), float(np.random.random())]
    await anyio.lowlevel.checkpoint()
    drawn.append(gauss(0, 1))
    await anyio.sleep(0.001)
    drawn.append(random.uniform(0, 1))
    drawn.append(float(randn()))
    if ctx.seed % 5 == 0:
        np.random.seed(3)
        await anyio.lowlevel.checkpoint()
        drawn.append(float(np.random.random()))

    return {"x": drawn}


def score(drawn: list[float]) -> dict[str, float]:
    return {"total": sum(drawn)}


def random_study(**fields: Any) -> ps.Study:
    problem = ps.Problem(problem_id="p1", evaluator=score)
    return make_study("abcde", replicates=120, problems=(problem,), **fields)


async def run(folder: Path, study: ps.Study, concurrency: int, **options: Any) -> ps.StudyResult:
    return await ps.arun_study(
        study,
        **{"agent_bindings": {"agent-a": study_agent}, **options},
        output_dir=folder,
        parallelism=concurrency,
        show_progress=False,
    )


async def test_a_study_gives_the_same_bytes_at_concurrency_1_7_and_500(tmp_path: Path) -> None:
    for concurrency in (1, 7, 500):
        results = await run(tmp_path / str(concurrency), random_study(), concurrency)
        assert results.summary.succeeded == 600

    outputs = [result.outputs for result in results]
    assert len({str(each) for each in outputs}) == 600
    assert_same_artifacts(tmp_path / "1", tmp_path / "7")
    assert_same_artifacts(tmp_path / "1", tmp_path / "500")


async def test_the_order_of_execution_changes_no_answer(tmp_path: Path) -> None:
    written = []
    for order in (RunOrder.SHUFFLED, RunOrder.AS_DESIGNED):
        await run(tmp_path / order, random_study(run_order=order), 50)
        written.append((tmp_path / order / "evaluations.csv").read_bytes())

    assert written[0] == written[1]


async def test_an_interruption_and_a_resume_change_no_answer(tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    await run(whole, random_study(), 7)
    runner = ps.StudyRunner(
        random_study(),
        agent_bindings={"agent-a": study_agent},
        output_dir=parts,
        parallelism=20,
        show_progress=False,
    )
    finished = 0

    @runner.on(ps.RunFinished)
    def stop(_: ps.RunFinished) -> None:
        nonlocal finished
        finished += 1
        if finished == 100:
            runner.stop()

    await runner.run()
    assert 100 <= runner.summary.succeeded < 600
    results = await run(parts, random_study(), 500)
    assert results.summary.session.restored == runner.summary.succeeded
    assert (whole / "evaluations.csv").read_bytes() == (parts / "evaluations.csv").read_bytes()


async def test_two_studies_in_one_event_loop_do_not_disturb_each_other(tmp_path: Path) -> None:
    await run(tmp_path / "alone", random_study(), 7)
    async with anyio.create_task_group() as group:
        for name in ("one", "two"):
            group.start_soon(run, tmp_path / name, random_study(), 100)

    assert_same_artifacts(tmp_path / "alone", tmp_path / "one")
    assert_same_artifacts(tmp_path / "alone", tmp_path / "two")


async def test_attempts_that_fail_or_time_out_change_no_answer(tmp_path: Path) -> None:
    async def failing(ctx: ps.RunContext) -> dict[str, Any]:
        if ctx.attempt == 1 and ctx.spec.replicate % 3 == 0:
            captured()
            raise ConnectionError

        if ctx.attempt == 1 and ctx.spec.replicate % 3 == 1:
            np.random.random()
            await anyio.sleep_forever()

        return await study_agent(ctx)

    await run(tmp_path / "smooth", random_study(), 1)
    results = await run(
        tmp_path / "rough",
        random_study(),
        500,
        agent_bindings={"agent-a": failing},
        timeout_s=0.5,
        retry=ps.Retry(attempts=2, wait_s=0.001),
    )
    assert results.summary.session.retried == 400
    smooth, rough = (tmp_path / name / "evaluations.csv" for name in ("smooth", "rough"))
    assert smooth.read_bytes() == rough.read_bytes()


async def test_agents_that_are_built_for_each_run_are_isolated_with_what_builds_them(
    tmp_path: Path,
) -> None:
    class Drawing:
        def __init__(self) -> None:
            self.drawn = [captured()]

        async def run(self, ctx: ps.RunContext) -> dict[str, Any]:
            await anyio.lowlevel.checkpoint()
            return {"x": [*self.drawn, captured()]}

    builder = per_condition(lambda _: Drawing())
    for name, agent in (("class", Drawing), ("builder", builder)):
        await run(tmp_path / name, random_study(), 50, agent_bindings={"agent-a": agent})

    assert_same_artifacts(tmp_path / "class", tmp_path / "builder")


async def test_what_a_plain_function_gives_to_be_awaited_is_isolated(tmp_path: Path) -> None:
    async def later() -> float:
        await anyio.lowlevel.checkpoint()
        return captured()

    agent = ps.agent(lambda ctx: later())
    results = await run(tmp_path, random_study(), 100, agent_bindings={"agent-a": agent})
    for result in results:
        assert result.outputs == {"value": first_draw(result.spec.seed)}


async def test_without_isolation_agents_share_the_hosts_generators(tmp_path: Path) -> None:
    kept = random.getstate(), np.random.get_state()
    expected = captured()
    random.setstate(kept[0])

    async def sharing(ctx: ps.RunContext) -> float:
        return captured()

    options: dict[str, Any] = {"agent_bindings": {"agent-a": sharing}, "isolate_random": False}
    results = await run(tmp_path, make_study(["a"]), 1, **options)
    assert results[0].outputs == {"value": expected}
    random.setstate(kept[0])


def test_a_study_leaves_the_hosts_generators_alone_also_when_it_is_the_first(
    tmp_path: Path,
) -> None:
    """Libraries draw when they are imported, which happens once a process."""
    code = (
        "import random; random.seed(1); before = random.getstate()\n"
        "import penstock as ps\n"
        "async def agent(ctx): ctx.log.debug('drawing'); return random.random()\n"
        "study = ps.Study(study_id='s', title='t', agent_specs=['a'], problem_ids=['p'],\n"
        "    factors=[ps.Factor(name='f', levels=[1])])\n"
        "result = ps.run_study(study, agent_bindings={'a': agent}, show_progress=True)[0]\n"
        "assert random.getstate() == before\n"
        "assert result.outputs['value'] == random.Random(result.spec.seed).random()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
