"""Every call of a model is kept, and what an attempt was answered that is cut off is not lost."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import pytest

import penstock as ps
from penstock.errors import StoreError
from penstock.models.calls.kept_call import KeptCall
from penstock.simulator import SimulatedProvider, SimulatorOptions
from penstock.store.calls.stored_calls import StoredCalls
from tests.models.loopback import ANSWER, answers, http_server
from tests.models.studies import chat, chat_study, rows
from tests.models.test_run_model import a_study, run

pytestmark = pytest.mark.anyio

QUICK = SimulatorOptions(latency_s=0.0)


def talker(turns: int, stop_at: Callable[[int], Awaitable[None]]) -> Any:
    """An agent that talks with the model for so many turns, and does something before each."""

    async def agent(ctx: ps.RunContext) -> str:
        model, messages = ctx.model("small"), list[dict[str, Any]]()
        for turn in range(turns):
            await stop_at(turn)
            messages.append({"role": "user", "content": f"Turn {turn}: go on"})
            answer = await model.chat(messages)
            messages.append({"role": "assistant", "content": answer.text})

        return str(messages[-1]["content"])

    return agent


async def nothing(_: int) -> None:
    pass


async def run_until(turn: int, folder: Path, url: str, *, turns: int) -> None:
    """Run the study of an agent of so many turns until one of them, and cancel it there."""
    runner: ps.StudyRunner

    async def cancel(current: int) -> None:
        if current == turn:
            runner.cancel()
            await anyio.sleep_forever()

    runner = ps.StudyRunner(a_study(folder, talker(turns, cancel), url))
    await runner.run()


async def test_a_call_is_a_row_with_what_was_asked_and_answered(tmp_path: Path) -> None:
    async with SimulatedProvider(QUICK) as provider:
        study = a_study(tmp_path, talker(2, nothing), provider.url)
        (result,) = await run(study)

    first, second = rows(study, "SELECT * FROM calls ORDER BY number")
    assert (first["number"], first["role"], first["model_name"]) == (1, "agent", "small")
    assert (first["model"], first["endpoint"]) == ("some-model", provider.url)
    assert json.loads(first["options"]) == {"max_tokens": 20}
    assert json.loads(second["messages"]) == [
        {"role": "user", "content": "Turn 0: go on"},
        {"role": "assistant", "content": first["answer"]},
        {"role": "user", "content": "Turn 1: go on"},
    ]
    assert second["answer"] == result.outputs["text"]
    assert first["input_tokens"] + second["input_tokens"] == result.metrics["input_tokens"]
    assert first["cost_usd"] + second["cost_usd"] == pytest.approx(result.cost_usd)
    assert first["provider_s"] + second["provider_s"] == pytest.approx(result.metrics["provider_s"])
    assert (first["http_status"], first["is_cached"], first["is_replayed"]) == (200, 0, 0)
    assert first["request_id"] == "sim-00000001"
    assert first["started_at"].startswith("20")


async def test_declared_agents_and_judges_are_kept_too(tmp_path: Path) -> None:
    judge = {"model": "some-model", "max_tokens": 20, "prompt": "Score: {{ answer }}"}
    async with SimulatedProvider(SimulatorOptions(latency_s=0.0, answers=("7",))) as provider:
        evaluators = {"grade": {"judge": {**judge, "base_url": provider.url}}}
        study = chat_study(tmp_path, chat(provider.url, seed=True), evaluators=evaluators)
        results = await run(study)

    found = rows(study, "SELECT * FROM calls ORDER BY run_id, number")
    assert [each["role"] for each in found] == ["agent", "judge"] * 2
    assert [each["evaluator_id"] for each in found] == [None, "grade"] * 2
    assert {each["seed"] for each in found[::2]} == {each.spec.seed for each in results}
    assert json.loads(found[1]["messages"]) == [{"role": "user", "content": "Score: 7"}]


async def test_a_text_is_kept_once_however_often_it_is_said(tmp_path: Path) -> None:
    async with SimulatedProvider(QUICK) as provider:
        agent = chat(provider.url, system="Be brief. " * 50, prompt="{{ run.replicate % 2 }}?")
        study = chat_study(tmp_path, agent, replicates=6)
        await run(study)

    (kept,) = rows(study, "SELECT count(*) AS n FROM content WHERE text LIKE '%Be brief%'")
    assert kept["n"] == 1
    assert rows(study, "SELECT count(*) AS n FROM call") == [{"n": 12}]
    assert rows(study, "SELECT count(*) AS n FROM turn") == [{"n": 3}]


async def test_a_call_that_failed_is_kept_with_why(tmp_path: Path) -> None:
    async def agent(ctx: ps.RunContext) -> str:
        return (await ctx.model("small").chat("?")).text

    error = {"error": {"message": "no such model", "code": "model_not_found"}}
    async with http_server(answers(error, status=404)) as url:
        study = a_study(tmp_path, agent, url)
        await run(study)

    (call,) = rows(study, "SELECT * FROM calls")
    assert (call["error_kind"], call["http_status"]) == ("BadRequestError", 404)
    assert "no such model" in call["error_message"]
    assert json.loads(call["messages"]) == [{"role": "user", "content": "?"}]
    assert (call["answer"], call["cost_usd"]) == (None, None)


async def test_a_refusal_is_kept_with_what_it_cost(tmp_path: Path) -> None:
    async def agent(ctx: ps.RunContext) -> str:
        return (await ctx.model("small").chat("?")).text

    message = {"role": "assistant", "content": None, "refusal": "I would rather not."}
    body = ANSWER | {"choices": [{"message": message, "finish_reason": "stop"}]}
    async with http_server(answers(body)) as url:
        study = a_study(tmp_path, agent, url)
        (result,) = await run(study)

    (call,) = rows(study, "SELECT * FROM calls")
    assert (call["error_kind"], call["refusal"]) == ("RefusalError", "I would rather not.")
    assert call["cost_usd"] == result.cost_usd == pytest.approx(0.018)


@pytest.mark.parametrize(("wanted", "kept"), [("usage", 2), ("none", 0)])
async def test_less_is_kept_where_the_study_says_so(tmp_path: Path, wanted: Any, kept: int) -> None:
    async with SimulatedProvider(QUICK) as provider:
        study = a_study(tmp_path, talker(2, nothing), provider.url)
        await run(study, keep_calls=wanted)

    found = rows(study, "SELECT * FROM calls")
    assert len(found) == kept
    assert {(each["messages"], each["answer"]) for each in found} <= {(None, None)}
    assert all(each["output_tokens"] > 0 for each in found)


async def test_an_attempt_that_was_cancelled_goes_on_where_it_was(tmp_path: Path) -> None:
    async with SimulatedProvider(QUICK) as provider:
        await run_until(4, tmp_path, provider.url, turns=5)
        asked = len(provider.records)
        study = a_study(tmp_path, talker(5, nothing), provider.url)
        (result,) = await run(study)
        again = len(provider.records) - asked
        (whole,) = await run(study, output_dir=tmp_path / "whole")

    assert (asked, again) == (4, 1)
    assert result.outputs == whole.outputs
    assert result.metrics["replayed_calls"] == 4
    replayed = rows(study, "SELECT is_replayed, cost_usd FROM calls WHERE session_id = 2")
    assert [each["is_replayed"] for each in replayed] == [1, 1, 1, 1, 0]
    assert [bool(each["cost_usd"]) for each in replayed] == [False] * 4 + [True]


async def test_an_attempt_of_a_session_that_was_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    async with SimulatedProvider(QUICK) as provider:
        await run_until(2, tmp_path, provider.url, turns=3)
        study = a_study(tmp_path, talker(3, nothing), provider.url)
        with closing(sqlite3.connect(tmp_path / "results" / "study.sqlite")) as store, store:
            store.execute("DELETE FROM attempt")  # a kill leaves its calls and no attempt

        (result,) = await run(study)
        asked = len(provider.records)

    assert (result.metrics["replayed_calls"], asked) == (2, 3)


async def test_of_several_attempts_that_were_cut_off_the_furthest_is_gone_on_with(
    tmp_path: Path,
) -> None:
    async with SimulatedProvider(QUICK) as provider:
        for last in (3, 1, 4):
            await run_until(last, tmp_path, provider.url, turns=5)

        asked = len(provider.records)
        (result,) = await run(a_study(tmp_path, talker(5, nothing), provider.url))

    assert asked == 4
    assert result.metrics["replayed_calls"] == 4


async def test_an_attempt_that_failed_by_itself_leaves_nothing_to_the_next(tmp_path: Path) -> None:
    async def fail(turn: int) -> None:
        if turn == 2:
            raise ValueError("I give up")

    async with SimulatedProvider(QUICK) as provider:
        await run(a_study(tmp_path, talker(3, fail), provider.url))
        (result,) = await run(a_study(tmp_path, talker(3, nothing), provider.url))
        asked = len(provider.records)

    assert (result.status, asked) == ("success", 5)
    assert "replayed_calls" not in result.metrics


async def test_requests_that_differ_are_made(tmp_path: Path) -> None:
    async with SimulatedProvider(QUICK) as provider:
        await run_until(2, tmp_path, provider.url, turns=3)

        async def agent(ctx: ps.RunContext) -> str:
            await ctx.model("small").chat("Turn 0: go on")
            return (await ctx.model("small").chat("Something else")).text

        (result,) = await run(a_study(tmp_path, agent, provider.url))
        asked = len(provider.records)

    assert (result.metrics["replayed_calls"], asked) == (1, 3)


async def test_a_study_that_cannot_keep_calls_pays_for_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*_: object, **__: object) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr(StoredCalls, "save_calls", full)
    async with SimulatedProvider(QUICK) as provider:
        results = await run(a_study(tmp_path, talker(3, nothing), provider.url, replicates=20))
        asked = len(provider.records)

    assert results.summary.stopped_because == "calls cannot be kept: the disk is full"
    assert (results.summary.succeeded, asked) == (0, 1)


async def test_an_answer_is_in_the_store_before_the_agent_sees_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    save = StoredCalls.save_calls

    async def saving(self: StoredCalls, calls: Sequence[KeptCall], *, with_texts: bool) -> None:
        await save(self, calls, with_texts=with_texts)
        told.append("saved")

    async def agent(ctx: ps.RunContext) -> str:
        answer = await ctx.model("small").chat("?")
        told.append("seen")
        return answer.text

    monkeypatch.setattr(StoredCalls, "save_calls", saving)
    async with SimulatedProvider(QUICK) as provider:
        await run(a_study(tmp_path, agent, provider.url))

    assert told == ["saved", "seen"]


async def test_calls_that_come_while_others_are_written_are_written_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    save = StoredCalls.save_calls

    async def saving(self: StoredCalls, calls: Sequence[KeptCall], *, with_texts: bool) -> None:
        sizes.append(len(calls))
        await save(self, calls, with_texts=with_texts)

    monkeypatch.setattr(StoredCalls, "save_calls", saving)
    async with SimulatedProvider(QUICK) as provider:
        study = a_study(tmp_path, talker(2, nothing), provider.url, replicates=40)
        results = await run(study, concurrency=40)

    assert results.summary.succeeded == 40
    assert sum(sizes) == 80
    assert len(sizes) < 80
