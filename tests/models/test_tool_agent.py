"""Declared chat agents that call tools."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import penstock as ps
from tests.models.loopback import http_server
from tests.models.studies import chat, chat_study, rows
from tests.models.test_conversing import Turn, provider

pytestmark = pytest.mark.anyio

TOOLS = '''
def double(number: int) -> int:
    """Double a number."""
    return 2 * number


def positional(number, /):
    return number
'''
ASK: Turn = [("double", {"number": 4})]


async def answered(
    tmp_path: Path, *turns: Turn, **fields: Any
) -> tuple[ps.RunResult, ps.Study, list[Any]]:
    (tmp_path / "tools.py").write_text(TOOLS)
    asked: list[Any] = []
    async with http_server(provider(*turns, asked=asked)) as url:
        agent = chat(url, **{"tools": ["tools.py:double"], **fields})
        study = chat_study(tmp_path, agent, factors=())
        (result,) = await ps.arun_study(study, show_progress=False)

    return result, study, asked


async def test_a_declared_agent_calls_tools_until_it_answers(tmp_path: Path) -> None:
    result, study, asked = await answered(tmp_path, ASK, "8", system="Use the tool.")

    assert result.outputs == {"text": "8", "outcome": "answered", "turns": 2}
    assert [message["role"] for message in asked[1]["messages"]] == [
        "system",
        "user",
        "assistant",
        "tool",
    ]
    assert asked[0]["tools"][0]["function"]["description"] == "Double a number."
    (event,) = rows(study, "SELECT * FROM events WHERE event_type = 'tool_call'")
    assert (event["tool_name"], event["text"]) == ("double", "8")
    assert rows(study, "SELECT count(*) AS n FROM calls") == [{"n": 2}]
    assert result.metrics["output_tokens"] == 6


async def test_it_is_asked_no_more_often_than_it_may(tmp_path: Path) -> None:
    result, _, asked = await answered(tmp_path, ASK, ASK, ASK, max_turns=2)

    assert (result.outputs["outcome"], result.outputs["turns"]) == ("max_turns", 2)
    assert result.outputs["tool_calls"][0]["name"] == "double"
    assert len(asked) == 2


@pytest.mark.parametrize("on_refusal", ["fail", "keep"])
async def test_a_model_that_declines_in_the_end_is_told_as_ever(
    tmp_path: Path, on_refusal: str
) -> None:
    refusal = {"message": {"content": None, "refusal": "Rather not."}, "finish_reason": "stop"}
    result, _, _ = await answered(tmp_path, ASK, refusal, on_refusal=on_refusal)

    if on_refusal == "keep":
        assert result.outputs == {"text": "Rather not.", "is_refusal": True}
    else:
        assert result.error is not None
        assert result.error.kind == "RefusalError"


async def test_its_last_answer_follows_the_schema(tmp_path: Path) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    result, _, _ = await answered(tmp_path, ASK, '{"n": 8}', json_schema=schema)

    assert (result.outputs["n"], result.outputs["outcome"]) == (8, "answered")


async def test_other_code_of_a_tool_is_told_in_the_next_session(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, study, _ = await answered(tmp_path, ASK, "8")
    (tmp_path / "tools.py").write_text(TOOLS.replace("2 *", "3 *"))
    async with http_server(provider("8", asked=[])):
        runner = ps.StudyRunner(study)
        with runner.watch() as stream:
            await runner.run()
            started = (await stream.batch())[0]

    assert "made by other code" in " ".join(getattr(started, "warnings", ()))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"tools": ["double"]}, "'double' is not a reference"),
        ({"tools": ["tools.py:nothing"]}, "a tool of agent 'gpt'"),
        ({"tools": ["tools.py:positional"]}, "tool 'positional': .* cannot be given by name"),
        ({"tools": ["tools.py:double", "tools.py:double"]}, "two tools are called 'double'"),
        ({"max_turns": 0}, "max_turns"),
    ],
)
def test_tools_that_cannot_be_called_are_told_before_anything_runs(
    tmp_path: Path, fields: dict[str, Any], said: str
) -> None:
    (tmp_path / "tools.py").write_text(TOOLS)
    with pytest.raises(ps.ValidationError, match=said):
        ps.StudyRunner(chat_study(tmp_path, chat("http://127.0.0.1:9/v1", **fields)))


def test_a_judge_calls_no_tools(tmp_path: Path) -> None:
    judge = {"base_url": "http://127.0.0.1:9/v1", "model": "m", "prompt": "?", "tools": ["a.py:b"]}
    with pytest.raises(ps.ValidationError, match="tools: a judge has no tools"):
        chat_study(tmp_path, chat("http://127.0.0.1:9/v1"), evaluators={"g": {"judge": judge}})
