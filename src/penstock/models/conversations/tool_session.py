"""A tool server that a run, or a study, talks with, through the SDK of its protocol.

It lives in a task of its own, as the SDK wants whoever opens a connection to close it, and a run
may be cancelled anywhere.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from tempfile import TemporaryFile
from typing import Any, TextIO

import anyio

from penstock._base.json import encode
from penstock._base.text import printable
from penstock.errors import BindingError, RunFault, message_of
from penstock.models.chat_model import Image
from penstock.models.conversations.tools import Tool
from penstock.models.prompts.images import ImageError, data_of
from penstock.study.tool_server import McpServer

__all__ = ["ToolFailedError", "ToolServerError", "ToolSession"]

Connect = Callable[[TextIO], AbstractAsyncContextManager[Any]]

_TOLD_BYTES = 2000
_MOST_PAGES = 100
_CONNECTION_CLOSED = -32000
_NOT_OF_NAMES = re.compile(r"[^A-Za-z0-9_-]")
_MOST_OF_NAME = 64


class ToolServerError(RunFault):
    """A tool server did not start, or ended while a run needed it; the attempt fails."""

    retryable = True


class ToolFailedError(Exception):
    """A tool says that it failed; the model is told, and may try again."""


class ToolSession:
    """A server that runs, and its tools.

    Args:
        server: What is declared of it.

    Attributes:
        is_ready: Set once its tools are known, or it has failed.
        error: Why it is of no use, or of none any more.
    """

    def __init__(self, server: McpServer) -> None:
        self.server = server
        self.is_ready = anyio.Event()
        self.error: ToolServerError | None = None
        self._tools: dict[str, Tool] = {}
        self._why = ""
        self._is_over = anyio.Event()
        self._has_ended = anyio.Event()
        self._scope = anyio.CancelScope()
        self._client: Any = None

    def close(self) -> None:
        """End it; its process is waited for, and killed where it does not end."""
        self._is_over.set()
        if not self.is_ready.is_set():
            self._scope.cancel()

    async def live(self, connect: Connect, sdk: Any) -> None:
        """Run the server, or be connected to it, until it is closed.

        Args:
            connect: Gives what connects the SDK's client to it; takes a file for its stderr.
            sdk: What is used of the SDK.
        """
        with TemporaryFile("w+", encoding="utf-8", errors="replace") as said:
            failure = None
            try:
                with self._scope:
                    await self._serve(connect, sdk, said)
            except Exception as error:  # noqa: BLE001 - an SDK and a foreign program
                failure = error
            finally:
                self._end(failure, said)

    def tools(self) -> list[Tool]:
        """Return the tools that the model is to be told of.

        Raises:
            BindingError: there are none, or one that is named is not there.
        """
        wanted = self.server.tools
        missing = [name for name in wanted if name not in self._tools]
        if missing or not self._tools:
            said = f"no tool {', '.join(map(repr, missing))}" if missing else "no tools"
            known = ", ".join(self._tools) or "none"
            raise BindingError(f"{self.server} has {said} (tools: {known})")

        return [self._tools[name] for name in wanted or self._tools]

    async def _serve(self, connect: Connect, sdk: Any, said: TextIO) -> None:
        async with (
            connect(said) as transport,
            sdk.Client(transport, read_timeout_seconds=self.server.timeout_s) as client,
        ):
            async for told in _tools_of(client):
                self._tools[told.name] = self._tool(told, sdk)

            self._client = client
            self.is_ready.set()
            await self._is_over.wait()

    def _end(self, failure: Exception | None, said: TextIO) -> None:
        """Note why it is over, and tell who waits for it."""
        said.seek(0)
        words = printable(said.read()[-_TOLD_BYTES:].strip())
        self._why = "" if failure is None else f": {_first_of(failure)}"
        self._why += f"; it wrote: {words}" if words else ""
        what = "ended" if self._client is not None else "did not start"
        if self._client is None and failure is None:
            what += f" within timeout_s={self.server.timeout_s:g}"

        self.error = self.error or ToolServerError(f"{self.server} {what}{self._why}")
        self.is_ready.set()
        self._has_ended.set()

    def _tool(self, told: Any, sdk: Any) -> Tool:
        call = partial(self._call, told.name, sdk)

        async def function(**arguments: Any) -> Any:
            return await call(arguments)

        name = _NOT_OF_NAMES.sub("_", f"{self.server.prefix}{told.name}")[:_MOST_OF_NAME]
        return Tool(name, told.description or "", told.input_schema, function)

    async def _call(self, name: str, sdk: Any, arguments: dict[str, Any]) -> Any:
        try:
            result = await self._client.call_tool(name, arguments)
        except (anyio.ClosedResourceError, anyio.BrokenResourceError) as error:
            raise await self._lost(name) from error
        except sdk.MCPError as error:
            if error.code == _CONNECTION_CLOSED:
                raise await self._lost(name) from error

            raise ToolFailedError(message_of(error)) from error

        parts = [self._content(part) for part in result.content]
        if result.is_error or not any(isinstance(part, Image) for part in parts):
            text = "\n".join(map(_in_words, result.content))
            text = text or _in_json(result.structured_content)
            if result.is_error:
                raise ToolFailedError(text)

            return text

        return parts

    def _content(self, part: Any) -> str | Image:
        """Return a part of a result as the model gets it: as an image where it may see those."""
        if part.type == "image" and self.server.images:
            image = Image(url=f"data:{part.mime_type};base64,{part.data}")
            try:
                data_of(image.url)
            except ImageError:
                return _in_words(part)

            return image

        return _in_words(part)

    async def _lost(self, name: str) -> ToolServerError:
        what = f"{self.server} ended while its tool {name!r} was called"
        self.error = ToolServerError(what)  # no other run is to have it
        self.close()
        await self._has_ended.wait()
        return ToolServerError(f"{what}{self._why}")


async def _tools_of(client: Any) -> AsyncIterator[Any]:
    cursor = None
    for _ in range(_MOST_PAGES):
        page = await client.list_tools(cursor=cursor)
        for each in page.tools:
            yield each

        cursor = page.next_cursor
        if not cursor:
            return


def _in_words(part: Any) -> str:
    """Write a part of a result as the text that a model is told; what is not text is described."""
    if part.type == "text":
        return str(part.text)

    if part.type == "resource" and getattr(part.resource, "text", None):
        return str(part.resource.text)

    return f"[{part.type} {getattr(part, 'mime_type', None) or getattr(part, 'uri', '')}]".strip()


def _in_json(structured: Any) -> str:
    return "" if structured is None else encode(structured)


def _first_of(error: BaseException) -> str:
    """Write the first failure of a group as a sentence."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]

    return f"{type(error).__name__}: {message_of(error)}"
