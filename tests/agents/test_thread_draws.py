"""A plain agent that draws from the global generators is not repeatable, and that is said."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import structlog

import penstock as ps
from penstock.agents import RunOutput
from penstock.agents.global_random import global_random
from penstock.agents.thread_draws import ThreadDraws, _host_states
from penstock.planning.plan import RunSpec
from tests.builders import make_context, make_study

pytestmark = pytest.mark.anyio


def drawing(ctx: ps.RunContext) -> str:
    return str(random.random())


def drawing_from_numpy(ctx: ps.RunContext) -> str:
    return str(np.random.standard_normal())


def seeding(ctx: ps.RunContext) -> str:
    random.seed(ctx.seed)
    return str(random.random())


class Drawing:
    def run(self, ctx: ps.RunContext) -> str:
        return str(random.random())


def drawing_and_failing(ctx: ps.RunContext) -> str:
    raise ValueError(str(random.random()))


def drawing_from_its_run(ctx: ps.RunContext) -> str:
    return str(ctx.rng.random())


def drawing_from_its_own(ctx: ps.RunContext) -> str:
    return str(random.Random(ctx.seed).random())


async def isolated(ctx: ps.RunContext) -> str:
    return str(random.random())


class Quiet:
    def run(self, ctx: ps.RunContext) -> str:
        return "42"


async def said(tmp_path: Path, agents: dict[str, Any], **options: Any) -> list[Any]:
    """Run a study of two runs of each agent, and return what was said of random numbers."""
    study = make_study(agent_specs=tuple(agents), run_order="as_designed")
    given = {"agent_bindings": agents, "output_dir": tmp_path, **options}
    with structlog.testing.capture_logs() as logs:
        await ps.arun_study(study, **given)

    return [each for each in logs if each["event"] == "agent.random_not_repeatable"]


@pytest.mark.field("studies-P12")
@pytest.mark.parametrize(
    "agent",
    [drawing, drawing_from_numpy, seeding, Drawing, Drawing(), drawing_and_failing],
)
async def test_an_agent_in_a_thread_that_draws_from_the_process_is_named_once(
    tmp_path: Path, agent: Any
) -> None:
    (told,) = await said(tmp_path, {"mine": agent})

    assert (told["agents"], told["log_level"]) == ("mine", "warning")
    assert "ctx.rng" in told["what_to_do"]


@pytest.mark.field("studies-P12")
async def test_who_draws_from_the_run_or_is_isolated_is_not(tmp_path: Path) -> None:
    agents = {
        "of its run": drawing_from_its_run,
        "of its own": drawing_from_its_own,
        "isolated": isolated,
        "quiet": Quiet,
    }
    assert await said(tmp_path, agents) == []
    assert await said(tmp_path / "more", agents, concurrency=8) == []


async def test_agents_at_work_together_of_which_one_draws_are_named_together(
    tmp_path: Path,
) -> None:
    both = threading.Barrier(2)

    def meeting(draw: Callable[[], float]) -> Callable[..., str]:
        def agent(ctx: ps.RunContext) -> str:
            both.wait(30)
            number = draw()
            both.wait(30)
            return str(number)

        return agent

    agents = {"draws": meeting(random.random), "does not": meeting(lambda: 0.5)}
    (told,) = await said(tmp_path, agents, concurrency=2)

    assert told["agents"] == "does not, draws"


async def test_whoever_switches_isolation_off_is_told_nothing(tmp_path: Path) -> None:
    assert await said(tmp_path, {"mine": drawing}, isolate_random=False) == []


async def test_a_condition_runner_is_told_too(tmp_path: Path) -> None:
    def run(spec: RunSpec, condition: ps.Condition) -> RunOutput:
        return RunOutput(outputs={"text": str(random.random())})

    study = make_study(agent_specs=(), problems=())
    with structlog.testing.capture_logs() as logs:
        await ps.arun_study(study, condition_runner=run, output_dir=tmp_path)

    assert [each["agents"] for each in logs if "agents" in each] == ["condition_runner"]


def test_the_states_of_the_host_are_known_within_a_step_of_a_run() -> None:
    turn = global_random().turn
    assert turn.host is None
    turn.host = "the host's"
    try:
        assert _host_states() == "the host's"
    finally:
        turn.host = None


def test_where_another_event_loop_has_the_generators_nothing_is_known() -> None:

    turn, taken, go_on = global_random().turn, threading.Event(), threading.Event()

    def other_loop() -> None:
        assert turn.take()
        taken.set()
        go_on.wait(30)
        turn.give_back()

    thread = threading.Thread(target=other_loop)
    thread.start()
    taken.wait(30)
    with structlog.testing.capture_logs() as logs:
        with ThreadDraws().watched("mine", make_context()):
            random.random()

        go_on.set()
        thread.join()

    assert logs == []
