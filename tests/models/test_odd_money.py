"""Money in forms that nobody named, each against a provider that is asked for real."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import anyio
import pytest
from aiohttp import web

import penstock as ps
from penstock.simulator import SimulatedProvider, SimulatorOptions
from tests.models.loopback import ANSWER, answers, http_server
from tests.models.studies import PRICE, chat, chat_study, rows
from tests.models.test_run_model import a_study, run

pytestmark = pytest.mark.anyio

FREE = {"input_usd_per_million": 0.0, "output_usd_per_million": 0.0}
ONE_CALL_USD = (12 * 1000 + 3 * 2000) / 1e6


def problems(count: int) -> list[ps.Problem]:
    return [ps.Problem(problem_id=f"p{at}", brief=f"{at}?") for at in range(count)]


def counted(**usage: Any) -> dict[str, Any]:
    return {**ANSWER, "usage": usage}


@pytest.mark.parametrize(
    "usage",
    [
        None,
        [],
        "12",
        {},
        {"prompt_tokens": None, "completion_tokens": None},
        {"prompt_tokens": -12, "completion_tokens": -3, "total_tokens": -15},
        {"prompt_tokens": 10**12, "completion_tokens": 10**18},
        {"prompt_tokens": 1e308, "completion_tokens": True, "total_tokens": "many"},
        {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 10**11},
        {"prompt_tokens": 12, "completion_tokens": 3, "cost": -1},
        {"prompt_tokens": 12, "completion_tokens": 3, "cost": 1e300},
        {"prompt_tokens": 12, "completion_tokens": 3, "cost": {"total_cost": "a lot"}},
        {
            "prompt_tokens": 12,
            "completion_tokens": 3,
            "prompt_tokens_details": {"cached_tokens": -4},
        },
        {"input_tokens": 12, "output_tokens": 3, "cache_read_input_tokens": -9},
    ],
)
async def test_a_usage_that_is_none_neither_breaks_a_study_nor_its_sums(
    usage: Any, tmp_path: Path
) -> None:
    async with http_server(answers({**ANSWER, "usage": usage})) as url:
        study = chat_study(tmp_path, chat(url), budget={"max_cost_usd": 5}, problems=problems(3))
        results = await run(study, concurrency=3)

    summary = results.summary
    assert summary.succeeded == 6
    assert 0 < summary.cost_usd < 6 * 0.08, "its prompt and max_tokens"
    (kept,) = rows(study, "SELECT sum(cost_usd) AS usd, min(cost_usd) AS least FROM calls")
    assert (kept["usd"], kept["least"] >= 0) == (pytest.approx(summary.cost_usd), True)


async def test_forms_of_usage_of_two_providers_count_the_same_in_one_study(tmp_path: Path) -> None:
    forms = {
        "within": {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150},
        "apart": {"input_tokens": 40, "cache_read_input_tokens": 60, "output_tokens": 50},
        "beside": {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 150},
    }

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.json_response(counted(**forms[(await request.json())["model"]]))

    async with http_server(answer) as url:
        agent = chat(url, model="{{ condition.tone }}")
        study = chat_study(tmp_path, agent, levels=tuple(forms), prices=dict.fromkeys(forms, PRICE))
        summary = (await run(study)).summary

    tokens = {each["model"]: each for each in rows(study, "SELECT * FROM calls")}
    assert {each["input_tokens"] for each in tokens.values()} == {100}
    assert {each["output_tokens"] for each in tokens.values()} == {50}
    assert tokens["apart"]["cached_input_tokens"] == 60
    assert summary.cost_usd == pytest.approx(3 * 0.2)


@pytest.mark.parametrize("extra", ["max_tokens", "num_predict", "n", "candidate_count", "model"])
async def test_a_call_cannot_ask_for_more_than_was_set_aside_behind_the_budget(
    extra: str, tmp_path: Path
) -> None:
    async def agent(ctx: ps.RunContext) -> str:
        more: Any = {extra: "dear" if extra == "model" else 5000}
        return (await ctx.model("small").chat("6 x 7?", extra=more)).text

    async with SimulatedProvider(SimulatorOptions(latency_s=0.0)) as provider:
        study = a_study(tmp_path, agent, provider.url, budget={"max_cost_usd": 1})
        (result,) = await run(study)

    assert result.error is not None
    assert f"{extra!r} is not extra" in result.error.message
    assert list(provider.records) == []


@pytest.mark.parametrize("most", [0, -5])
async def test_a_bound_that_is_none_is_refused_before_the_call(most: int, tmp_path: Path) -> None:
    async def agent(ctx: ps.RunContext) -> str:
        return (await ctx.model("small").chat("6 x 7?", max_tokens=most)).text

    async with SimulatedProvider(SimulatorOptions(latency_s=0.0)) as provider:
        study = a_study(tmp_path, agent, provider.url, budget={"max_cost_usd": 1})
        (result,) = await run(study)

    assert result.error is not None
    assert result.error.kind == "TypeError"
    assert "max_tokens" in result.error.message
    assert list(provider.records) == []


async def test_of_two_bounds_the_larger_one_is_set_aside(tmp_path: Path) -> None:
    async def agent(ctx: ps.RunContext) -> str:
        return (await ctx.model("small").chat("?", max_tokens=900, max_completion_tokens=5)).text

    async with SimulatedProvider(SimulatorOptions(latency_s=0.0)) as provider:
        study = a_study(tmp_path, agent, provider.url, budget={"max_cost_usd": 1})
        results = await run(study)

    assert results.summary.is_out_of_budget, "of a dollar, 900 tokens may take 1.80"
    assert list(provider.records) == []


async def test_a_provider_that_charges_for_what_was_to_be_free_is_noticed_at_once(
    tmp_path: Path,
) -> None:
    usage = {"prompt_tokens": 12, "completion_tokens": 3, "cost": 0.4}
    async with http_server(answers(counted(**usage))) as url:
        study = chat_study(
            tmp_path,
            chat(url),
            prices={"some-model": FREE},
            budget={"max_cost_usd": 1.0},
            problems=problems(20),
        )
        summary = (await run(study, concurrency=1)).summary
        again = (await run(study, concurrency=1)).summary

    assert summary.is_out_of_budget
    assert summary.cost_usd == pytest.approx(0.8)
    assert again.cost_usd <= 1.2 + 1e-9, "a session notices it once more"


async def test_a_provider_that_bills_less_lets_more_be_asked(tmp_path: Path) -> None:
    usage = {"prompt_tokens": 12, "completion_tokens": 3, "cost": 0.001}
    async with http_server(answers(counted(**usage))) as url:
        budget = {"max_cost_usd": 0.1}
        study = chat_study(tmp_path, chat(url), budget=budget, problems=problems(20))
        summary = (await run(study, concurrency=4)).summary

    assert summary.succeeded == 40
    assert summary.cost_usd == pytest.approx(0.04)


async def test_a_budget_that_ends_in_the_middle_of_a_turn_is_gone_on_with_when_it_is_raised(
    tmp_path: Path,
) -> None:
    def f(a: int) -> int:
        """Add one."""
        return a + 1

    async def agent(ctx: ps.RunContext) -> dict[str, Any]:
        talk = await ctx.model("small").run("6 x 7?", tools=[f], max_turns=9)
        return {"text": talk.text, "turns": talk.turns}

    calls_tools = dict.fromkeys(range(1, 6), "tool_call")
    options = SimulatorOptions(latency_s=0.0, faults_at=calls_tools)
    async with SimulatedProvider(options) as provider:
        spent = []
        for budget_usd in (0.15, 0.01, 0.3, 9.0):
            study = a_study(tmp_path, agent, provider.url, budget={"max_cost_usd": budget_usd})
            results = await run(study)
            spent.append((results.summary.is_out_of_budget, results.summary.cost_usd))
            billed = sum(
                each.input_tokens * 1000 + each.output_tokens * 2000 for each in provider.records
            )
            assert spent[-1][1] == pytest.approx(billed / 1e6)

        asked = len(provider.records)

    assert [is_out for is_out, _ in spent] == [True, True, True, False]
    assert spent[0][1] <= 0.15
    assert spent[1] == spent[0], "less than was spent allows nothing"
    assert spent[2][1] <= 0.3
    assert (results[0].outputs["turns"], asked) == (6, 6)


async def test_equal_requests_of_many_runs_are_paid_once_where_there_is_a_cache(
    tmp_path: Path,
) -> None:
    asked = Counter[str]()

    async def answer(request: web.Request) -> web.StreamResponse:
        asked[(await request.json())["model"]] += 1
        await anyio.sleep(0.05)
        return web.json_response(ANSWER)

    async with http_server(answer) as url:
        study = chat_study(
            tmp_path,
            chat(url, prompt="always the same"),
            problems=problems(15),
            response_cache="cache.sqlite",
            budget={"max_cost_usd": 0.2},
        )
        summary = (await run(study, concurrency=30)).summary

    assert (summary.succeeded, asked.total()) == (30, 1)
    assert summary.cost_usd == pytest.approx(ONE_CALL_USD)


async def test_those_who_wait_for_an_equal_request_ask_themselves_where_it_is_cut_off(
    tmp_path: Path,
) -> None:
    came = Counter[str]()

    async def answer(_: web.Request) -> web.StreamResponse:
        came["all"] += 1
        if came["all"] == 1:
            await anyio.sleep(30)

        return web.json_response(ANSWER)

    async with http_server(answer) as url:
        study = chat_study(
            tmp_path,
            chat(url, prompt="always the same", timeout_s=0.3),
            problems=problems(5),
            response_cache="cache.sqlite",
        )
        once = ps.Retry(attempts=1)
        summary = (await run(study, concurrency=10, retry=once)).summary

    assert (summary.succeeded, summary.failed) == (9, 1)
    assert came["all"] == 2
    assert summary.cost_usd == pytest.approx(ONE_CALL_USD)
    assert summary.uncounted_cost_usd > ONE_CALL_USD, "the one that was cut off"


async def test_a_stream_that_is_cut_in_the_middle_is_set_aside_and_not_counted(
    tmp_path: Path,
) -> None:
    piece = {"choices": [{"index": 0, "delta": {"content": "4"}, "finish_reason": None}]}

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        await response.write(f"data: {json.dumps(piece)}\n\n".encode())
        assert request.transport is not None
        request.transport.close()
        return response

    async with http_server(answer) as url:
        study = chat_study(tmp_path, chat(url, stream=True), levels=("a",))
        summary = (await run(study, retry=ps.Retry(attempts=1))).summary

    assert (summary.failed, summary.cost_usd) == (1, 0.0)
    assert summary.uncounted_cost_usd >= 20 * 2000 / 1e6
    assert summary.uncounted_tokens >= 20


async def test_a_model_that_is_renamed_spends_from_the_same_budget(tmp_path: Path) -> None:
    async def agent(ctx: ps.RunContext) -> str:
        name = "tiny" if ctx.spec.replicate > 1 else "small"
        return (await ctx.model(name).chat("6 x 7?")).text

    async with http_server(answers()) as url:
        model = {"base_url": url, "model": "m", "max_tokens": 20, "price": PRICE}
        spent = []
        for names in (("small",), ("small", "tiny")):
            study = a_study(
                tmp_path,
                agent,
                replicates=len(names),
                budget={"max_cost_usd": 0.06},
            ).model_copy(update={"models": dict.fromkeys(names, model)})
            spent.append((await run(study)).summary)

    assert spent[0].cost_usd == pytest.approx(ONE_CALL_USD)
    assert spent[1].is_out_of_budget, "one call is 0.018, and another may take 0.05"
    assert spent[1].cost_usd == pytest.approx(ONE_CALL_USD)
