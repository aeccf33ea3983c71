"""Chat models of a study that workers run: the driver makes the calls, and pays for none twice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import penstock as ps
from penstock.engines.local import LocalEngine
from penstock.events import Event, RunObserved
from tests.engines.studies import tables
from tests.engines.test_local import run

pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time]

AGENTS = """
import anyio

from penstock.models.model_errors import BadRequestError


async def hand(ctx):
    model = ctx.model("m")
    first = await model.chat("What is 1 + 1?")
    ctx.observe("step", "has one answer")
    second = await model.chat("What is 2 + 2?")
    return first.text + second.text


async def careful(ctx):
    try:
        await ctx.model("m").chat("What is 1 + 1?")
    except BadRequestError as error:
        return f"{error.http_status} {type(error).__name__}"
"""

STUDY = """
study_id: asked
title: Models that are asked from workers
models:
  m:
    provider: simulated
    model: fake
    max_tokens: 50
    simulator: {{latency_s: 1.0, log: {log}, answers: ["4", "5"], {simulator}}}
agents:
{agents}
problems: [{{problem_id: p1, brief: hi}}, {{problem_id: p2, brief: ho}}]
replicates: 2
evaluators: {{rated: {{judge: {{model: m, prompt: "Rate {{{{ answer.text }}}}", scale: [1, 9]}}}}}}
execution: {{concurrency: 100}}
{more}
"""
CHAT = '  chat: {chat: {model: m, prompt: "{{ problem.brief }}"}}'
HAND = "  hand: agents.py:hand"


def write(folder: Path, *agents: str, simulator: str = "seed: 1", more: str = "") -> ps.Study:
    folder.mkdir()
    (folder / "agents.py").write_text(AGENTS)
    text = STUDY.format(
        agents="\n".join(agents), log=folder / "log.jsonl", simulator=simulator, more=more
    )
    (folder / "study.yaml").write_text(text)
    return ps.load_study(folder / "study.yaml")


def asked(folder: Path) -> list[dict[str, Any]]:
    """What the provider was asked, by its own log."""
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def without_ids(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave out what the provider numbers in the order in which it is asked."""
    return [{**row, "notes_json": "", "meta_json": ""} for row in rows]


async def test_agents_and_judges_ask_from_workers_as_they_do_without(tmp_path: Path) -> None:
    study = write(tmp_path / "study", CHAT, HAND)
    here = await run(study, None, tmp_path / "here")
    there = await run(study, LocalEngine(2), tmp_path / "there")
    assert there.summary.succeeded == 8
    assert there.summary.model_dump() == here.summary.model_dump()
    one, other = tables(tmp_path / "here"), tables(tmp_path / "there")
    assert {name: without_ids(rows) for name, rows in other.items()} == {
        name: without_ids(rows) for name, rows in one.items()
    }


async def test_no_call_is_paid_twice_when_a_worker_is_lost(tmp_path: Path) -> None:
    engine = LocalEngine(2)

    def kill(event: Event) -> None:
        if isinstance(event, RunObserved) and "local-1" in engine.hosts:
            engine.kill("local-1")  # while others of its runs wait for their second answers

    runner = await run(write(tmp_path / "study", HAND), engine, tmp_path / "there", kill)
    summary = runner.summary
    assert summary.succeeded == 4
    assert summary.session.cancelled == 2
    assert len(asked(tmp_path / "study")) == 4 * 2 + 4
    paid = summary.agents.input_tokens + summary.judges.input_tokens
    assert paid == sum(line["input_tokens"] for line in asked(tmp_path / "study"))


async def test_an_error_of_a_call_has_its_class_where_the_agent_is(tmp_path: Path) -> None:
    careful = "  careful: agents.py:careful"
    study = write(tmp_path / "study", careful, simulator="faults: {bad_request: 1.0}")
    study = study.model_copy(update={"evaluators": {}})
    runner = await run(study, LocalEngine(1), tmp_path / "there")
    assert runner.summary.succeeded == 4
    answers = {event["text"] for event in tables(tmp_path / "there")["events"]}
    assert answers == {"400 BadRequestError"}


async def test_a_budget_holds_over_all_workers(tmp_path: Path) -> None:
    more = "budget: {max_tokens: 150}"
    here = await run(write(tmp_path / "one", HAND, more=more), None, tmp_path / "here")
    there = await run(write(tmp_path / "two", HAND, more=more), LocalEngine(3), tmp_path / "there")
    assert there.summary.is_out_of_budget
    assert there.summary.stopped_because == here.summary.stopped_because
    assert len(asked(tmp_path / "two")) == len(asked(tmp_path / "one"))


async def test_a_rate_holds_over_all_workers(tmp_path: Path) -> None:
    more = "limits: {simulated: {requests_per_minute: 6}}"
    study = write(tmp_path / "study", CHAT, more=more)
    runner = await run(study, LocalEngine(3), tmp_path / "there")
    assert runner.summary.succeeded == 4
    at = sorted(line["arrived_s"] for line in asked(tmp_path / "study"))
    assert len(at) == 8
    assert all(later - earlier >= 60 for earlier, later in zip(at, at[6:], strict=False))


async def test_time_that_a_call_waits_for_its_turn_is_not_the_agents(tmp_path: Path) -> None:
    more = "limits: {simulated: {max_in_flight: 1}}"
    study = write(tmp_path / "study", HAND, more=more).model_copy(update={"evaluators": {}})
    runner = await run(study, LocalEngine(2), tmp_path / "there", timeout_s=2.5)
    assert runner.summary.succeeded == 4
