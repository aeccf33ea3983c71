"""Tools: functions as a model is told of them, and as it calls them."""

from __future__ import annotations

import threading
from typing import Any, Literal

import pytest

import penstock as ps
from penstock.models.chat_model import ToolCall
from penstock.models.conversations.tools import Tool, tools_of

pytestmark = pytest.mark.anyio


async def search(
    query: str,
    kind: Literal["book", "map"] = "book",
    copy: bool = False,
    tags: list[str] = [],  # noqa: B006
    ctx: object = None,
) -> list[str]:
    """Search the library.

    It is a small one.

    Args:
        query: What is looked for,
            in words.
        kind (str): What it is.

    Returns:
        Titles.
    """
    return [query, kind, str(copy), *tags, str(ctx)]


def asked(arguments: str, name: str = "search") -> ToolCall:
    return ToolCall(id="call-1", name=name, arguments=arguments)


def test_a_function_is_told_by_its_signature_and_its_docstring() -> None:
    assert Tool.of(search).told == {
        "type": "function",
        "function": {
            "name": "search",
            "description": "Search the library. It is a small one.",
            "parameters": {
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    "query": {"type": "string", "description": "What is looked for, in words."},
                    "kind": {
                        "type": "string",
                        "enum": ["book", "map"],
                        "default": "book",
                        "description": "What it is.",
                    },
                    "copy": {"type": "boolean", "default": False},
                    "tags": {"type": "array", "items": {"type": "string"}},
                },
                "required": ["query"],
            },
        },
    }


async def test_arguments_are_read_by_the_types_of_the_function() -> None:
    tool = Tool.of(search)

    assert await tool.call(asked('{"query": "bees", "copy": true}'), "me") == (
        '["bees","book","True","me"]'
    )
    for wrong, said in (
        ('{"query": 5}', "valid string"),
        ('{"query": "q", "sort": 1}', "sort"),
        ('{"query": "q", "ctx": 1}', "ctx"),
        ("[1]", "not an object"),
        ("{", "JSON"),
    ):
        with pytest.raises(ValueError, match=said):
            await tool.call(asked(wrong))


async def test_a_plain_function_runs_in_a_thread_and_a_text_stays_as_it_is() -> None:
    def where() -> str:
        return threading.current_thread().name

    assert await Tool.of(where).call(asked("{}")) != threading.current_thread().name


async def test_a_tool_may_say_all_of_it_itself() -> None:
    async def add(**numbers: float) -> dict[str, float]:
        return {"sum": sum(numbers.values())}

    schema = {"type": "object", "properties": {"a": {"type": "number"}}}
    tool = Tool("plus", "Add numbers.", schema, add)

    assert tool.told["function"] == {
        "name": "plus",
        "description": "Add numbers.",
        "parameters": schema,
    }
    assert await tool.call(asked('{"a": 1, "b": 2}')) == '{"sum":3}'


def test_what_cannot_be_a_tool_is_refused_with_why() -> None:
    def positional(query: str, /) -> str:
        return query

    def unknown(thing: threading.Lock) -> str:
        return str(thing)

    def many(*words: str) -> str:
        return " ".join(words)

    for function, said in (
        (positional, "cannot be given by name"),
        (unknown, "its signature cannot be told"),
        (many, "cannot be given by name"),
    ):
        with pytest.raises(ps.PenstockError, match=said):
            Tool.of(function)

    with pytest.raises(ps.PenstockError, match="two tools are called 'search'"):
        tools_of([search, Tool("search", "", {}, search)])


def test_a_function_without_any_docstring_is_told_all_the_same() -> None:
    def bare(anything: Any) -> Any:
        return anything

    assert Tool.of(bare).told["function"]["parameters"]["properties"] == {"anything": {}}
