"""An application that is served over HTTP on loopback, and what it sends."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import httpx
import uvicorn


class Served(NamedTuple):
    """An application that is being served, and how to end that."""

    client: httpx.Client
    shut_down: Callable[[], None]


@contextmanager
def served(app: Any) -> Iterator[Served]:
    """Serve an application over HTTP on loopback, in a thread and an event loop of its own."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(app, log_config=None, ws="none", timeout_graceful_shutdown=1)
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})

    def shut_down() -> None:
        server.should_exit = True
        thread.join(30)
        assert not thread.is_alive()

    host, port = listening.getsockname()
    thread.start()
    try:
        with httpx.Client(base_url=f"http://{host}:{port}", timeout=30) as client:
            yield Served(client, shut_down)
    finally:
        shut_down()
        listening.close()


def server_sent(lines: Iterator[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Read server-sent events: the name of each and its data."""
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        else:
            yield fields["event"], json.loads(fields["data"])
            fields.clear()
