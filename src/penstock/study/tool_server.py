"""Servers of tools that a study declares: processes that speak the Model Context Protocol."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, field_validator, model_serializer

from penstock._base.fact import EMPTY, Declaration, Name, Positive, Text
from penstock._base.frozen import FrozenDict
from penstock._base.secrets import looks_like_key, names_secret
from penstock.study.request_fields import refuse_templates

__all__ = ["McpServer", "ToolSource"]


class McpServer(Declaration):
    """A server of tools that speaks the Model Context Protocol over its stdin and stdout.

    It is started in the study's folder when a run first needs it, with the few variables of the
    environment that any program needs, and those that are given here.

    Args:
        command: The command that starts it, as a list.
        env: Further variables of its environment; a value may be ``${NAME}``.
        session: Whether each run has a server of its own, or all runs of a session of the study
            share one, which keeps nothing between calls.
        tools: The tools that the model is told of; all of them where not given.
        timeout_s: How long it may take to start, and how long one call may take, in seconds.
    """

    command: Annotated[tuple[Name, ...], Field(min_length=1)]
    env: Mapping[Name, Text] = EMPTY
    session: Literal["run", "study"] = "run"
    tools: tuple[Name, ...] = ()
    timeout_s: Positive = 60.0

    @field_validator("command", "env")
    @classmethod
    def _holds_no_key(cls, given: Any) -> Any:
        pairs = given.items() if isinstance(given, Mapping) else [("", text) for text in given]
        for name, text in pairs:
            refuse_templates(text, "declare an agent for each")
            if looks_like_key(text) or (names_secret(name) and "${" not in text):
                raise ValueError(f"{name or 'it'} holds a key; write ${{NAME}} for it in env")

        return FrozenDict(given) if isinstance(given, Mapping) else given

    def __str__(self) -> str:
        return f"the tool server {' '.join(self.command)!r}"


class ToolSource(Declaration):
    """Where tools come from that are not functions.

    Args:
        mcp: A server of them.
    """

    mcp: McpServer

    @model_serializer(mode="wrap")
    def _only_what_is_meant(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what is as it is where nothing is said."""
        written: dict[str, Any] = write(self)
        said = self.mcp.model_fields_set
        return {"mcp": {name: value for name, value in written["mcp"].items() if name in said}}
