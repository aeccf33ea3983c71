"""What agents in Python and judges were refused for good is not asked again by later sessions."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

import penstock as ps
from penstock.models.model_errors import BadRequestError, ModelError
from penstock.store.continuing.refused import RefusedLately, refused_in_last_session
from penstock.store.reader import StoreReader
from tests.models.loopback import answers, http_server
from tests.models.studies import chat, chat_study, rows
from tests.models.test_run_model import a_study
from tests.store.test_refused import REFUSALS, run

pytestmark = pytest.mark.anyio


class Provider:
    """Refuses what has the word ``bomb`` in its last message, and answers all else with 42."""

    def __init__(self, kind: str = "BadRequestError", status: int | None = None) -> None:
        known_status, body = REFUSALS[kind]
        self.asked = Counter[str]()
        self._refusal = answers(body, status=status or known_status)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        said = (await request.json())["messages"][-1]["content"]
        self.asked[said] += 1
        return await (self._refusal if "bomb" in said else answers())(request)

    def asked_since(self) -> dict[str, int]:
        asked, self.asked = dict(self.asked), Counter()
        return asked


def asker(*texts: str, wraps: bool = False) -> Any:
    """An agent that says one text after another to its model."""

    async def agent(ctx: ps.RunContext) -> str:
        said = [{"role": "system", "content": "Be brief"}]
        for text in texts:
            said.append({"role": "user", "content": text})
            try:
                answer = await ctx.model("small").chat(said)
            except ModelError as error:
                if not wraps:
                    raise

                raise RuntimeError("my model failed") from error

            said.append({"role": "assistant", "content": answer.text})

        return said[-1]["content"]

    return agent


def lately(study: ps.Study) -> RefusedLately:
    with StoreReader(study.resolve("results")) as store:
        return refused_in_last_session(store)


@pytest.mark.parametrize("keep_calls", ["full", "usage"])
@pytest.mark.parametrize("kind", REFUSALS)
async def test_a_request_of_an_agent_in_python_that_was_refused_for_good_is_not_sent_again(
    kind: str, keep_calls: Any, tmp_path: Path
) -> None:
    provider = Provider(kind)
    async with http_server(provider.answer) as url:
        study = a_study(tmp_path, asker("a bomb"), url)
        await run(study, keep_calls=keep_calls)
        assert provider.asked_since() == {"a bomb": 1}
        assert lately(study) == (1, 0)
        for _ in range(2):
            summary, notes = await run(study, keep_calls=keep_calls)
            assert provider.asked_since() == {}
            assert lately(study) == (1, 1)

        changed, _ = await run(a_study(tmp_path, asker("a cake"), url), keep_calls=keep_calls)

    assert (summary.failed, summary.cost_usd, changed.succeeded) == (1, summary.cost_usd, 1)
    assert "1 runs whose agent in Python or whose judge was refused for good" in notes[0]
    assert provider.asked_since() == {"a cake": 1}
    (second,) = rows(study, "SELECT error_kind, error_message FROM attempt WHERE number = 2")
    (last,) = rows(study, "SELECT error_message FROM attempt WHERE number = 3")
    assert second["error_kind"] == kind
    assert second["error_message"] == last["error_message"]
    assert "--retry-failed asks it" in last["error_message"]


@pytest.mark.parametrize("wraps", [False, True])
async def test_an_agent_comes_to_its_refusal_by_the_answers_that_it_has_paid_for(
    wraps: bool, tmp_path: Path
) -> None:
    provider = Provider()
    async with http_server(provider.answer) as url:
        study = a_study(tmp_path, asker("one", "two", "a bomb", wraps=wraps), url)
        first, _ = await run(study)
        assert provider.asked_since() == {"one": 1, "two": 1, "a bomb": 1}
        second, _ = await run(study)
        assert provider.asked_since() == {}
        other = a_study(tmp_path, asker("one", "two", "a cake", wraps=wraps), url)
        third, _ = await run(other)

    assert (second.failed, second.cost_usd) == (1, first.cost_usd)
    assert third.succeeded == 1
    assert provider.asked_since() == {"a cake": 1}


async def test_what_was_refused_for_good_is_sent_again_where_that_is_said(tmp_path: Path) -> None:
    provider = Provider()
    async with http_server(provider.answer) as url:
        study = a_study(tmp_path, asker("one", "a bomb"), url)
        await run(study)
        await run(study)
        provider.asked_since()
        _, notes = await run(study, retry_failed=True)

    assert provider.asked_since() == {"one": 1, "a bomb": 1}
    assert notes == ("1 runs refused for good before are asked again",)


@pytest.mark.parametrize("status", [403, 404, 500])
async def test_what_may_be_given_later_is_sent_again(status: int, tmp_path: Path) -> None:
    provider = Provider(status=status)
    async with http_server(provider.answer) as url:
        study = a_study(tmp_path, asker("a bomb"), url)
        await run(study, retry=ps.Retry(attempts=1))
        provider.asked_since()
        await run(study, retry=ps.Retry(attempts=1))

    is_for_good = status == 404
    assert provider.asked_since() == ({} if is_for_good else {"a bomb": 1})


async def test_an_agent_that_goes_on_after_a_refusal_is_told_it_again(tmp_path: Path) -> None:
    provider = Provider()

    async def agent(ctx: ps.RunContext) -> str:
        model = ctx.model("small")
        try:
            await model.chat("a bomb")
        except BadRequestError:
            await model.chat("a cake")

        raise ValueError("I give up")

    async with http_server(provider.answer) as url:
        study = a_study(tmp_path, agent, url)
        await run(study)
        provider.asked_since()
        again, _ = await run(study, max_failures=0)

    assert provider.asked_since() == {"a cake": 1}
    assert lately(study) == (0, 0), "it failed of something else"
    assert "max_failures=0" in str(again.stopped_because), "so it counts"


def judged(tmp_path: Path, url: str, prompt: str) -> ps.Study:
    judge = {"judge": {"base_url": url, "model": "judge", "prompt": prompt, "scale": (0, 100)}}
    return chat_study(
        tmp_path,
        chat(url, prompt="{{ condition.tone }} please"),
        levels=("a",),
        evaluators={"quality": judge},
    )


@pytest.mark.parametrize("kind", REFUSALS)
async def test_a_judge_that_was_refused_for_good_is_not_asked_again(
    kind: str, tmp_path: Path
) -> None:
    provider = Provider(kind)
    async with http_server(provider.answer) as url:
        study = judged(tmp_path, url, "a bomb")
        await run(study)
        assert provider.asked_since() == {"a please": 1, "a bomb": 1}
        for _ in range(2):
            summary, notes = await run(study, max_failures=0)
            assert provider.asked_since() == {}
            assert summary.stopped_because is None

        assert (summary.failed, summary.session.failed) == (1, 1)
        assert "whose judge was refused for good are made again" in notes[0]
        assert lately(study) == (1, 1)
        await run(study, retry_failed=True)
        assert provider.asked_since() == {"a bomb": 1}
        changed, _ = await run(judged(tmp_path, url, "a cake"))

    assert changed.succeeded == 1
    assert provider.asked_since() == {"a cake": 1}


async def test_a_judge_is_asked_again_that_was_answered_since(tmp_path: Path) -> None:
    provider = Provider()
    async with http_server(provider.answer) as url:
        study = judged(tmp_path, url, "a bomb")
        await run(study)
        provider._refusal = answers()
        scored, _ = await run(study, retry_failed=True)
        provider.asked_since()
        await run(study, rescore=True)

    assert scored.succeeded == 1
    assert provider.asked_since() == {"a bomb": 1}


async def test_refusals_that_are_known_stop_no_study(tmp_path: Path) -> None:
    provider = Provider()
    problems = [ps.Problem(problem_id=f"p{place}", brief="?") for place in range(6)]
    async with http_server(provider.answer) as url:
        study = a_study(tmp_path, asker("a bomb"), url, problems=problems)
        await run(study, stop_alike=0)
        provider.asked_since()
        again, _ = await run(study, stop_alike=3, max_failures=0)

    assert provider.asked_since() == {}
    assert (again.session.failed, again.stopped_because) == (6, None)
