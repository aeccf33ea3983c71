"""Tools that a model may call: functions, told to it by their signature and docstring."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from anyio.lowlevel import RunVar

from penstock._base.json import decode
from penstock._base.threads import WorkerThreads
from penstock.errors import BindingError
from penstock.models.chat_model import ToolCall
from penstock.models.conversations.signatures import Signature, context_parameter
from penstock.models.conversations.tool_results import Content, awaited, content_of_result
from penstock.study.tool_server import McpServer

__all__ = ["GivenTool", "McpServer", "Tool", "arguments_in", "free_choice", "tools_of"]

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""What providers take for the name of a tool."""


class Tool:
    """A function that a model may call.

    Args:
        name: What the model calls it: letters, digits, ``_`` and ``-``, at most 64.
        description: What it does, as the model is told.
        schema: The JSON schema of its arguments.
        function: Takes the arguments by name; async, or plain and then run in a thread. A
            parameter that is called ``ctx``, or annotated as a `RunContext`, is given the run.

    Raises:
        BindingError: no provider takes such a name.
    """

    def __init__(
        self,
        name: str,
        description: str,
        schema: Mapping[str, Any],
        function: Callable[..., Any],
    ) -> None:
        if _NAME.fullmatch(name) is None:
            raise BindingError(
                f"no tool can be called {name!r}: providers take up to 64 letters, digits, '_' and "
                "'-'; give it a name of that kind with Tool(name, description, schema, function)"
            )

        self.name = name
        self.description = description
        self.schema = schema
        self._function = function
        self._signature: Signature | None = None
        self._context = context_parameter(function)

    @classmethod
    def of(cls, function: Callable[..., Any]) -> Tool:
        """Make a tool of a function.

        Its parameters are told with their annotations and defaults, and what the docstring says
        of each, in the style of Google, NumPy or Sphinx; what the docstring says before that is the
        description.

        Raises:
            BindingError: the function takes arguments that cannot be given by name, or one of a
                type that JSON cannot hold.
        """
        signature = Signature.of(function)
        tool = cls(signature.name, signature.description, signature.schema, function)
        tool._signature = signature
        return tool

    @property
    def told(self) -> dict[str, Any]:
        """What the model is told of it, as chat completions have it."""
        described = {"description": self.description} if self.description else {}
        function = {"name": self.name, **described, "parameters": self.schema}
        return {"type": "function", "function": function}

    async def call(self, call: ToolCall, ctx: object = None) -> Content:
        """Call the function as a model asks, and return what it gives as the model is told.

        Args:
            call: What the model asks for.
            ctx: The run, for a function that takes it.

        Raises:
            ValueError: the arguments are not those of the function.
            Exception: whatever the function raises.
        """
        given = arguments_in(call.arguments)
        if self._signature is not None:
            given = self._signature.read(given)

        if self._context is not None:
            given[self._context] = ctx

        ready = partial(self._function, **given)
        if inspect.iscoroutinefunction(self._function):
            result = await ready()
        else:
            result = await _threads().call(partial(_drawn, ready))

        return content_of_result(await awaited(result))


def _drawn(function: Callable[[], Any]) -> Any:
    """Call a function; one that gives its parts in turn gives them here, in its thread."""
    result = function()
    return list(result) if isinstance(result, Iterator) else result


def arguments_in(text: str) -> dict[str, Any]:
    """Read the arguments of a call; models write none as ``null``, and some write text in text.

    Raises:
        ValueError: they are not JSON, or not an object.
    """
    try:
        given = decode(text.strip() or "{}")
        given = decode(given.strip() or "{}") if isinstance(given, str) else given
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the arguments are not JSON: {error}") from None

    if given is None:
        return {}

    if not isinstance(given, dict):
        raise ValueError(f"the arguments are {given!r}, not an object")  # noqa: TRY004

    return given


GivenTool = Tool | McpServer | Callable[..., Any]
"""What an agent may give as a tool, or as a source of tools."""


def tools_of(given: Sequence[GivenTool]) -> dict[str, Tool]:
    """Return tools by their names.

    Raises:
        BindingError: two have one name, or a function cannot be a tool.
    """
    tools: dict[str, Tool] = {}
    for each in given:
        if isinstance(each, McpServer):
            raise BindingError(f"{each}: only `run` asks a server for its tools; give it to that")

        tool = each if isinstance(each, Tool) else Tool.of(each)
        if tool.name in tools:
            raise BindingError(
                f"two tools are called {tool.name!r}; give one another name, and those of a server "
                "a prefix"
            )

        tools[tool.name] = tool

    return tools


def free_choice(extra: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the fields of a request once tools were called: a model that must go on never ends."""
    is_forced = extra.get("tool_choice") not in (None, "auto", "none")
    return {**extra, "tool_choice": None} if is_forced else extra


def _threads() -> WorkerThreads:
    try:
        return _THREADS.get()
    except LookupError:
        threads = WorkerThreads(name="penstock-tool")  # runs in flight bound them
        _THREADS.set(threads)
        return threads


_THREADS = RunVar[WorkerThreads]("penstock-tool")
