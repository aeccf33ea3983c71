"""Tools of servers that speak the Model Context Protocol, through its own SDK (extra ``mcp``).

A session of a run ends with its attempt, one of the study with it.
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

import anyio

from penstock._base.extras import load_extra
from penstock._base.loop import OwnTask
from penstock.agents.context import RunContext
from penstock.errors import ValidationError
from penstock.models.conversations.tool_session import ToolFailedError, ToolServerError, ToolSession
from penstock.models.conversations.tools import GivenTool, Tool, tools_of
from penstock.study.tool_server import McpServer

__all__ = ["ToolFailedError", "ToolServerError", "ToolServers"]


class ToolServers:
    """Starts the tool servers of a study, and gives their tools to runs.

    Args:
        base_dir: The study's folder.
        fill: Puts in what ``${NAME}`` stands for, given a field and its text.
    """

    def __init__(self, base_dir: Path, fill: Callable[[str, str], str]) -> None:
        self._base_dir = base_dir
        self._fill = fill
        self._shared: dict[str, ToolSession] = {}
        self._of_runs: dict[RunContext, dict[str, ToolSession]] = {}
        self._open: dict[ToolSession, OwnTask] = {}

    def check(self, server: McpServer) -> None:
        """See that a server can be started, as far as that is known without starting it.

        Raises:
            ValidationError: the SDK is not installed, there is no such command, or no variable.
        """
        if find_spec("mcp") is None:
            load_extra("mcp", extra="mcp", what=f"{server}")

        if server.url is not None:
            self._fill("url", server.url)
            self._headers(server)
            return

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
            ctx.calls.has_failed_in_passing = True
            raise session.error

        return session.tools()

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

    def _session(self, server: McpServer, ctx: RunContext) -> ToolSession:
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

    def _start(self, server: McpServer) -> ToolSession:
        sdk = load_extra("penstock.models.conversations.mcp_sdk", extra="mcp", what=f"{server}")
        session = ToolSession(server)
        if server.url is None:
            connect = partial(
                sdk.process, server.command, self._environment(server), self._base_dir
            )
        else:
            address = self._fill("url", server.url)
            connect = partial(sdk.remote, address, self._headers(server), server.timeout_s)

        self._open[session] = OwnTask(
            session.live(connect, sdk),
            name=f"{server}",
            on_end=partial(self._forget, session),
        )
        return session

    def _forget(self, session: ToolSession) -> None:
        self._open.pop(session, None)

    def _environment(self, server: McpServer) -> dict[str, str]:
        return {name: self._fill(f"env.{name}", text) for name, text in server.env.items()}

    def _headers(self, server: McpServer) -> dict[str, str]:
        return {name: self._fill(f"headers.{name}", text) for name, text in server.headers.items()}
