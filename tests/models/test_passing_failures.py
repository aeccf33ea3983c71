"""What passes by itself is tried again where nobody says how often, and gone on with."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

import penstock as ps
from penstock.models.model_errors import ModelError
from tests.models.loopback import answers, http_server
from tests.models.studies import chat, chat_study, rows
from tests.models.test_run_model import a_study, run

pytestmark = pytest.mark.anyio

AT_ONCE = ps.Retry(wait_s=0.0)


class Provider:
    """Fails so often, in one way, when it is asked something with the word in it."""

    def __init__(self, status: int, times: int, word: str = "") -> None:
        self.asked = Counter[str]()
        self._failure = answers({"error": "it broke"}, status=status)
        self._times = times
        self._word = word

    async def answer(self, request: web.Request) -> web.StreamResponse:
        said = (await request.json())["messages"][-1]["content"]
        self.asked[said] += 1
        if self._word in said and self._times:
            self._times -= 1
            return await self._failure(request)

        return await answers()(request)


async def attempts_of(study: ps.Study, **options: Any) -> tuple[str, int]:
    (result,) = await run(study, **{"retry": AT_ONCE, **options})
    return result.status, result.attempt


@pytest.mark.parametrize(
    ("status", "times", "came_to"),
    [(500, 3, ("success", 4)), (502, 4, ("failed", 4)), (400, 1, ("failed", 1))],
)
async def test_a_declared_model_is_asked_four_times_where_it_fails_in_passing(
    status: int, times: int, came_to: tuple[str, int], tmp_path: Path
) -> None:
    provider = Provider(status, times)
    async with http_server(provider.answer) as url:
        study = chat_study(tmp_path, chat(url), levels=("a",))
        assert await attempts_of(study) == came_to

    assert provider.asked.total() == came_to[1]


async def test_a_connection_that_broke_is_tried_again_and_a_broken_answer_is_not(
    tmp_path: Path,
) -> None:
    async def closes(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    for name, handler, came_to in (
        ("closed", closes, ("failed", 4)),
        ("broken", answers({"choices": []}), ("failed", 1)),
    ):
        async with http_server(handler) as url:
            study = chat_study(tmp_path / name, chat(url), levels=("a",))
            assert await attempts_of(study) == came_to


async def test_what_a_study_says_of_attempts_comes_before_that(tmp_path: Path) -> None:
    for most in (1, 2):
        provider = Provider(500, 9)
        async with http_server(provider.answer) as url:
            study = chat_study(tmp_path / str(most), chat(url), levels=("a",))
            retry = ps.Retry(attempts=most, wait_s=0.0)
            assert await attempts_of(study, retry=retry) == ("failed", most)


async def test_a_refusal_is_waited_for_and_no_reason_for_another_attempt(tmp_path: Path) -> None:
    async with http_server(answers({"error": "busy"}, status=503)) as url:
        study = chat_study(tmp_path, chat(url), levels=("a",))
        assert await attempts_of(study, refused_for_s=0) == ("failed", 1)


async def test_an_agent_in_python_is_tried_again_only_where_its_model_failed_in_passing(
    tmp_path: Path,
) -> None:
    async def fails_itself(ctx: ps.RunContext) -> str:
        await ctx.model("small").chat("6 x 7?")
        raise ConnectionError("to something else")

    async def asks(ctx: ps.RunContext) -> str:
        return (await ctx.model("small").chat("6 x 7?")).text

    async def wraps(ctx: ps.RunContext) -> str:
        try:
            return await asks(ctx)
        except ModelError as error:
            raise RuntimeError("it did not answer") from error

    came_to = {}
    for agent, times in ((fails_itself, 0), (asks, 2), (wraps, 2), (fails_itself, 2)):
        provider = Provider(500, times)
        async with http_server(provider.answer) as url:
            folder = tmp_path / f"{agent.__name__} {times}"
            came_to[agent.__name__, times] = await attempts_of(a_study(folder, agent, url))

    assert came_to == {
        ("fails_itself", 0): ("failed", 1),
        ("asks", 2): ("success", 3),
        ("wraps", 2): ("success", 3),
        ("fails_itself", 2): ("failed", 3),
    }


async def three_turns(ctx: ps.RunContext) -> str:
    model, said = ctx.model("small"), list[Any]()
    for turn in ("one", "two", "three"):
        said.append({"role": "user", "content": turn})
        answer = await model.chat(said)
        said.append({"role": "assistant", "content": answer.text})

    return str(said[-1]["content"])


@pytest.mark.parametrize("times", [2, 5])
async def test_another_attempt_goes_on_where_the_model_failed_also_in_another_session(
    times: int, tmp_path: Path
) -> None:
    provider = Provider(500, times, "three")
    async with http_server(provider.answer) as url:
        study = a_study(tmp_path, three_turns, url)
        for _ in range(1 if times < 4 else 2):
            results = await run(study, retry=AT_ONCE)

    assert results[0].status == "success"
    assert provider.asked == {"one": 1, "two": 1, "three": times + 1}
    (sums,) = rows(study, "SELECT sum(cost_usd) AS cost_usd, count(*) AS calls FROM calls")
    assert sums["calls"] == 3 * (times + 1)
    assert results.summary.cost_usd == pytest.approx(sums["cost_usd"])
