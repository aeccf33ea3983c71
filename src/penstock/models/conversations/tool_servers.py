"""Tools of servers that speak the Model Context Protocol, through its own SDK (extra ``mcp``).

A server lives in a task of its own, as the SDK wants whoever opens a connection to close it, and a
run may be cancelled anywhere. A session of a run ends with its attempt, one of the study with it.
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

import anyio

from penstock._base.extras import load_extra
from penstock._base.loop import OwnTask
from penstock._base.text import printable
from penstock.agents.context import RunContext
from penstock.errors import BindingError, RunFault, ValidationError, message_of
from penstock.models.conversations.tools import GivenTool, Tool, tools_of
from penstock.study.tool_server import McpServer

__all__ = ["ToolFailedError", "ToolServerError", "ToolServers"]

_TOLD_BYTES = 2000
_MOST_PAGES = 100


class ToolServerError(RunFault):
    """A tool server did not start, or ended while a run needed it; the attempt fails."""

    retryable = True


class ToolFailedError(Exception):
    """A tool says that it failed; the model is told, and may try again."""


class _Session:
    """A server that runs, and its tools."""

    def __init__(self, server: McpServer) -> None:
        self.server = server
        self.is_ready = anyio.Event()
        self.tools: list[Tool] = []
        self.error: ToolServerError | None = None
        self._is_over = anyio.Event()
        self._scope = anyio.CancelScope()
        self._client: Any = None

    def close(self) -> None:
        """End it; its process is waited for, and killed where it does not end."""
        self._is_over.set()
        if not self.is_ready.is_set():
            self._scope.cancel()

    async def live(self, parameters: Any, sdk: Any) -> None:
        """Run the server until it is closed."""
        with TemporaryFile("w+", encoding="utf-8", errors="replace") as said:
            try:
                with self._scope:
                    await self._serve(parameters, sdk, said)
            except Exception as error:  # noqa: BLE001 - an SDK and a foreign program
                self.error = self.error or self._failure("did not start", error, said)
            finally:
                if self._client is None and self.error is None:
                    within = f"did not start within timeout_s={self.server.timeout_s:g}"
                    self.error = self._failure(within, None, said)

                self.is_ready.set()

    async def _serve(self, parameters: Any, sdk: Any, said: IO[str]) -> None:
        transport = sdk.stdio_client(parameters, errlog=said)
        async with sdk.Client(transport, read_timeout_seconds=self.server.timeout_s) as client:
            self.tools = [self._tool(each, sdk) async for each in _tools_of(client)]
            self._client = client
            self.is_ready.set()
            await self._is_over.wait()

    def _failure(self, what: str, error: Exception | None, said: IO[str]) -> ToolServerError:
        why = "" if error is None else f": {_first_of(error)}"
        said.seek(0)
        words = printable(said.read()[-_TOLD_BYTES:].strip())
        told = f"; it wrote: {words}" if words else ""
        return ToolServerError(f"{self.server} {what}{why}{told}")

    def _tool(self, told: Any, sdk: Any) -> Tool:
        call = partial(self._call, told.name, sdk)

        async def function(**arguments: Any) -> str:
            return await call(arguments)

        return Tool(told.name, told.description or "", told.input_schema, function)

    async def _call(self, name: str, sdk: Any, arguments: dict[str, Any]) -> str:
        try:
            result = await self._client.call_tool(name, arguments)
        except (anyio.ClosedResourceError, anyio.BrokenResourceError) as error:
            raise self._lost(name) from error
        except sdk.MCPError as error:
            if error.code == _CONNECTION_CLOSED:
                raise self._lost(name) from error

            raise ToolFailedError(message_of(error)) from error

        text = "\n".join(map(_in_words, result.content)) or str(result.structured_content or "")
        if result.is_error:
            raise ToolFailedError(text)

        return text

    def _lost(self, name: str) -> ToolServerError:
        self.error = ToolServerError(f"{self.server} ended while its tool {name!r} was called")
        self.close()
        return self.error


class ToolServers:
    """Starts the tool servers of a study, and gives their tools to runs.

    Args:
        base_dir: The study's folder.
        fill: Puts in what ``${NAME}`` stands for, given a field and its text.
    """

    def __init__(self, base_dir: Path, fill: Callable[[str, str], str]) -> None:
        self._base_dir = base_dir
        self._fill = fill
        self._shared: dict[str, _Session] = {}
        self._of_runs: dict[RunContext, dict[str, _Session]] = {}
        self._open: dict[_Session, OwnTask] = {}

    def check(self, server: McpServer) -> None:
        """See that a server can be started, as far as that is known without starting it.

        Raises:
            ValidationError: the SDK is not installed, there is no such command, or no variable.
        """
        if find_spec("mcp") is None:
            load_extra("mcp", extra="mcp", what=f"{server}")

        command = server.command[0]
        if shutil.which(command) is None and not (self._base_dir / command).is_file():
            raise ValidationError(
                [f"{server}: there is no command {command!r}; install it, or write its path"]
            )

        self._environment(server)

    def fingerprint(self, server: McpServer) -> str:
        """Return what tells its code from what it was: the files of the study that it names."""
        hashed = sha256(server.model_dump_json().encode())
        for part in server.command:
            path = self._base_dir / part
            if path.is_file() and path.resolve().is_relative_to(self._base_dir.resolve()):
                hashed.update(path.read_bytes())

        return hashed.hexdigest()[:16]

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Have all servers ended at the end of ``async with``."""
        try:
            yield
        finally:
            with anyio.CancelScope(shield=True):
                for session, task in [*self._open.items()]:
                    session.close()
                    await task.ended.wait()

            self._shared.clear()
            self._of_runs.clear()

    async def tools(self, server: McpServer, ctx: RunContext) -> list[Tool]:
        """Return the tools of a server, which is started where it does not run yet.

        Args:
            server: What is declared of it.
            ctx: The run that needs it.

        Raises:
            ToolServerError: it does not start.
            BindingError: it has not a tool that is named.
        """
        session = self._session(server, ctx)
        with anyio.move_on_after(server.timeout_s):
            await session.is_ready.wait()

        if not session.is_ready.is_set():
            session.close()
            await session.is_ready.wait()

        if session.error is not None:
            raise session.error

        return _chosen(server, session.tools)

    async def tools_of(self, given: Sequence[GivenTool], ctx: RunContext) -> dict[str, Tool]:
        """Return tools by their names, those of servers among them.

        Raises:
            ToolServerError: a server does not start.
            BindingError: two have one name, or one cannot be a tool.
        """
        found: list[GivenTool] = []
        for each in given:
            found += await self.tools(each, ctx) if isinstance(each, McpServer) else [each]

        return tools_of(found)

    def _session(self, server: McpServer, ctx: RunContext) -> _Session:
        held, key = self._shared, server.model_dump_json()
        if server.session == "run":
            if ctx not in self._of_runs:
                ctx.at_end(partial(self._end_those_of, ctx))

            held = self._of_runs.setdefault(ctx, {})

        found = held.get(key)
        if found is None or found.error is not None:
            found = held[key] = self._start(server)

        return found

    def _end_those_of(self, ctx: RunContext) -> None:
        for session in self._of_runs.pop(ctx, {}).values():
            session.close()

    def _start(self, server: McpServer) -> _Session:
        sdk = load_extra("mcp", extra="mcp", what=f"{server}")
        parameters = sdk.StdioServerParameters(
            command=server.command[0],
            args=list(server.command[1:]),
            env=self._environment(server),
            cwd=self._base_dir,
        )
        session = _Session(server)
        self._open[session] = OwnTask(
            session.live(parameters, sdk),
            name=f"{server}",
            on_end=partial(self._forget, session),
        )
        return session

    def _forget(self, session: _Session) -> None:
        self._open.pop(session, None)

    def _environment(self, server: McpServer) -> dict[str, str]:
        return {name: self._fill(f"env.{name}", text) for name, text in server.env.items()}


_CONNECTION_CLOSED = -32000


async def _tools_of(client: Any) -> AsyncIterator[Any]:
    cursor = None
    for _ in range(_MOST_PAGES):
        page = await client.list_tools(cursor=cursor)
        for each in page.tools:
            yield each

        cursor = page.next_cursor
        if not cursor:
            return


def _chosen(server: McpServer, tools: list[Tool]) -> list[Tool]:
    known: Mapping[str, Tool] = {tool.name: tool for tool in tools}
    if missing := [name for name in server.tools if name not in known]:
        said = f"{server} has no tool {', '.join(map(repr, missing))}"
        raise BindingError(f"{said} (tools: {', '.join(known) or 'none'})")

    return [known[name] for name in server.tools] or tools


def _in_words(part: Any) -> str:
    """Write a part of a result as the text that a model is told; what is not text is described."""
    if part.type == "text":
        return str(part.text)

    if part.type == "resource" and getattr(part.resource, "text", None):
        return str(part.resource.text)

    return f"[{part.type} {getattr(part, 'mime_type', None) or getattr(part, 'uri', '')}]".strip()


def _first_of(error: BaseException) -> str:
    """Write the first failure of a group as a sentence."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]

    return f"{type(error).__name__}: {message_of(error)}"
