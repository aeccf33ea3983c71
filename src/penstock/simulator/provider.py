"""A provider of chat models that costs nothing: a server on loopback, with faults to order."""

from __future__ import annotations

from contextlib import AsyncExitStack
from time import monotonic
from types import TracebackType
from typing import Any, Self

import anyio
import orjson
from aiohttp import web

from penstock.simulator.exchange import Arrival, Reply, RequestKind
from penstock.simulator.faults import Fault
from penstock.simulator.records import CLIENT_LEFT, NO_RESPONSE, RequestLog, RequestRecord
from penstock.simulator.sending import drop, send
from penstock.simulator.simulation import Simulation
from penstock.simulator.simulator_options import SimulatorOptions

__all__ = ["SimulatedProvider"]

_MOST_BYTES = 64 * 2**20
_BACKLOG = 4096
"""Connections that may wait to be taken: thousands of clients begin at the same moment."""

_KINDS: dict[str, RequestKind] = {
    "/v1/chat/completions": "chat",
    "/v1/messages": "messages",
    "/v1/embeddings": "embeddings",
}
_PARTING_S = 0.5
"""How long requests in flight may take to end when the server closes."""


class SimulatedProvider:
    """An OpenAI-compatible server; ``async with SimulatedProvider(options) as provider``.

    It answers ``POST /v1/chat/completions``, and ``POST /v1/messages`` as Anthropic does, plain
    and streamed, ``POST /v1/embeddings``, ``GET /v1/models``, and ``GET /stats`` with the totals
    of its log.

    Args:
        options: How it behaves.

    Attributes:
        log: Its requests, on its own clock.
    """

    def __init__(self, options: SimulatorOptions | None = None) -> None:
        self.options = options or SimulatorOptions()
        self._simulation = Simulation(self.options)
        self._arrived = 0
        self._began_s = monotonic()
        self._port = 0
        self._exits = AsyncExitStack()
        self.log = RequestLog(
            kept=self.options.kept_requests,
            path=self.options.log,
            input_usd_per_million=self.options.input_usd_per_million,
            output_usd_per_million=self.options.output_usd_per_million,
        )

    @property
    def origin(self) -> str:
        """The server's address, as ``http://127.0.0.1:8000``."""
        host = self.options.host
        return f"http://[{host}]:{self._port}" if ":" in host else f"http://{host}:{self._port}"

    @property
    def url(self) -> str:
        """What a study writes as ``base_url``."""
        return f"{self.origin}/v1"

    @property
    def records(self) -> list[RequestRecord]:
        """The requests that are over, in the order of their arrival."""
        return sorted(self.log.records)

    def stats(self) -> dict[str, Any]:
        """Return the totals that ``GET /stats`` gives."""
        return self.log.totals()

    def now_s(self) -> float:
        """Read the clock of the log."""
        return monotonic() - self._began_s

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=_MOST_BYTES)
        for path in _KINDS:
            app.router.add_post(path, self._complete)

        app.router.add_get("/v1/models", self._list_models)
        app.router.add_get("/stats", self._show_stats)
        # A client that leaves must not leave its answer waiting here: stalls last for an hour.
        runner = web.AppRunner(
            app, access_log=None, handler_cancellation=True, shutdown_timeout=_PARTING_S
        )
        self._exits.callback(self.log.close)
        self._exits.push_async_callback(runner.cleanup)
        try:
            await runner.setup()
            site = web.TCPSite(runner, self.options.host, self.options.port, backlog=_BACKLOG)
            await site.start()
        except BaseException:
            await self._close()
            raise

        self._port = runner.addresses[0][1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._close()

    async def _close(self) -> None:
        with anyio.CancelScope(shield=True):
            await self._exits.aclose()

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        arrived_s = self.now_s()
        self._arrived += 1
        number, status, reply = self._arrived, CLIENT_LEFT, None
        self.log.begin(arrived_s)
        try:
            body = await request.read()
            key, kind = _authorization(request), _KINDS[request.path]
            arrival = Arrival(number, arrived_s, body, key, self.log.in_flight, kind)
            reply = self._simulation.reply(arrival)
            pause_s = self.options.stall_s if reply.fault is Fault.SILENT else 0.0
            if reply.wait_s + pause_s:
                await anyio.sleep(reply.wait_s + pause_s)

            status = reply.status
            if status == NO_RESPONSE:
                return drop(request)

            headers = reply.headers | {"x-request-id": arrival.request_id}
            return await send(request, reply, headers, self.options)
        finally:
            times_s = arrived_s, self.now_s()
            self.log.end(_record(number, times_s, status, reply))

    async def _list_models(self, _: web.Request) -> web.Response:
        listed = [
            {"id": name, "object": "model", "created": 0, "owned_by": "penstock"}
            for name in self._simulation.models
        ]
        return _json({"object": "list", "data": listed})

    async def _show_stats(self, _: web.Request) -> web.Response:
        return _json(self.stats())


def _authorization(request: web.Request) -> str:
    key = request.headers.get("x-api-key")
    return request.headers.get("Authorization", "") if key is None else f"Bearer {key}"


def _json(value: Any) -> web.Response:
    return web.Response(body=orjson.dumps(value), content_type="application/json")


def _record(
    number: int, times_s: tuple[float, float], status: int, reply: Reply | None
) -> RequestRecord:
    question = None if reply is None else reply.question
    if reply is None or question is None:
        return RequestRecord(number, *times_s, status)

    return RequestRecord(
        number,
        *times_s,
        status,
        fault=reply.fault,
        model=question.model,
        key=question.key,
        problem_id=reply.problem_id,
        attempt=reply.attempt,
        input_tokens=reply.input_tokens,
        output_tokens=reply.output_tokens,
        is_streamed=question.is_streamed,
        request_id=f"sim-{number:08d}",
    )
