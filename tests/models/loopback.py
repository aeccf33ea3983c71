"""Servers on loopback for tests of what speaks HTTP: real sockets, answers written in the test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio
import orjson
from aiohttp import web
from anyio.abc import SocketAttribute, SocketStream

from penstock.models.chat_model import ChatMessage, Completion, CompletionRequest
from penstock.models.openai.client import OpenAIChatModel

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

CANARY = "sk-canary-0123456789abcdef"
REQUEST = CompletionRequest(
    model="some-model", messages=(ChatMessage(role="user", content="What is 6 x 7?"),)
)
ANSWER: dict[str, Any] = {
    "id": "chatcmpl-1",
    "model": "some-model-2026",
    "system_fingerprint": "fp_1",
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "42"}, "finish_reason": "stop"}
    ],
    "usage": {"prompt_tokens": 12, "completion_tokens": 3},
}


@asynccontextmanager
async def http_server(handler: Handler) -> AsyncIterator[str]:
    """Serve chat completions by a function; gives the base URL."""
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(application, shutdown_timeout=0.01)  # 0 would wait for ever
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0, backlog=1024)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def tcp_server(answer: Callable[[SocketStream], Awaitable[None]]) -> AsyncIterator[str]:
    """Do as the function says with each connection, once a request has come on it."""

    async def serve(stream: SocketStream) -> None:
        gone = suppress(anyio.BrokenResourceError, anyio.EndOfStream)
        async with stream:
            with gone:
                await stream.receive(2**20)
                await answer(stream)

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, serve)
        port = listener.extra(SocketAttribute.local_port)
        yield f"http://127.0.0.1:{port}/v1"
        group.cancel_scope.cancel()


def answers(
    body: Any = None, *, status: int = 200, headers: dict[str, str] | None = None
) -> Handler:
    """Make a handler that always answers the same: JSON of anything, or bytes as they are."""
    data = body if isinstance(body, bytes) else orjson.dumps(ANSWER if body is None else body)

    async def handler(_request: web.Request) -> web.Response:
        return web.Response(
            body=data, status=status, headers=headers, content_type="application/json"
        )

    return handler


async def ask(base_url: str, request: CompletionRequest = REQUEST, **options: Any) -> Completion:
    """Ask once, with a key that must never be seen again."""
    given: dict[str, Any] = {"api_key": CANARY, "key_name": "SOME_KEY", "timeout_s": 10.0}
    async with OpenAIChatModel(base_url, **(given | options)) as model:
        return await model.complete(request)
