"""Money that is not what it was: prices and budgets that change, and amounts that hardly count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

import penstock as ps
from tests.models.loopback import ANSWER, answers, http_server
from tests.models.studies import PRICE, chat, chat_study, rows
from tests.models.test_odd_money import ONE_CALL_USD, problems
from tests.models.test_run_model import run

pytestmark = pytest.mark.anyio

_DEAR = {name: 10 * usd for name, usd in PRICE.items()}


@pytest.mark.parametrize(("price", "times"), [(PRICE, 1), (_DEAR, 10)], ids=["same", "dearer"])
async def test_what_was_paid_keeps_its_price_and_what_is_asked_has_the_new_one(
    price: Mapping[str, float], times: int, tmp_path: Path
) -> None:
    async with http_server(answers()) as url:
        spent = []
        for many, each in ((1, PRICE), (2, price)):
            study = chat_study(
                tmp_path,
                chat(url),
                levels=("a",),
                problems=problems(many),
                prices={"some-model": each},
                budget={"max_cost_usd": 1.0},
            )
            spent.append((await run(study)).summary.cost_usd)

    assert spent == pytest.approx([ONE_CALL_USD, (1 + times) * ONE_CALL_USD])
    kept = rows(study, "SELECT cost_usd FROM calls ORDER BY rowid")
    assert [each["cost_usd"] for each in kept] == pytest.approx(
        [ONE_CALL_USD, times * ONE_CALL_USD]
    )


@pytest.mark.parametrize("budget_usd", [0.02, 9.0], ids=["lowered", "raised"])
async def test_a_budget_that_is_set_while_a_study_runs_holds_from_the_next_call_on(
    budget_usd: float, tmp_path: Path
) -> None:
    asked = Counter[str]()
    runners: list[ps.StudyRunner] = []

    async def answer(_: web.Request) -> web.Response:
        asked["all"] += 1
        if asked["all"] == 2:
            (runner,) = runners
            await runner.steering.set({"budget.max_cost_usd": budget_usd}, who="ada")

        return web.json_response(ANSWER)

    async with http_server(answer) as url:
        budget = {"max_cost_usd": 0.2}
        study = chat_study(tmp_path, chat(url), problems=problems(10), budget=budget)
        runners.append(ps.StudyRunner(study, concurrency=1))
        await runners[0].run()

    summary = runners[0].summary
    is_raised = budget_usd > budget["max_cost_usd"]
    assert (asked["all"], summary.is_out_of_budget) == ((20, False) if is_raised else (2, True))


TINY = {"input_usd_per_million": 1e-12, "output_usd_per_million": 1e-12}


@pytest.mark.parametrize(
    ("price", "budget_usd", "calls"),
    [
        pytest.param(TINY, 1.0, 6, id="a price of 1e-12"),
        pytest.param(TINY, 1e-15, 6, id="a budget as small"),
        # each call bills 0.1 and may bill 0.1: 0.1 + 0.1 + 0.1 is 0.30000000000000004
        pytest.param(
            {"input_usd_per_million": 0.0, "output_usd_per_million": 1e5}, 0.3, 3, id="0.3"
        ),
        pytest.param(
            {"input_usd_per_million": 0.0, "output_usd_per_million": 1e5}, 0.29, 2, id="0.29"
        ),
        pytest.param(
            {"input_usd_per_million": 1e9, "output_usd_per_million": 1e9}, 1e9, 6, id="1e9"
        ),
    ],
)
async def test_amounts_add_up_however_small_or_large_they_are(
    price: Mapping[str, float], budget_usd: float, calls: int, tmp_path: Path
) -> None:
    usage = {"prompt_tokens": 12, "completion_tokens": 1, "total_tokens": 13}
    async with http_server(answers(ANSWER | {"usage": usage})) as url:
        study = chat_study(
            tmp_path,
            chat(url, max_tokens=1),
            problems=problems(3),
            prices={"some-model": price},
            budget={"max_cost_usd": budget_usd},
        )
        summary = (await run(study, concurrency=1)).summary
        again = (await run(study, concurrency=1)).summary

    each_usd = (12 * price["input_usd_per_million"] + price["output_usd_per_million"]) / 1e6
    assert (summary.succeeded, again.succeeded) == (calls, calls)
    assert summary.cost_usd == pytest.approx(calls * each_usd, rel=1e-9, abs=0)
    assert again.cost_usd == pytest.approx(summary.cost_usd, rel=1e-12, abs=0)
    assert summary.is_out_of_budget is (calls < 6)


CHARGED: list[tuple[dict[str, Any], dict[str, str], float | None]] = [
    ({}, {"x-litellm-response-cost": "0.25"}, 0.25),
    ({"cost_in_usd_ticks": 2_500_000_000}, {}, 0.25),
    ({"estimated_cost": 0.25}, {}, 0.25),
    ({"cost": "0.25"}, {}, 0.25),
    ({"cost": None}, {}, None),
    ({"cost": 0}, {}, None),
]


@pytest.mark.field("models-E10")
async def test_what_a_provider_says_that_it_charged_is_the_cost_in_whatever_unit(
    tmp_path: Path,
) -> None:
    async def answer(request: web.Request) -> web.Response:
        more, headers, _ = CHARGED[int((await request.json())["temperature"])]
        usage = ANSWER["usage"] | more
        return web.json_response(ANSWER | {"usage": usage}, headers=headers)

    async with http_server(answer) as url:
        agent = chat(url, temperature="{{ problem.problem_id }}")
        many = [ps.Problem(problem_id=str(at), brief="?") for at in range(len(CHARGED))]
        study = chat_study(tmp_path, agent, levels=("a",), problems=many)
        await run(study)

    kept = rows(study, "SELECT cost_usd FROM runs ORDER BY problem_id")
    told = [ONE_CALL_USD if usd is None else usd for _, _, usd in CHARGED]
    assert [each["cost_usd"] for each in kept] == pytest.approx(told)
