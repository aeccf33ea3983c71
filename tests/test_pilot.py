"""A pilot: a session that makes some of the runs, and later ones that go on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import penstock as ps
from penstock.events import StudyStarted
from tests.builders import make_study

pytestmark = pytest.mark.anyio


async def run(directory: Path, **options: Any) -> tuple[list[str], ps.StudyRunner]:
    """Run a study of 24 runs, and tell which it called."""
    called: list[str] = []

    async def agent(ctx: ps.RunContext) -> str:
        called.append(ctx.spec.run_id)
        return "42"

    problems = tuple(ps.Problem(problem_id=f"p{number}") for number in range(3))
    study = make_study(problems=problems, replicates=4, evaluators={"right": scored})
    runner = ps.StudyRunner(
        study, agent_bindings={"agent-a": agent}, output_dir=directory, **options
    )
    await runner.run()
    return called, runner


scored: dict[str, Any] = {"regex": {"pattern": "42"}}


@pytest.mark.field("studies-N8")
async def test_a_limit_is_of_runs_in_all_and_a_later_session_goes_on(tmp_path: Path) -> None:
    pilot = ps.Selection(limit=5)
    called, runner = await run(tmp_path, only=pilot)
    assert len(called) == 6  # three blocks of two conditions
    assert runner.summary.stopped_because == "limit"
    assert runner.summary.remaining == runner.left_out == 18

    again, runner = await run(tmp_path, only=pilot)
    assert again == []
    assert runner.summary.stopped_because == "limit"

    rest, runner = await run(tmp_path)
    assert len(rest) == 18
    assert not set(rest).intersection(called)
    assert (runner.summary.stopped_because, runner.summary.remaining) == (None, 0)
    assert runner.left_out == 0


async def test_a_pilot_of_problems_has_all_that_is_done_with_them(tmp_path: Path) -> None:
    called, runner = await run(tmp_path, only=ps.Selection(first_problems=1))
    assert len(called) == 8
    assert runner.summary.stopped_because == "limit"


async def test_a_selection_that_holds_everything_leaves_nothing_out(tmp_path: Path) -> None:
    _, runner = await run(tmp_path, only=ps.Selection(limit=1000))
    assert runner.left_out == 0
    assert runner.summary.stopped_because is None


async def test_answers_are_scored_again_and_nothing_else_is_made(tmp_path: Path) -> None:
    await run(tmp_path, only=ps.Selection(limit=5))
    called, runner = await run(tmp_path, rescore=True, only=ps.Selection(is_answered=True))
    assert called == []
    assert runner.left_out == 18
    assert runner.summary.stopped_because == "selection"


async def test_a_session_says_what_it_leaves_out(tmp_path: Path) -> None:
    heard: list[StudyStarted] = []

    async def listen(stream: ps.EventStream) -> None:
        heard.extend([event async for event in stream if isinstance(event, StudyStarted)])

    await run(tmp_path, only=ps.Selection(limit=5), subscribers=[listen])
    assert [event.left_out for event in heard] == [18]
    with pytest.raises(ps.ValidationError, match="no agent of the plan is named 'b'"):
        await run(tmp_path, only=ps.Selection(agents=("b",)))
