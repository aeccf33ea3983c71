"""SDKs and frameworks that others wrote run inside an agent, behind the study's gate.

They are no dependencies of penstock, and together 85 MB whose import takes some three seconds: more
than all tests of a room. ``make clients`` installs them and runs this.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pydantic
import pytest
from aiohttp import web

import penstock as ps
from penstock.simulator import Fault, SimulatedProvider, SimulatorOptions
from tests.models.loopback import answers, http_server
from tests.models.studies import chat, chat_study, rows
from tests.models.test_conversing import provider
from tests.models.test_run_model import a_study, run

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif("PENSTOCK_CLIENTS" not in os.environ, reason="make clients runs it"),
    pytest.mark.filterwarnings("default"),  # theirs are not ours
]

ASK = [("double", {"number": 4})]
Talk = Callable[[Any, ps.RunContext], Awaitable[Any]]


class Number(pydantic.BaseModel):
    """What an answer is to be."""

    n: int


async def double(number: int) -> int:
    """Double a number."""
    return 2 * number


def http_of(ctx: ps.RunContext) -> Any:
    return importlib.import_module("httpx2").AsyncClient(transport=ctx.model("small").transport())


async def answered(
    tmp_path: Path, talk: Callable[[ps.RunContext], Awaitable[Any]], *turns: Any
) -> tuple[Any, list[Any], list[dict[str, Any]]]:
    """What an agent says, what the provider was asked for it, and the calls that were kept."""

    async def agent(ctx: ps.RunContext) -> dict[str, Any]:
        return {"said": await talk(ctx)}

    asked: list[Any] = []
    async with http_server(provider(*turns, asked=asked)) as url:
        study = a_study(tmp_path, agent, url)
        (result,) = await run(study)

    assert result.error is None, result.error
    kept = rows(study, "SELECT number, answer, cost_usd FROM calls ORDER BY number")
    assert result.cost_usd == pytest.approx(sum(each["cost_usd"] for each in kept))
    return result.outputs["said"], asked, kept


def failing(asked: list[Any]) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """A provider that is broken."""

    async def handler(request: web.Request) -> web.StreamResponse:
        asked.append(await request.json())
        return await answers({"error": {"message": "broken"}}, status=500)(request)

    return handler


# --- pydantic-ai -----------------------------------------------------------------------------


def pydantic_agent(ctx: ps.RunContext, **fields: Any) -> Any:
    module = importlib.import_module("pydantic_ai")
    models = importlib.import_module("pydantic_ai.models.openai")
    providers = importlib.import_module("pydantic_ai.providers.openai")
    openai = importlib.import_module("openai")
    client = openai.AsyncOpenAI(
        base_url=ctx.model("small").base_url, api_key="-", http_client=http_of(ctx)
    )
    kind = models.OpenAIResponsesModel if fields.pop("responses", False) else models.OpenAIChatModel
    model = kind("small", provider=providers.OpenAIProvider(openai_client=client))
    return module.Agent(model, **fields)


@pytest.mark.parametrize("responses", [False, True], ids=["chat", "responses"])
async def test_pydantic_ai_answers_with_tools_whole_and_streamed(
    tmp_path: Path, responses: bool
) -> None:
    async def talk(ctx: ps.RunContext) -> Any:
        agent = pydantic_agent(ctx, tools=[double], instructions="Be brief.", responses=responses)
        whole = await agent.run("Double 4")
        async with agent.run_stream("Double 4") as stream:
            streamed = "".join([piece async for piece in stream.stream_text(delta=True)])

        return [whole.output, streamed, whole.usage.output_tokens]

    said, asked, kept = await answered(tmp_path, talk, ASK, "8")

    assert said == ["8", "8", 6]
    assert len(asked) == len(kept) == 4
    assert asked[0]["tools"][0]["function"]["name"] == "double"
    assert asked[1]["messages"][-1]["content"] == "8"


async def test_pydantic_ai_asks_again_where_an_answer_has_not_the_form(tmp_path: Path) -> None:
    async def talk(ctx: ps.RunContext) -> Any:
        module = importlib.import_module("pydantic_ai")
        agent = pydantic_agent(ctx, output_type=module.NativeOutput(Number), retries=2)
        return (await agent.run("How many?")).output.n

    said, asked, kept = await answered(tmp_path, talk, '{"n": "many"}', '{"n": 8}')

    assert said == 8
    assert [each["answer"] for each in kept] == ['{"n": "many"}', '{"n": 8}']
    assert asked[0]["response_format"]["type"] == "json_schema"
    assert len(asked[1]["messages"]) > len(asked[0]["messages"])


async def test_pydantic_ai_makes_no_retries_of_its_own(tmp_path: Path) -> None:
    async def agent(ctx: ps.RunContext) -> str:
        await pydantic_agent(ctx).run("?")
        return "never"

    asked: list[Any] = []
    async with http_server(failing(asked)) as url:
        (result,) = await run(a_study(tmp_path, agent, url), retry=ps.Retry(attempts=1))

    assert result.error is not None
    assert "500 Internal Server Error: broken" in result.error.message
    assert len(asked) == 1


# --- langchain -------------------------------------------------------------------------------


def langchain_model(ctx: ps.RunContext, **fields: Any) -> Any:
    module = importlib.import_module("langchain_openai")
    base_url = ctx.model("small").base_url
    return module.ChatOpenAI(
        model="small", base_url=base_url, api_key="-", http_async_client=http_of(ctx), **fields
    )


@pytest.mark.parametrize("responses", [False, True], ids=["chat", "responses"])
async def test_langchain_answers_with_tools_whole_and_streamed(
    tmp_path: Path, responses: bool
) -> None:
    async def talk(ctx: ps.RunContext) -> Any:
        tools = importlib.import_module("langchain_core.tools")
        model = langchain_model(ctx, use_responses_api=responses)
        bound = model.bind_tools([tools.tool(double)])
        called = await bound.ainvoke("Double 4")
        (call,) = called.tool_calls
        messages = importlib.import_module("langchain_core.messages")
        result = messages.ToolMessage(str(await double(**call["args"])), tool_call_id=call["id"])
        history = [messages.HumanMessage("Double 4"), called, result]
        whole = await bound.ainvoke(history)
        streamed = "".join([piece.text async for piece in bound.astream(history)])
        return [call["name"], whole.text, streamed, whole.usage_metadata["output_tokens"]]

    said, asked, kept = await answered(tmp_path, talk, ASK, "8")

    assert said == ["double", "8", "8", 3]
    assert len(asked) == len(kept) == 3


async def test_langchain_answers_in_a_schema(tmp_path: Path) -> None:
    async def talk(ctx: ps.RunContext) -> Any:
        model = langchain_model(ctx).with_structured_output(Number, method="json_schema")
        return (await model.ainvoke("How many?")).n

    said, asked, _ = await answered(tmp_path, talk, '{"n": 8}')

    assert said == 8
    assert asked[0]["response_format"]["json_schema"]["schema"]["required"] == ["n"]


async def test_retries_that_langchain_is_told_to_make_are_calls_of_their_own(
    tmp_path: Path,
) -> None:
    async def agent(ctx: ps.RunContext) -> str:
        model = langchain_model(ctx, max_retries=5)
        await model.with_retry(stop_after_attempt=3, wait_exponential_jitter=False).ainvoke("?")
        return "never"

    asked: list[Any] = []
    async with http_server(failing(asked)) as url:
        study = a_study(tmp_path, agent, url)
        (result,) = await run(study, retry=ps.Retry(attempts=1))

    assert result.error is not None
    assert "500 Internal Server Error: broken" in result.error.message
    kept = rows(study, "SELECT number, error_kind FROM calls ORDER BY number")
    assert [each["number"] for each in kept] == [1, 2, 3]  # not five of the SDK's to each
    assert {each["error_kind"] for each in kept} == {"OverloadedError"}
    assert len(asked) == 3


# --- anthropic -------------------------------------------------------------------------------


async def test_the_sdk_of_anthropic_runs_behind_the_gate(tmp_path: Path) -> None:
    async def talk(ctx: ps.RunContext) -> Any:
        anthropic = importlib.import_module("anthropic")
        model = ctx.model("small")
        async with anthropic.AsyncAnthropic(
            base_url=model.base_url, api_key="-", http_client=http_of(ctx)
        ) as client:
            schema = {"type": "object", "properties": {"number": {"type": "integer"}}}
            tool = {"name": "double", "description": "Double.", "input_schema": schema}
            asked: dict[str, Any] = {"model": "small", "max_tokens": 50, "tools": [tool]}
            user = {"role": "user", "content": "Double 4"}
            called = await client.messages.create(**asked, messages=[user])
            (call,) = called.content
            result = {"type": "tool_result", "tool_use_id": call.id, "content": "8"}
            history = [
                user,
                {"role": "assistant", "content": called.content},
                {"role": "user", "content": [result]},
            ]
            whole = await client.messages.create(**asked, messages=history)
            async with client.messages.stream(**asked, messages=history) as stream:
                streamed = await stream.get_final_text()

            try:
                await client.messages.count_tokens(model="small", messages=[user])
            except anthropic.NotFoundError as error:
                refused = "is not sent" in str(error)

        return [call.input, called.stop_reason, whole.content[0].text, streamed, refused]

    said, asked, kept = await answered(tmp_path, talk, ASK, "8")

    assert said == [{"number": 4}, "tool_use", "8", "8", True]
    assert len(asked) == len(kept) == 3
    assert [message["role"] for message in asked[1]["messages"]] == ["user", "assistant", "tool"]


async def test_the_sdk_of_anthropic_understands_the_simulated_provider() -> None:
    anthropic = importlib.import_module("anthropic")
    faults = {4: Fault.TOOL_CALL, 5: Fault.OVERLOADED, 6: Fault.REFUSAL}
    options = SimulatorOptions(
        latency_s=0.0, answers=("forty-two",), reasoning="hm, let me see", faults_at=faults
    )
    asked: dict[str, Any] = {
        "model": "m",
        "max_tokens": 50,
        "messages": [{"role": "user", "content": "6 x 7?"}],
    }
    async with (
        SimulatedProvider(options) as provider,
        anthropic.AsyncAnthropic(base_url=provider.origin, api_key="k", max_retries=0) as client,
    ):
        plain = await client.messages.create(**asked, system="Be brief.")
        thinking = {"type": "enabled", "budget_tokens": 1024}
        async with client.messages.stream(**asked, thinking=thinking) as stream_:
            streamed = await stream_.get_final_message()

        cut = await client.messages.create(**{**asked, "max_tokens": 1})
        async with client.messages.stream(**asked) as stream_:
            called = await stream_.get_final_message()

        with pytest.raises(anthropic.APIStatusError) as overloaded:
            await client.messages.create(**asked)

        refused = await client.messages.create(**asked)
        with pytest.raises(anthropic.BadRequestError, match="max_tokens"):
            await client.post("/v1/messages", body={"model": "m"}, cast_to=object)

    assert plain.content[0].text == "forty-two"
    assert (plain.stop_reason, plain.usage.output_tokens) == ("end_turn", 3)
    thought, sealed, answer = streamed.content
    assert sealed.type == "redacted_thinking"
    assert (thought.thinking, thought.signature) == ("hm, let me see", "signed")
    assert (answer.text, streamed.usage.output_tokens) == ("forty-two", 7)
    assert streamed.usage.output_tokens_details.thinking_tokens == 4
    assert (cut.stop_reason, called.stop_reason) == ("max_tokens", "tool_use")
    assert called.content[0].input == {"a": 1}
    assert overloaded.value.status_code == 529
    assert (refused.stop_reason, refused.stop_details.category) == ("refusal", "bio")


# --- servers of tools --------------------------------------------------------------------------

OFFICIAL = '''
from mcp.server import MCPServer

server = MCPServer("numbers")

@server.tool()
def double(number: int) -> int:
    """Double a number."""
    return 2 * number

server.run()
'''


async def test_a_declared_agent_calls_the_tools_of_a_server_made_with_the_official_sdk(
    tmp_path: Path,
) -> None:
    (tmp_path / "official.py").write_text(OFFICIAL)
    tools = [{"mcp": {"command": [sys.executable, "official.py"]}}]
    asked: list[Any] = []
    async with http_server(provider(ASK, "8", asked=asked)) as url:
        study = chat_study(tmp_path, chat(url, tools=tools), factors=())
        (result,) = await run(study)

    assert result.error is None
    assert result.outputs == {"text": "8", "outcome": "answered", "turns": 2}
    told = asked[0]["tools"][0]["function"]
    assert (told["name"], told["description"]) == ("double", "Double a number.")
    assert told["parameters"]["properties"]["number"]["type"] == "integer"
    assert asked[1]["messages"][-1]["content"] == "8"
