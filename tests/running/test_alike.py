from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from aiohttp import web

import penstock as ps
from penstock.agents import RunOutput
from penstock.errors import SkipRun
from penstock.events import RunsLeft, StudyStopping
from penstock.planning.plan import RunSpec
from tests.builders import make_study
from tests.models.loopback import answers, http_server
from tests.models.studies import chat, chat_study

PROBLEMS = tuple(ps.Problem(problem_id=f"p{n}", brief="6 x 7?") for n in range(10))

Agent = Callable[[ps.RunContext], Awaitable[str]]


async def good(_: ps.RunContext) -> str:
    return "42"


async def bad(_: ps.RunContext) -> str:
    raise LookupError("no such model")


class Session:
    """One session of a study of forty runs an agent, with whose runs it began."""

    def __init__(self, folder: Path, agents: dict[str, Agent], **options: Any) -> None:
        self.begun: Counter[str] = Counter()
        fields = {"problems": PROBLEMS, **options.pop("fields", {})}
        study = make_study(replicates=2, agent_specs=tuple(agents), **fields)
        bound = {name: self._counting(agent) for name, agent in agents.items()}
        self.runner = ps.StudyRunner(study, agent_bindings=bound, output_dir=folder, **options)
        self.left: list[RunsLeft] = []
        self.stops: list[str] = []
        self.runner.on(RunsLeft)(self.left.append)
        self.runner.on(StudyStopping)(lambda event: self.stops.append(event.reason))

    def _counting(self, agent: Agent) -> Agent:
        async def count(ctx: ps.RunContext) -> str:
            self.begun[ctx.spec.agent_id] += 1
            return await agent(ctx)

        return count

    def run(self) -> ps.StudySummary:
        return anyio.run(self.runner.run)


@pytest.mark.field("models-F13")
def test_a_study_whose_first_twenty_runs_fail_alike_is_stopped_with_that_sentence(
    tmp_path: Path,
) -> None:
    session = Session(tmp_path, {"bad": bad})
    summary = session.run()

    assert session.begun == {"bad": 20}
    assert (summary.failed, summary.remaining) == (20, 20)
    assert session.runner.cannot_go_on
    assert session.stops == [summary.stopped_because]
    assert "the first 20 runs of agent 'bad' all failed with LookupError" in session.stops[0]
    assert "LookupError: no such model" in session.stops[0]


@pytest.mark.field("models-F13")
def test_the_other_agents_go_on_and_the_left_runs_are_made_by_a_later_session(
    tmp_path: Path,
) -> None:
    session = Session(tmp_path, {"bad": bad, "good": good})
    summary = session.run()
    mended = Session(tmp_path, {"bad": good, "good": good})

    assert session.begun == {"bad": 20, "good": 40}
    assert [(left.agent_id, left.model) for left in session.left] == [("bad", None)]
    assert summary.stopped_because == session.left[0].reason
    assert (session.stops, session.runner.cannot_go_on) == ([], False)
    assert mended.run().succeeded == 80
    assert mended.begun == {"bad": 40}


@pytest.mark.parametrize(("first", "begun"), [(5, 5), (0, 40), (41, 40)])
def test_the_study_says_how_many_are_enough_and_0_means_never(
    first: int, begun: int, tmp_path: Path
) -> None:
    session = Session(tmp_path, {"bad": bad}, stop_alike=first)
    session.run()

    assert session.begun == {"bad": begun}


async def fails_in_two_ways(ctx: ps.RunContext) -> str:
    raise LookupError if ctx.spec.problem_id == "p7" else ValueError


async def fails_but_once(ctx: ps.RunContext) -> str:
    return await (good if ctx.spec.problem_id == "p7" else bad)(ctx)


async def skips_once(ctx: ps.RunContext) -> str:
    raise SkipRun if ctx.spec.problem_id == "p7" else ValueError


@pytest.mark.parametrize("agent", [fails_in_two_ways, fails_but_once, skips_once])
def test_what_fails_in_two_ways_or_ends_otherwise_but_once_is_not_left(
    agent: Agent, tmp_path: Path
) -> None:
    session = Session(tmp_path, {"mixed": agent}, fields={"run_order": "as_designed"})
    session.run()

    assert session.begun == {"mixed": 40}


