"""Sends a reply over HTTP, with whatever is to go wrong on the way."""

from __future__ import annotations

from collections.abc import Iterator

import anyio
from aiohttp import web

from penstock.simulator.exchange import Reply
from penstock.simulator.faults import Fault
from penstock.simulator.simulator_options import SimulatorOptions

__all__ = ["drop", "send"]

_DRIPS = 20
_PLAIN = frozenset({Fault.CUT_OFF, Fault.STALLED, Fault.SLOW_DRIP})
"""The faults that happen on the way."""


def drop(request: web.Request) -> web.Response:
    """Close the connection; what is returned is for aiohttp only and is sent to nobody."""
    if request.transport is not None:
        request.transport.close()

    return web.Response(status=503)


async def send(
    request: web.Request, reply: Reply, headers: dict[str, str], options: SimulatorOptions
) -> web.StreamResponse:
    """Send a reply whose time has come."""
    headers["Content-Type"] = "text/event-stream" if reply.is_streamed else "application/json"
    if not reply.is_streamed and reply.fault not in _PLAIN:
        return web.Response(status=reply.status, body=b"".join(reply.pieces), headers=headers)

    response = web.StreamResponse(status=reply.status, headers=headers)
    if not reply.is_streamed:
        response.content_length = sum(map(len, reply.pieces))

    await response.prepare(request)
    for piece, pause_s in _paced(reply, options):
        if pause_s:
            await anyio.sleep(pause_s)

        if piece:
            await response.write(piece)

    if reply.fault is Fault.CUT_OFF and request.transport is not None:
        request.transport.close()

    return response


def _paced(reply: Reply, options: SimulatorOptions) -> Iterator[tuple[bytes, float]]:
    """Cut a body into pieces, each with the pause before it."""
    body = b"".join(reply.pieces)
    middle = len(body) // 2
    if reply.fault is Fault.CUT_OFF:
        yield body[:middle], 0.0
    elif reply.fault is Fault.STALLED:
        yield body[:middle], 0.0
        yield body[middle:], options.stall_s
    elif reply.fault is Fault.SLOW_DRIP:
        size = max(1, -(-len(body) // _DRIPS))
        starts = range(0, len(body), size)
        for start in starts:
            yield body[start : start + size], options.drip_s / len(starts)
    elif reply.pause_s:
        for piece in reply.pieces:
            yield piece, 0.0 if piece is reply.pieces[0] else reply.pause_s
    else:
        yield reply.pieces[0], 0.0
        yield b"".join(reply.pieces[1:]), 0.0
