"""Tools that a model may call: functions, told to it by their signature and docstring."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field, make_dataclass
from functools import partial
from math import inf
from types import NoneType
from typing import Annotated, Any, get_type_hints

import anyio
import pydantic

from penstock._base.json import decode, encode
from penstock._base.pydantic_errors import in_one_sentence
from penstock.agents.worker_threads import run_in_thread
from penstock.errors import BindingError
from penstock.models.chat_model import ToolCall
from penstock.study.tool_server import McpServer

__all__ = ["GivenTool", "McpServer", "Tool", "tools_of"]

_CONTEXT = "ctx"
"""A parameter of this name is given the run, and is not told to the model."""

_ARGUMENT = re.compile(r"^\s*(\w+)(?:\s*\([^)]*\))?:\s*(.+)$")


class Tool:
    """A function that a model may call.

    Args:
        name: What the model calls it.
        description: What it does, as the model is told.
        schema: The JSON schema of its arguments.
        function: Takes the arguments by name; async, or plain and then run in a thread.
    """

    def __init__(
        self,
        name: str,
        description: str,
        schema: Mapping[str, Any],
        function: Callable[..., Any],
    ) -> None:
        self.name = name
        self.description = description
        self.schema = schema
        self._function = function
        self._arguments: pydantic.TypeAdapter[Any] | None = None
        self._takes_context = _CONTEXT in inspect.signature(function).parameters

    @classmethod
    def of(cls, function: Callable[..., Any]) -> Tool:
        """Make a tool of a function.

        Its parameters are told with their annotations and defaults, and what its docstring says
        of each under ``Args:``; what the docstring says before that is the description.

        Raises:
            BindingError: the function takes arguments that cannot be given by name, or one of a
                type that JSON cannot hold.
        """
        name = getattr(function, "__name__", type(function).__name__)
        said, meanings = _described(inspect.getdoc(function) or "")
        try:
            arguments = _arguments_of(name, function, meanings)
            schema = arguments.json_schema()
        except (pydantic.errors.PydanticUserError, NameError, TypeError) as error:
            raise BindingError(f"tool {name!r}: its signature cannot be told: {error}") from error

        schema.pop("title", None)
        for each in schema.get("properties", {}).values():
            each.pop("title", None)

        tool = cls(name, said, schema, function)
        tool._arguments = arguments
        return tool

    @property
    def told(self) -> dict[str, Any]:
        """What the model is told of it, as chat completions have it."""
        function = {"name": self.name, "description": self.description, "parameters": self.schema}
        return {"type": "function", "function": function}

    async def call(self, call: ToolCall, ctx: object = None) -> str:
        """Call the function as a model asks, and return what it gives as text.

        Args:
            call: What the model asks for.
            ctx: The run, for a function that takes it.

        Raises:
            ValueError: the arguments are not those of the function.
            Exception: whatever the function raises.
        """
        given = self._read(call.arguments)
        if self._takes_context:
            given[_CONTEXT] = ctx

        ready = partial(self._function, **given)
        if inspect.iscoroutinefunction(self._function):
            result = await ready()
        else:
            result = await run_in_thread(ready, _threads())

        return result if isinstance(result, str) else encode(result, "result")

    def _read(self, written: str) -> dict[str, Any]:
        try:
            given = decode(written or "{}")
        except (ValueError, RecursionError) as error:
            raise ValueError(f"the arguments are not JSON: {error}") from None

        if not isinstance(given, dict):
            raise ValueError(f"the arguments are {given!r}, not an object")  # noqa: TRY004

        if self._arguments is None:
            return given

        try:
            return dict(vars(self._arguments.validate_python(given)))
        except pydantic.ValidationError as error:
            raise ValueError(in_one_sentence(error)) from None


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
            raise BindingError(f"two tools are called {tool.name!r}; give one another name")

        tools[tool.name] = tool

    return tools


def _threads() -> anyio.CapacityLimiter:
    return anyio.CapacityLimiter(inf)  # runs in flight bound them


def _arguments_of(
    name: str, function: Callable[..., Any], meanings: Mapping[str, str]
) -> pydantic.TypeAdapter[Any]:
    """Return what reads the arguments of a function: a dataclass has any names, a model has not."""
    hints = get_type_hints(function, include_extras=True)
    fields: list[Any] = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name == _CONTEXT:
            continue

        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise BindingError(f"tool {name!r}: {parameter} cannot be given by name")

        kind = hints.get(parameter.name, Any)
        if meaning := meanings.get(parameter.name):
            kind = Annotated[kind, pydantic.Field(description=meaning)]

        fields.append((parameter.name, kind, _field(parameter.default)))

    made: Any = make_dataclass(name, fields, kw_only=True)
    made.__pydantic_config__ = pydantic.ConfigDict(extra="forbid", arbitrary_types_allowed=False)
    return pydantic.TypeAdapter(made)


def _field(default: Any) -> Any:
    """Make the field of an argument; a dataclass takes no list, or its like, for a default."""
    if default is inspect.Parameter.empty:
        return field()

    is_plain = isinstance(default, (str, int, float, bool, tuple, NoneType))
    return field(default=default) if is_plain else field(default_factory=lambda: default)


def _described(docstring: str) -> tuple[str, dict[str, str]]:
    """Split a docstring into what the function does and what each argument means."""
    said, _, rest = docstring.partition("\nArgs:")
    return " ".join(said.split()), dict(_meanings(rest))


def _meanings(section: str) -> Iterator[tuple[str, str]]:
    name, words = "", list[str]()
    for line in section.splitlines():
        if line and not line[0].isspace():
            break  # the next section

        if found := _ARGUMENT.match(line):
            if name:
                yield name, " ".join(words)

            name, words = found[1], [found[2].strip()]
        elif line.strip():
            words.append(line.strip())

    if name:
        yield name, " ".join(words)
