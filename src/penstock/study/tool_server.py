"""Servers of tools that a study declares: they speak the Model Context Protocol."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from penstock._base.fact import EMPTY, Declaration, Name, Positive, Text
from penstock._base.frozen import FrozenDict
from penstock._base.secrets import looks_like_key, names_secret
from penstock.study.request_fields import refuse_templates

__all__ = ["McpServer", "ToolSource"]


class McpServer(Declaration):
    """A server of tools that speaks the Model Context Protocol.

    One with a command is a process, asked over its stdin and stdout. It is started in the study's
    folder when a run first needs it, with the few variables of the environment that any program
    needs, and those that are given here. One with an address is there already, and is asked over
    streamable HTTP.

    Args:
        command: The command that starts it, as a list.
        env: Further variables of its environment; a value may be ``${NAME}``.
        url: Its address, in place of a command; it may hold ``${NAME}``.
        headers: What is sent to it with each request; a value may hold ``${NAME}``.
        session: Whether each run has a server, or a connection, of its own, or all runs of a
            session of the study share one, which keeps nothing between calls.
        tools: The tools that the model is told of, by the server's own names; all of them where
            not given.
        prefix: What the model is told before their names, where servers have tools of one name.
        images: Whether the model is shown the images that tools return; they are only named where
            it is not.
        timeout_s: How long it may take to start, and how long one call may take, in seconds.
    """

    command: tuple[Name, ...] = ()
    env: Mapping[Name, Text] = EMPTY
    url: Annotated[Text, Field(pattern=r"^(https?://|\$\{)")] | None = None
    headers: Mapping[Name, Text] = EMPTY
    session: Literal["run", "study"] = "run"
    tools: tuple[Name, ...] = ()
    prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{0,40}$")] = ""
    images: bool = False
    timeout_s: Positive = 60.0

    @field_validator("command", "env", "url", "headers")
    @classmethod
    def _holds_no_key(cls, given: Any) -> Any:
        texts = [given] if isinstance(given, str) else given or ()
        pairs = given.items() if isinstance(given, Mapping) else [("", text) for text in texts]
        for name, text in pairs:
            refuse_templates(text, "declare an agent for each")
            if looks_like_key(text) or (names_secret(name) and "${" not in text):
                raise ValueError(f"{name or 'it'} holds a key; write ${{NAME}} for it in env")

        return FrozenDict(given) if isinstance(given, Mapping) else given

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Self:
        if bool(self.command) == (self.url is not None):
            raise ValueError("a tool server has a command, or a url; give one of them")

        wrong = "headers" if self.command and self.headers else ""
        wrong = "env" if self.url is not None and self.env else wrong
        if wrong:
            raise ValueError(
                f"{wrong}: is of servers with a {'url' if self.command else 'command'}"
            )

        return self

    def __str__(self) -> str:
        return f"the tool server {self.url or ' '.join(self.command)!r}"


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
