"""Tools of servers that speak the Model Context Protocol, each a process of its own."""

from __future__ import annotations

import base64
import importlib.util
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp.server.mcpserver import Context, MCPServer
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

import penstock as ps
from penstock.models.conversations.tool_servers import ToolServers
from penstock.models.conversations.tools import McpServer
from penstock.study.tool_server import ToolSource
from tests.models.loopback import http_server
from tests.models.studies import chat, chat_study, rows
from tests.models.test_conversing import Turn, provider
from tests.models.test_images import png
from tests.models.test_run_model import a_study, run
from tests.served import served

pytestmark = pytest.mark.anyio

BY_HAND = """
import json, os, sys

if "refuse" in sys.argv:
    sys.exit("no license for this machine")

if "sleep" in sys.argv:
    sys.stdin.read()

if "garbage" in sys.argv:
    print("Listening ...", "{not json", '{"jsonrpc": "2.0"}', "", sep=chr(10), flush=True)

asked_before = 0
TOOLS = [
    {"name": name, "description": f"To {name}.", "inputSchema": {"type": "object"}}
    for name in ("count", "fail", "die", "token", "show", "pid", "files/read.v2", "hang", "table")
]
if "empty" in sys.argv:
    TOOLS = []

def page(params):
    if params.get("cursor"):
        return {"tools": TOOLS[3:]}
    return {"tools": TOOLS[:3], "nextCursor": "3"}

def call(name):
    global asked_before
    asked_before += 1
    if name == "die":
        raise RuntimeError("out of memory")
    if name == "table":
        return [], False, {"name": "né", "age": None}
    if name == "show":
        data = open("shot").read() if os.path.exists("shot") else "abcd"
        return [{"type": "image", "mimeType": "image/png", "data": data}], False
    if name == "hang":
        sys.stdin.read()
    if "mortal" in sys.argv and asked_before == 1:
        sys.argv.remove("mortal")
        os.close(0)  # answers, and ends
    told = {"count": asked_before, "token": os.environ.get("TOKEN"), "pid": os.getpid()}
    text = {**told, "files/read.v2": os.getcwd()}.get(name)
    return [{"type": "text", "text": str(text)}], name == "fail"

for line in sys.stdin:
    asked = json.loads(line)
    params = asked.get("params") or {}
    answer = {"jsonrpc": "2.0", "id": asked.get("id")}
    if "id" not in asked:
        continue
    if asked["method"] == "initialize":
        answer["result"] = {
            "protocolVersion": params["protocolVersion"],
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "by hand", "version": "1"},
        }
    elif asked["method"] == "tools/list":
        answer["result"] = page(params)
    elif asked["method"] == "tools/call":
        content, is_error, *structured = call(params["name"])
        answer["result"] = {"content": content, "isError": is_error}
        if structured:
            answer["result"]["structuredContent"] = structured[0]
    else:
        answer["error"] = {"code": -32601, "message": "Method not found"}
    print(json.dumps(answer), flush=True)
"""

REMOTE = {"command": [], "url": "https://a.test/mcp"}


@pytest.fixture
def server(tmp_path: Path) -> dict[str, Any]:
    """A server of tools beside a study, as it is declared."""
    (tmp_path / "server.py").write_text(BY_HAND)
    return {"command": [sys.executable, "server.py"], "timeout_s": 30}


def asks(*names: str) -> Turn:
    return [(name, {}) for name in names]


async def answered(
    tmp_path: Path, tools: list[Any], *turns: Turn, replicates: int = 1, **fields: Any
) -> tuple[list[ps.RunResult], list[Any], ps.Study]:
    """What declared agents say that have such tools, and what their model was asked."""
    asked: list[Any] = []
    async with http_server(provider(*turns, asked=asked)) as url:
        agent = chat(url, tools=tools)
        study = chat_study(tmp_path, agent, factors=(), replicates=replicates, **fields)
        results = list(await run(study, concurrency=1))

    return results, asked, study


async def by_hand(
    tmp_path: Path, given: list[Any], *turns: Turn, **options: Any
) -> tuple[ps.RunResult, list[Any]]:
    """What an agent in Python makes of such tools."""
    asked: list[Any] = []

    async def agent(ctx: ps.RunContext) -> dict[str, Any]:
        talk = await ctx.model("small").run("Go", tools=given)
        return {"results": [use.result for use in talk.tool_uses], "text": talk.text}

    async with http_server(provider(*turns, asked=asked)) as url:
        (result,) = await run(a_study(tmp_path, agent, url, **options))

    return result, asked


