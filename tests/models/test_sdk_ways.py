"""Ways in which people use an SDK, through the transport: all of them in one run."""

from __future__ import annotations

import importlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

import penstock as ps
from tests.models.studies import rows
from tests.models.test_run_model import a_study, run

pytestmark = pytest.mark.anyio

ASKED = [{"role": "user", "content": "What is 6 x 7?"}]
Way = Callable[[Any, Any], Awaitable[Any]]


async def asks(client: Any, **fields: Any) -> Any:
    return await client.chat.completions.create(model="small", messages=ASKED, **fields)


async def closes_a_stream_early(client: Any, _: Any) -> str:
    stream = await asks(client, stream=True)
    first = await anext(aiter(stream))
    await stream.close()
    return str(first.choices[0].delta.content)


async def reads_a_raw_response(client: Any, _: Any) -> str:
    given = await client.chat.completions.with_raw_response.create(model="small", messages=ASKED)
    return str(given.parse().choices[0].message.content)


async def reads_lines(client: Any, _: Any) -> str:
    create = client.chat.completions.with_streaming_response.create
    async with create(model="small", messages=ASKED) as given:
        return str((await given.json())["choices"][0]["message"]["content"])


async def asks_five_at_once(client: Any, _: Any) -> str:
    answers: list[str] = []

    async def ask() -> None:
        answers.append((await asks(client)).choices[0].message.content)

    async with anyio.create_task_group() as group:
        for _place in range(5):
            group.start_soon(ask)

    return " ".join(answers)


async def names_the_speaker(client: Any, _: Any) -> str:
    said = [{**ASKED[0], "name": "Bob"}]
    answer = await client.chat.completions.create(model="small", messages=said)
    return str(answer.choices[0].message.content)


async def has_a_client_of_the_other_library(_: Any, model: Any) -> str:
    httpx = importlib.import_module("httpx")
    async with httpx.AsyncClient(transport=model.transport("httpx2")) as http:
        url = f"{model.base_url}/chat/completions"
        answer = await http.post(url, json={"model": "small", "messages": ASKED})
        return str(answer.json()["choices"][0]["message"]["content"])


async def blocks(_: Any, model: Any) -> str:
    openai, httpx2 = map(importlib.import_module, ("openai", "httpx2"))
    with httpx2.Client(transport=model.transport()) as http:
        client = openai.OpenAI(base_url=model.base_url, api_key="-", http_client=http)
        client.chat.completions.create(model="small", messages=ASKED)

    return "never"


async def asks_for_what_is_kept_elsewhere(client: Any, _: Any) -> str:
    await client.responses.create(model="small", input="?", previous_response_id="resp_1")
    return "never"


async def lists_models(client: Any, _: Any) -> str:
    async for _each in client.models.list():
        break

    return "never"


async def goes_elsewhere(client: Any, _: Any) -> str:
    await asks(client.with_options(base_url="https://api.openai.com/v1", max_retries=0))
    return "never"


async def asks_with_tokens(client: Any, _: Any) -> str:
    await client.embeddings.create(model="small", input=[[1, 2], [3]])
    return "never"


WAYS: dict[Way, str] = {
    closes_a_stream_early: "42",
    reads_a_raw_response: "42",
    reads_lines: "42",
    asks_five_at_once: "42 42 42 42 42",
    names_the_speaker: "42",
    has_a_client_of_the_other_library: "42",
    blocks: "BadRequestError: Error code: 400 - a client that blocks cannot ask",
    asks_for_what_is_kept_elsewhere: "BadRequestError: Error code: 400 - responses: previous_resp",
    lists_models: "NotFoundError: Error code: 404 - GET http://simulated/v1/models does not pass",
    goes_elsewhere: "NotFoundError: Error code: 404 - POST https://api.openai.com/v1/chat/compl",
    asks_with_tokens: "BadRequestError: Error code: 400 - input: tokens cannot be sent; give texts",
}


async def test_an_sdk_is_answered_or_refused_whichever_way_it_is_used(tmp_path: Path) -> None:
    openai = pytest.importorskip("openai")
    httpx2 = importlib.import_module("httpx2")

    async def agent(ctx: ps.RunContext) -> dict[str, str]:
        model, said = ctx.model("small"), dict[str, str]()
        http = httpx2.AsyncClient(transport=model.transport())
        given = {"base_url": model.base_url, "api_key": "-", "http_client": http}
        async with openai.AsyncOpenAI(**given) as client:
            for way in WAYS:
                try:
                    said[way.__name__] = await way(client, model)
                except openai.APIError as error:
                    said[way.__name__] = f"{type(error).__name__}: {error}"

        return said

    simulator = {"latency_s": 0.0, "answers": ["42"]}
    study = a_study(tmp_path, agent, small={"simulator": simulator})
    (result,) = await run(study)

    assert result.error is None
    for way, said in WAYS.items():
        assert result.outputs[way.__name__].startswith(said), way.__name__

    (counted,) = rows(study, "SELECT count(*) AS calls, sum(cost_usd) AS cost_usd FROM calls")
    assert counted["calls"] == sum(said.count("42") for said in WAYS.values())
    assert result.cost_usd == pytest.approx(counted["cost_usd"])
    named = rows(study, """SELECT 1 FROM calls WHERE messages LIKE '%"name":"Bob"%'""")
    assert len(named) == 1
