"""What is used of the SDK of the Model Context Protocol; imported when a server is needed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TextIO

import httpx2
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client

__all__ = ["Client", "MCPError", "process", "remote"]

_SESSION = "mcp-session-id"
_NOT_FOUND = 404
_REFUSALS = frozenset({401, 403, 408, 410, 429})


@asynccontextmanager
async def process(
    command: Sequence[str], env: Mapping[str, str], cwd: Path, said: TextIO
) -> AsyncIterator[Any]:
    """Give what connects a client to a process that it starts.

    Args:
        command: What starts it.
        env: Variables of its environment, beside those that any program needs.
        cwd: Its folder.
        said: Takes what it writes to stderr.
    """
    name, *arguments = command
    parameters = StdioServerParameters(command=name, args=arguments, env=dict(env), cwd=cwd)
    yield stdio_client(parameters, errlog=said)


@asynccontextmanager
async def remote(
    url: str, headers: Mapping[str, str], timeout_s: float, _: TextIO
) -> AsyncIterator[Any]:
    """Give what connects a client to a server that runs already.

    Args:
        url: Its address.
        headers: What is sent with each request.
        timeout_s: How long one may take, in seconds.
    """
    async with httpx2.AsyncClient(headers=dict(headers), timeout=timeout_s) as http:
        http.event_hooks = {"response": [_refuse]}
        yield streamable_http_client(url, http_client=http)


async def _refuse(response: httpx2.Response) -> None:
    """End the connection where it is not a tool that fails: the SDK would say that it was one.

    Raises:
        ConnectionError: the server, or what stands before it, answers no call, or has forgotten
            the session. Older ones refuse the question for their version, which counts for nothing.
    """
    asked = response.request
    if asked.method != "POST" or b"server/discover" in asked.content:
        return

    is_forgotten = response.status_code == _NOT_FOUND and _SESSION in asked.headers
    if is_forgotten or response.status_code in _REFUSALS or response.is_server_error:
        raise ConnectionError(f"it answered {response.status_code} {response.reason_phrase}")