async def test_a_declared_agent_calls_the_tools_of_a_server(
    tmp_path: Path, server: dict[str, Any]
) -> None:
    (result,), asked, study = await answered(tmp_path, [{"mcp": server}], asks("count"), "one")

    assert result.error is None
    assert result.outputs == {"text": "one", "outcome": "answered", "turns": 2}
    told = asked[0]["tools"][0]["function"]
    assert told == {"name": "count", "description": "To count.", "parameters": {"type": "object"}}
    assert asked[1]["messages"][-1]["content"] == "1"
    (event,) = rows(study, "SELECT * FROM events WHERE event_type = 'tool_call'")
    assert (event["tool_name"], event["text"]) == ("count", "1")


async def test_functions_and_servers_give_tools_together_and_processes_end_with_the_study(
    tmp_path: Path, server: dict[str, Any]
) -> None:
    async def local() -> str:
        return "here"

    given = [local, McpServer(**server)]
    turn = asks("local", "pid", "token", "show", "fail", "count", "table")
    result, asked = await by_hand(tmp_path, given, turn, "done")

    here, pid, token, shown, failed, count, table = result.outputs["results"]
    assert (here, token, shown) == ("here", "None", "[image image/png]")
    assert table == '{"name":"né","age":null}'
    assert (failed, count) == ("ToolFailedError: None", "5")
    assert [each["function"]["name"] for each in asked[0]["tools"]] == [
        *("local", "count", "fail", "die", "token", "show", "pid", "files_read_v2", "hang", "table")
    ]
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid), 0)


@pytest.mark.parametrize(("session", "counts"), [("run", "1 2 1 2"), ("study", "1 2 3 4")])
async def test_a_run_has_a_server_of_its_own_or_shares_one(
    tmp_path: Path, server: dict[str, Any], session: str, counts: str
) -> None:
    tools = [{"mcp": {**server, "session": session}}]
    turns = (asks("count"), asks("count"), "done")
    results, _, study = await answered(tmp_path, tools, *turns, replicates=2)

    assert [result.error for result in results] == [None, None]
    events = rows(study, "SELECT text FROM events WHERE event_type = 'tool_call'")
    assert " ".join(each["text"] for each in events) == counts


async def test_a_server_that_dies_fails_the_attempt_and_the_next_one_has_another(
    tmp_path: Path, server: dict[str, Any]
) -> None:
    tools = [{"mcp": {**server, "session": "study"}}]
    execution = {"retry": {"attempts": 2, "wait_s": 0.0}}
    (result,), asked, study = await answered(
        tmp_path, tools, asks("die"), "never", execution=execution
    )

    assert result.error is not None
    assert (result.error.kind, result.error.retryable) == ("ToolServerError", True)
    said = "ended while its tool 'die' was called; it wrote: .*RuntimeError: out of memory"
    assert re.search(said, result.error.message, re.DOTALL)
    assert len(rows(study, "SELECT 1 FROM attempts")) == 2
    assert len(asked) == 1  # what was answered before is given again


@pytest.mark.parametrize(
    ("argument", "timeout_s", "said"),
    [
        ("refuse", 30, "did not start: .*it wrote: no license for this machine"),
        ("sleep", 0.2, "did not start"),
    ],
)
async def test_a_server_that_does_not_start_fails_the_run_and_says_what_it_wrote(
    tmp_path: Path, server: dict[str, Any], argument: str, timeout_s: float, said: str
) -> None:
    command = [*server["command"], argument]
    given = McpServer(command=command, timeout_s=timeout_s)
    result, asked = await by_hand(tmp_path, [given], "never")

    assert result.error is not None
    assert (result.error.kind, asked) == ("ToolServerError", [])
    assert re.search(f"the tool server .* {said}", result.error.message)


