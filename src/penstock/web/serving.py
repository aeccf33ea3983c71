"""A server of its own for the live page: for the command line, and beside a study that runs."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import socket
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from penstock._base.atomic_files import write_private
from penstock.errors import ValidationError
from penstock.web.application import app
from penstock.web.guarding import LOOPBACK

__all__ = ["LOOPBACK", "PORT", "listen", "open_server", "served_beside"]

PORT = 8765
"""Where it is served unless that is taken."""

_FAREWELL_S = 1
_SILENT_S = 10.0
"""A connection on which no request came for so long is left."""

_LAST_LOOK_S = 3.0
"""A page that is open when a study ends may ask so long for what came of it."""

_BACKLOG = 128
_MOST_CONNECTIONS = 256
"""One more is taken for the one on which nobody has asked for anything for longest."""


def listen(host: str, port: int | None) -> socket.socket:
    """Open the socket that is served at.

    Args:
        host: A name or address of this machine.
        port: The port; 0 for any that is free; `PORT`, or one that is free, where not given.

    Raises:
        ValidationError: the port is taken, or the machine has no such address.
    """
    tried = (PORT, 0) if port is None else (port,)
    for each in tried:
        try:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            return socket.create_server((host, each), family=family, backlog=_BACKLOG)
        except OSError as error:
            failure = error

    said = f"the page cannot be served at {host}:{tried[-1]}: {failure.strerror}"
    raise ValidationError([f"{said}; choose another --port (0 for any that is free)"])


def open_server(
    directories: Sequence[Path], at: socket.socket, *, control: bool
) -> tuple[uvicorn.Server, str]:
    """Make a server of the live page, and the address that it is to be opened under.

    Args:
        directories: Output directories, and folders that hold several.
        at: The socket that it answers at.
        control: Whether studies may be acted on.
    """
    host, port = at.getsockname()[:2]
    token = _token_for(port)
    application = app(directories, control=control, hosts=_hosts_of(host), token=token)
    config = uvicorn.Config(
        application,
        http=_Impatient,
        backlog=_BACKLOG,
        log_level="error",
        access_log=False,
        lifespan="off",
        ws="none",
        server_header=False,
        timeout_graceful_shutdown=_FAREWELL_S,
    )
    shown = "127.0.0.1" if host == "0.0.0.0" else host  # noqa: S104 - compared, not bound
    name = f"[{shown}]" if ":" in shown else shown
    server = uvicorn.Server(config)
    application.is_over = lambda: server.should_exit
    return server, f"http://{name}:{port}/?token={token}"


class _Impatient(H11Protocol):
    """Speaks HTTP, and leaves connections on which nobody asks for anything."""

    silent_since = 0.0
    _timer: Any = None

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for a request."""
        super().connection_made(transport)
        self.silent_since = self.loop.time()
        self._leave_silent()
        open_: list[Any] = [each for each in self.connections if not each.transport.is_closing()]
        if len(open_) > _MOST_CONNECTIONS:
            silent = (each for each in open_ if each.is_silent)
            min(silent, key=lambda each: each.silent_since).transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._timer.cancel()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """Begin to wait for another request."""
        self.silent_since = self.loop.time()
        super().on_response_complete()

    @property
    def is_silent(self) -> bool:
        """Whether no request has come whole that is not answered."""
        cycle: Any = self.cycle
        return cycle is None or cycle.response_complete

    def _leave_silent(self) -> None:
        """Leave a connection that has been silent for so long, now or later."""
        if self.transport.is_closing():  # what it does not read is not sent
            self.transport.abort()
        elif self.is_silent and self.loop.time() - self.silent_since >= _SILENT_S:
            self.transport.close()

        self._timer = self.loop.call_later(_SILENT_S, self._leave_silent)


@contextmanager
def served_beside(directory: Path, *, control: bool) -> Iterator[str]:
    """Serve a study inside the block, in a thread of its own; give the address.

    Args:
        directory: The study's output directory.
        control: Whether it may be acted on.

    Raises:
        ValidationError: it cannot be served.
    """
    at = listen("127.0.0.1", None)
    server, address = open_server([directory], at, control=control)
    thread = threading.Thread(
        target=server.run, kwargs={"sockets": [at]}, name="penstock page", daemon=True
    )
    thread.start()
    try:
        yield address
    finally:
        _say_farewell(server)
        thread.join(2 * _FAREWELL_S)
        at.close()


def _say_farewell(server: uvicorn.Server) -> None:
    """End a server, after pages that are open have had the time to show the end."""
    end = monotonic() + _LAST_LOOK_S
    while server.server_state.connections and monotonic() < end:
        sleep(_FAREWELL_S / 10)

    server.should_exit = True


def _hosts_of(host: str) -> Collection[str]:
    """Return the names that a server at an address is asked under."""
    if host in LOOPBACK:
        return LOOPBACK

    # Not the name of every site that leads here: numeric addresses and our own name.
    return (*LOOPBACK, host, socket.gethostname(), socket.getfqdn(), "*")


def _token_for(port: int) -> str:
    """Return the token of a port: the same when the server is started again, so that pages go on.

    It is made from a secret that only this user can read, and that no server sends.
    """
    digest = hmac.digest(_secret(), f"penstock page {port}".encode(), hashlib.sha256)
    return digest.hex()


def _secret() -> bytes:
    """Return the secret of this user, made the first time; a new one where it cannot be kept."""
    folder = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state", "penstock")
    file = folder / "page.secret"
    made = secrets.token_bytes(32)
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with suppress(FileExistsError):
            write_private(file, made)

        found = file.stat()
        if found.st_uid == os.geteuid() and not found.st_mode & 0o077:
            kept = file.read_bytes()
            return kept if len(kept) == len(made) else made

    return made