def test_failures_over_two_problems_of_many_may_be_those_problems_own(tmp_path: Path) -> None:
    async def bad_at_first(ctx: ps.RunContext) -> str:
        return await (bad if ctx.spec.problem_id in {"p0", "p1"} else good)(ctx)

    only = ps.Selection(problems=("p0", "p1"))
    two = Session(tmp_path / "two", {"bad": bad_at_first}, stop_alike=3, only=only)
    all_two = Session(
        tmp_path / "all", {"bad": bad}, stop_alike=3, fields={"problems": PROBLEMS[:2]}
    )
    two.run()
    all_two.run()

    assert two.begun == {"bad": 8}
    assert all_two.begun == {"bad": 3}


def test_a_success_that_takes_longer_than_failures_is_waited_for(tmp_path: Path) -> None:
    others_have_failed = anyio.Event()
    calls = Counter[str]()

    async def slow_at_first(ctx: ps.RunContext) -> str:
        calls["all"] += 1
        if calls["all"] == 1:
            await others_have_failed.wait()
            return "42"

        if calls["all"] == 40:
            others_have_failed.set()

        return await bad(ctx)

    session = Session(tmp_path, {"slow": slow_at_first}, stop_alike=3, concurrency=2)
    summary = session.run()

    assert (summary.failed, summary.succeeded) == (39, 1)


def test_retries_belong_to_their_run_and_those_that_wait_are_left_too(tmp_path: Path) -> None:
    retry = ps.Retry(attempts=2, wait_s=0.0)
    session = Session(tmp_path, {"bad": bad}, stop_alike=4, retry=retry, concurrency=4)
    summary = session.run()

    assert 4 <= summary.failed < 12
    assert session.begun["bad"] < 24


def test_a_condition_runner_is_watched_as_an_agent_is(tmp_path: Path) -> None:
    def condition_runner(_: RunSpec, __: ps.Condition) -> RunOutput:
        raise LookupError("no simulator")

    study = make_study(range(30), problems=(), agent_specs=())
    result = ps.run_study(study, condition_runner=condition_runner, output_dir=tmp_path)

    assert result.summary.failed == 20
    assert "the condition runner all failed" in str(result.summary.stopped_because)


@pytest.mark.field("models-F13")
def test_a_model_that_does_not_exist_is_left_and_another_of_the_same_agent_goes_on(
    tmp_path: Path,
) -> None:
    asked = Counter[str]()

    async def provider(request: web.Request) -> web.StreamResponse:
        model = (await request.json())["model"]
        asked[model] += 1
        if model == "there":
            return await answers()(request)

        error = {"message": "The model `gone` does not exist", "code": "model_not_found"}
        return web.json_response({"error": error}, status=404)

    async def run() -> ps.StudySummary:
        async with http_server(provider) as url:
            agents = {"gpt": chat(url, model="{{ condition.tone }}")}
            study = chat_study(tmp_path, agents["gpt"], levels=("gone", "there"), replicates=6)
            return await ps.StudyRunner(study, stop_alike=4).run()

    summary = anyio.run(run)

    assert asked == {"gone": 4, "there": 6}
    assert "agent 'gpt' with model 'gone' all failed" in str(summary.stopped_because)


def test_a_run_is_asked_once_which_model_it_asks(tmp_path: Path) -> None:
    asked = Counter[str]()

    async def run() -> None:
        async with http_server(answers(status=500)) as url:
            agent = chat(url, model="{{ condition.tone }}")
            study = chat_study(tmp_path, agent, replicates=2)
            runner = ps.StudyRunner(study, retry=ps.Retry(attempts=3, wait_s=0.0))
            gpt: Any = runner.bindings.agents["gpt"]
            model_of = gpt.model_of

            def counted(spec: RunSpec, *rest: Any) -> str | None:
                asked[spec.run_id] += 1
                name: str | None = model_of(spec, *rest)
                return name

            gpt.model_of = counted
            await runner.run()

    anyio.run(run)

    assert set(asked.values()) == {1}
    assert len(asked) == 4