async def test_only_the_tools_that_are_chosen_are_told(
    tmp_path: Path, server: dict[str, Any]
) -> None:
    given = McpServer(**server, tools=("pid", "count"))
    _, asked = await by_hand(tmp_path, [given], "done")
    assert [each["function"]["name"] for each in asked[0]["tools"]] == ["pid", "count"]

    missing = McpServer(**server, tools=("search",))
    result, _ = await by_hand(tmp_path, [missing], "never", output_dir="missing")
    assert result.error is not None
    assert result.error.message.endswith(
        "has no tool 'search' "
        "(tools: count, fail, die, token, show, pid, files/read.v2, hang, table)"
    )


async def test_a_variable_that_the_environment_knows_is_given_to_a_server_alone(
    tmp_path: Path, server: dict[str, Any]
) -> None:
    (tmp_path / ".env").write_text("SEARCH_TOKEN=s3cr3t")
    given = McpServer(**server, env={"TOKEN": "${SEARCH_TOKEN}"})
    result, _ = await by_hand(tmp_path, [given], asks("token"), "done")

    assert result.outputs["results"] == ["s3cr3t"]


async def test_only_a_conversation_asks_a_server(tmp_path: Path, server: dict[str, Any]) -> None:
    async def agent(ctx: ps.RunContext) -> str:
        await ctx.model("small").chat("Go", tools=[McpServer(**server)])
        return "never"

    (result,) = await run(a_study(tmp_path, agent))

    assert result.error is not None
    assert "only `run` asks a server for its tools" in result.error.message


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"command": ["no-such-command"]}, "there is no command 'no-such-command'"),
        ({"command": []}, "command"),
        ({"env": {"TOKEN": "${NO_SUCH_VARIABLE}"}}, r"no env\.TOKEN: NO_SUCH_VARIABLE is set"),
        ({"env": {"API_KEY": "abc"}}, "API_KEY holds a key"),
        ({"session": "attempt"}, "session"),
        ({"url": "https://a.test/mcp"}, "give one of them"),
        ({"command": [], "url": "a.test"}, "url"),
        ({"headers": {"X-One": "1"}}, "headers: is of servers with a url"),
        (REMOTE | {"env": {"A": "1"}}, "env: is of servers with a command"),
        (REMOTE | {"headers": {"Authorization": "Bearer abcdefgh0123456"}}, "holds a key"),
        (REMOTE | {"headers": {"Authorization": "${NO_SUCH}"}}, r"headers\.Authorization: NO_SUCH"),
        ({"prefix": "a.b"}, "prefix"),
    ],
)
def test_a_server_that_cannot_be_started_is_told_before_anything_runs(
    tmp_path: Path, server: dict[str, Any], fields: dict[str, Any], said: str
) -> None:
    tools = [{"mcp": {**server, **fields}}]
    with pytest.raises(ps.ValidationError, match=said):
        ps.StudyRunner(chat_study(tmp_path, chat("http://127.0.0.1:9/v1", tools=tools)))


def test_without_the_extra_the_error_names_it(
    tmp_path: Path, server: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec
    hidden = lambda name: None if name == "mcp" else found(name)  # noqa: E731
    monkeypatch.setattr("penstock.models.conversations.tool_servers.find_spec", hidden)
    monkeypatch.setitem(sys.modules, "mcp", None)
    with pytest.raises(ps.ValidationError, match=r"needs mcp, .*pip install 'penstock\[mcp\]'"):
        ToolServers(tmp_path, lambda _, text: text).check(McpServer(**server))


def test_a_server_is_told_from_one_with_other_code(tmp_path: Path, server: dict[str, Any]) -> None:
    servers = ToolServers(tmp_path, lambda _, text: text)
    before = servers.fingerprint(McpServer(**server))
    assert servers.fingerprint(McpServer(**server)) == before

    (tmp_path / "server.py").write_text(BY_HAND + "\n")
    assert servers.fingerprint(McpServer(**server)) != before


def test_a_server_is_written_out_as_it_was_declared(tmp_path: Path, server: dict[str, Any]) -> None:
    given = [{"mcp": server}, McpServer(**server, session="study"), "tools.py:f"]
    study = chat_study(tmp_path, chat("http://127.0.0.1:9/v1", tools=given))
    written = study.to_dict()["agents"]["gpt"]["chat"]["tools"]

    assert written == [{"mcp": server}, {"mcp": {**server, "session": "study"}}, "tools.py:f"]
    assert ps.Study(**study.to_dict()).agents == study.agents
    assert isinstance(ps.Study(**study.to_dict()).agents["gpt"].options.tools[0], ToolSource)


async def test_a_server_ends_with_a_run_that_is_cancelled(
    tmp_path: Path, server: dict[str, Any]
) -> None:
    async def agent(ctx: ps.RunContext) -> str:
        talk = await ctx.model("small").run("Go", tools=[McpServer(**server)])
        pids.append(int(talk.tool_uses[0].result))
        runner.cancel()
        await anyio.sleep_forever()
        return "never"

    pids: list[int] = []
    async with http_server(provider(asks("pid"), "done", asked=[])) as url:
        runner = ps.StudyRunner(a_study(tmp_path, agent, url))
        await runner.run()

    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)


