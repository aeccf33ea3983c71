"""A real HTTP server on loopback that takes what is posted to it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple


class Posted(NamedTuple):
    """What was posted once."""

    path: str
    headers: dict[str, str]
    body: bytes


class Receiver:
    """Takes posts, one at a time, and answers as it is told.

    Args:
        answer: Returns the status of the answer to a post; None hangs up without a word.
    """

    def __init__(self, answer: Callable[[Posted], int | None] = lambda _: 204) -> None:
        self.posted: list[Posted] = []
        self.url = ""
        self.answer = answer
        self._one_at_a_time = threading.Lock()

    def take(self, posted: Posted) -> int | None:
        with self._one_at_a_time:
            status = self.answer(posted)
            self.posted.append(posted)
            return status


@contextmanager
def receiving(receiver: Receiver) -> Iterator[Receiver]:
    """Let a receiver listen at its `url`, inside the block."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status = receiver.take(Posted(self.path, dict(self.headers), body))
            if status is None:
                self.close_connection = True
                return

            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

        def handle(self) -> None:
            try:
                super().handle()
            except OSError:  # the other side was killed
                self.close_connection = True

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        receiver.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()
