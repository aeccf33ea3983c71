"""SDKs behind the study's gate: their HTTP client is given the transport of a declared model."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

import penstock as ps
from tests.models.loopback import ANSWER, answers, http_server
from tests.models.studies import rows
from tests.models.test_conversing import provider
from tests.models.test_run_model import a_study, run

pytestmark = pytest.mark.anyio

Talk = Callable[[Any, ps.RunContext], Awaitable[Any]]
ASK = {"model": "small", "messages": [{"role": "user", "content": "6 x 7?"}]}


def agent_with(library: Any, talk: Talk) -> Any:
    """An agent that has a client of the library over the transport of the model ``small``."""

    async def agent(ctx: ps.RunContext) -> dict[str, Any]:
        model = ctx.model("small")
        client = getattr(importlib.import_module(library), "AsyncClient")  # noqa: B009
        async with client(transport=model.transport(library), base_url=model.base_url) as http:
            return {"said": await talk(http, ctx)}

    return agent


@pytest.mark.parametrize("library", ["httpx", "httpx2"])
async def test_a_client_of_either_library_is_answered_and_its_calls_are_the_runs(
    library: str, tmp_path: Path
) -> None:
    pytest.importorskip(library)

    async def talk(http: Any, _: ps.RunContext) -> Any:
        answer = await http.post("/chat/completions", json={**ASK, "temperature": 0.5, "top_k": 3})
        return answer.json()

    bodies: list[Any] = []

    async def handler(request: Any) -> Any:
        bodies.append(await request.json())
        return await answers()(request)

    async with http_server(handler) as url:
        study = a_study(tmp_path, agent_with(library, talk), url)
        (result,) = await run(study)

    said = result.outputs["said"]
    assert said["choices"][0]["message"]["content"] == "42"
    assert said["usage"]["completion_tokens"] == result.metrics["output_tokens"] == 3
    assert result.cost_usd == pytest.approx(0.018)
    assert (bodies[0]["model"], bodies[0]["max_tokens"]) == ("some-model", 20)
    assert (bodies[0]["temperature"], bodies[0]["top_k"]) == (0.5, 3)
    (call,) = rows(study, "SELECT model_name, answer FROM calls")
    assert call == {"model_name": "small", "answer": "42"}


@pytest.mark.parametrize(
    ("method", "url", "body", "status", "said"),
    [
        ("POST", "/audio/speech", ASK, 404, "does not pass the study's gate and is not sent"),
        ("GET", "/models", None, 404, "is not sent"),
        ("POST", "http://elsewhere.test/v1/chat/completions", ASK, 404, "is not sent"),
        ("POST", "/chat/completions", {**ASK, "model": "large"}, 400, "'large' is not asked here"),
        ("POST", "/chat/completions", {**ASK, "n": 2}, 400, "a call keeps one answer"),
        ("POST", "/chat/completions", {**ASK, "messages": []}, 400, "there are none"),
        ("POST", "/chat/completions", {**ASK, "temperature": "hot"}, 400, "temperature: "),
    ],
)
async def test_what_is_no_call_of_the_model_is_refused_and_never_sent(  # noqa: PLR0917
    tmp_path: Path, method: str, url: str, body: Any, status: int, said: str
) -> None:
    async def talk(http: Any, _: ps.RunContext) -> Any:
        answer = await http.request(method, url, json=body)
        return [answer.status_code, answer.json()["error"]["message"], dict(answer.headers)]

    asked: list[Any] = []
    async with http_server(provider("42", asked=asked)) as address:
        (result,) = await run(a_study(tmp_path, agent_with("httpx", talk), address))

    found, message, headers = result.outputs["said"]
    assert (found, asked) == (status, [])
    assert said in message
    assert headers["x-should-retry"] == "false"


async def test_a_failure_has_the_status_that_an_sdk_knows(tmp_path: Path) -> None:
    async def talk(http: Any, _: ps.RunContext) -> Any:
        answer = await http.post("/chat/completions", json=ASK)
        return [answer.status_code, answer.json()["error"]["type"]]

    async with http_server(answers({"error": {"message": "no"}}, status=404)) as url:
        (result,) = await run(a_study(tmp_path, agent_with("httpx", talk), url))

    assert result.outputs["said"] == [404, "BadRequestError"]


async def test_the_real_sdk_of_openai_runs_behind_the_gate(tmp_path: Path) -> None:
    openai = pytest.importorskip("openai")
    httpx2 = importlib.import_module("httpx2")

    def client(ctx: ps.RunContext) -> Any:
        model = ctx.model("small")
        transport = httpx2.AsyncClient(transport=model.transport())
        return openai.AsyncOpenAI(base_url=model.base_url, api_key="-", http_client=transport)

    async def agent(ctx: ps.RunContext) -> dict[str, Any]:
        async with client(ctx) as sdk:
            chat = sdk.chat.completions
            plain = await chat.create(**ASK)
            pieces = [
                piece.choices[0].delta.content or ""
                async for piece in await chat.create(**ASK, stream=True)
                if piece.choices
            ]
            tool = {"type": "function", "function": {"name": "double", "parameters": {}}}
            called = await chat.create(
                model="small",
                tools=[tool],
                messages=[
                    {"role": "user", "content": [{"type": "text", "text": "Double 4"}]},
                    {"role": "assistant", "content": "I will"},
                ],
            )
            try:
                await sdk.models.list()
            except openai.NotFoundError as error:
                refused = str(error)

        (call,) = called.choices[0].message.tool_calls
        return {
            "plain": plain.choices[0].message.content,
            "streamed": "".join(pieces),
            "called": [call.function.name, json.loads(call.function.arguments)],
            "refused": "is not sent" in refused,
        }

    asked: list[Any] = []
    turns = ("42", [("double", {"number": 4})])
    async with http_server(provider(*turns, asked=asked)) as url:
        study = a_study(tmp_path, agent, url)
        (result,) = await run(study)

    assert result.error is None
    assert result.outputs == {
        "plain": "42",
        "streamed": "42",
        "called": ["double", {"number": 4}],
        "refused": True,
    }
    assert len(asked) == 3
    assert result.metrics["output_tokens"] == 3 * ANSWER["usage"]["completion_tokens"]
    assert rows(study, "SELECT count(*) AS n FROM calls") == [{"n": 3}]


async def test_the_sdk_of_openai_makes_no_retries_of_its_own(tmp_path: Path) -> None:
    openai = pytest.importorskip("openai")
    httpx2 = importlib.import_module("httpx2")

    async def agent(ctx: ps.RunContext) -> str:
        model = ctx.model("small")
        http = httpx2.AsyncClient(transport=model.transport())
        sdk = openai.AsyncOpenAI(base_url=model.base_url, api_key="-", http_client=http)
        async with sdk:
            await sdk.chat.completions.create(**ASK)

        return "never"

    asked: list[Any] = []

    async def handler(request: Any) -> Any:
        asked.append(request)
        return await answers({"error": {"message": "broken"}}, status=500)(request)

    async with http_server(handler) as url:
        once = ps.Retry(attempts=1)
        (result,) = await run(a_study(tmp_path, agent, url), retry=once)

    assert result.error is not None
    assert (result.error.kind, len(asked)) == ("InternalServerError", 1)


async def test_a_spent_budget_stops_the_study_whatever_the_sdk_makes_of_it(tmp_path: Path) -> None:
    class ConnectionFailedError(Exception):
        """What an SDK raises whatever went wrong."""

    async def talk(http: Any, _: ps.RunContext) -> Any:
        try:
            while True:
                await http.post("/chat/completions", json=ASK)
        except Exception as error:
            raise ConnectionFailedError from error

    study = a_study(tmp_path, agent_with("httpx", talk), budget={"max_tokens": 200})
    results = await run(study)

    assert results.summary.is_out_of_budget
    assert results.summary.failed == 0
    (attempt,) = rows(study, "SELECT status, error_kind FROM attempts")
    assert attempt == {"status": "cancelled", "error_kind": "BudgetExhaustedError"}


async def test_a_library_that_is_not_installed_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def agent(ctx: ps.RunContext) -> str:
        ctx.model("small").transport("httpx2")
        return "never"

    monkeypatch.setitem(sys.modules, "httpx2", None)
    (result,) = await run(a_study(tmp_path, agent))

    assert result.error is not None
    assert "httpx2 is not installed" in result.error.message