async def test_what_a_server_prints_beside_its_answers_is_passed_over(
    tmp_path: Path, server: dict[str, Any]
) -> None:
    given = McpServer(command=[*server["command"], "garbage"], timeout_s=30)
    result, _ = await by_hand(tmp_path, [given], asks("count", "files_read_v2"), "done")

    assert result.error is None
    assert result.outputs["results"] == ["1", str(tmp_path)]


async def test_a_server_without_tools_fails_the_run(tmp_path: Path, server: dict[str, Any]) -> None:
    given = McpServer(command=[*server["command"], "empty"], timeout_s=30)
    result, asked = await by_hand(tmp_path, [given], "never")

    assert result.error is not None
    assert (result.error.kind, asked) == ("BindingError", [])
    assert result.error.message.endswith("has no tools (tools: none)")


async def test_a_call_that_is_not_answered_in_time_is_told_to_the_model(
    tmp_path: Path, server: dict[str, Any]
) -> None:
    given = McpServer(**{**server, "timeout_s": 1.0})
    result, _ = await by_hand(tmp_path, [given], asks("hang"), "done")

    assert result.error is None
    assert result.outputs["results"][0].startswith("ToolFailedError: ")


async def test_a_server_that_ends_between_two_turns_loses_no_turn_that_was_paid(
    tmp_path: Path, server: dict[str, Any]
) -> None:
    tools = [{"mcp": {**server, "command": [*server["command"], "mortal"]}}]
    execution = {"retry": {"attempts": 3, "wait_s": 0.0}}
    (result,), asked, study = await answered(
        tmp_path, tools, asks("count"), asks("count"), "done", execution=execution
    )

    assert (result.error, result.outputs["text"]) == (None, "done")
    assert (result.attempt, len(asked)) == (2, 3)
    events = rows(study, "SELECT text FROM events WHERE event_type = 'tool_call'")
    assert [each["text"] for each in events][-2:] == ["1", "1"]  # the other one counts anew


async def test_tools_of_one_name_are_told_apart_by_a_prefix(
    tmp_path: Path, server: dict[str, Any]
) -> None:
    only = {**server, "tools": ("count",)}
    both = [McpServer(**only), McpServer(**only, env={"A": "b"})]
    result, _ = await by_hand(tmp_path, both, "never")
    assert result.error is not None
    assert result.error.message.endswith("give one another name, and those of a server a prefix")

    both[1] = McpServer(**only, env={"A": "b"}, prefix="other_")
    result, asked = await by_hand(
        tmp_path, both, asks("count", "other_count", "count"), "done", output_dir="told-apart"
    )
    assert result.outputs["results"] == ["1", "1", "2"]
    told = [each["function"]["name"] for each in asked[0]["tools"]]
    assert told == ["count", "other_count"]


@pytest.mark.parametrize(("sees", "told"), [(False, "[image image/png]"), (True, "[image]")])
async def test_a_model_is_shown_the_images_of_a_server_where_it_can_see(
    tmp_path: Path, server: dict[str, Any], sees: bool, told: str
) -> None:
    (tmp_path / "shot").write_text(base64.b64encode(png()).decode())
    given = McpServer(**server, images=sees)
    result, asked = await by_hand(tmp_path, [given], asks("show"), "done")

    assert result.outputs["results"] == [told]
    assert any(message["role"] == "user" for message in asked[1]["messages"][2:]) is sees


@contextmanager
def remote_server() -> Iterator[str]:
    """A server of the official SDK that counts, and knows who asks."""
    tools = MCPServer("remote")

    @tools.tool()
    async def who(context: Context) -> str:
        headers = context.headers or {}
        return headers.get("authorization", "nobody")

    @tools.tool()
    async def fail() -> str:
        raise ValueError("not today")

    with served(tools.streamable_http_app()) as given:
        yield f"{given.client.base_url}/mcp"


@pytest.mark.parametrize("session", ["run", "study"])
async def test_a_server_that_is_there_already_is_asked_over_http(
    tmp_path: Path, session: str
) -> None:
    (tmp_path / ".env").write_text("SEARCH_TOKEN=s3cr3t")
    with remote_server() as url:
        headers = {"Authorization": "Token ${SEARCH_TOKEN}"}
        given: Any = {"url": url, "headers": headers, "session": session, "timeout_s": 30}
        turns = (asks("who", "fail"), "done")
        results, _, study = await answered(tmp_path, [{"mcp": given}], *turns, replicates=2)

    assert [result.error for result in results] == [None, None]
    events = rows(study, "SELECT text FROM events WHERE event_type = 'tool_call'")
    told = sorted(each["text"] for each in events)
    assert told == [*["Token s3cr3t"] * 2, *["ToolFailedError: Error executing tool fail"] * 2]


def refusing(status: int, told: Any, *, always: bool) -> Starlette:
    """A server by hand, which answers calls in JSON, the first of them with a refusal."""
    asked: list[str | None] = []

    async def answer(request: Request) -> Response:
        said = await request.json() if request.method == "POST" else {}
        asked.append(said.get("method"))
        results = {
            "initialize": {
                "protocolVersion": (said.get("params") or {}).get("protocolVersion"),
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "by hand", "version": "1"},
            },
            "tools/list": {"tools": [{"name": "count", "inputSchema": {"type": "object"}}]},
            "tools/call": {"content": [{"type": "text", "text": str(asked.count("tools/call"))}]},
        }
        if always or (asked[-1] == "tools/call" and asked.count("tools/call") == 1):
            return JSONResponse(told, status)

        if (result := results.get(asked[-1] or "")) is None:
            return Response(status_code=202 if "id" not in said else 404)

        body = {"jsonrpc": "2.0", "id": said["id"], "result": result}
        return JSONResponse(body, headers={"mcp-session-id": "s1"})

    return Starlette(routes=[Route("/mcp", answer, methods=["GET", "POST", "DELETE"])])


FORGOTTEN = {"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": "No such session"}}


@pytest.mark.parametrize(("status", "told"), [(404, FORGOTTEN), (503, None), (429, {})])
async def test_a_server_that_answers_no_call_is_not_taken_for_a_tool_that_fails(
    tmp_path: Path, status: int, told: Any
) -> None:
    execution = {"retry": {"attempts": 2, "wait_s": 0.0}}
    with served(refusing(status, told, always=False)) as given:
        tools = [{"mcp": {"url": f"{given.client.base_url}/mcp", "session": "study"}}]
        turns = (asks("count"), "done")
        (result,), asked, study = await answered(tmp_path, tools, *turns, execution=execution)

    assert (result.error, result.attempt, len(asked)) == (None, 2, 2)
    events = rows(study, "SELECT text FROM events WHERE event_type = 'tool_call'")
    assert [each["text"] for each in events] == ["2"]


async def test_a_server_that_lets_nobody_in_says_so(tmp_path: Path) -> None:
    with served(refusing(401, {"error": "invalid_token"}, always=True)) as given:
        url = f"{given.client.base_url}/mcp"
        result, _ = await by_hand(tmp_path, [McpServer(url=url, timeout_s=30)], "never")

    assert result.error is not None
    assert result.error.message.endswith(
        "did not start: ConnectionError: it answered 401 Unauthorized"
    )


async def test_an_address_where_nobody_answers_fails_the_attempt(tmp_path: Path) -> None:
    given = McpServer(url="http://127.0.0.1:9/mcp", timeout_s=30)
    result, asked = await by_hand(tmp_path, [given], "never")

    assert result.error is not None
    assert (result.error.kind, asked) == ("ToolServerError", [])
    assert "http://127.0.0.1:9/mcp' did not start" in result.error.message
