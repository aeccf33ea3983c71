"""Output that can never hold a study up: whoever should read it may be slow, or gone."""

from __future__ import annotations

import io
import os
import select
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from time import monotonic
from typing import Any, TextIO

__all__ = ["Outlet", "ToStderr", "patient_streams"]

_KEPT_BYTES = 1 << 20
"""How much is kept for a reader that does not read; more is dropped."""

_PIECE_BYTES = 4096
"""A pipe that polls as writable takes as much without blocking."""

_LAST_PAUSE_S = 2.0
"""How long a reader may pause when all that is left to do is to hand it the rest."""


class Outlet(io.BufferedIOBase):
    """A file descriptor to write to, which never waits for its reader and never fails.

    What the reader does not take is kept and offered again with the next write; what is more
    than can be kept is dropped, and all of it is where the reader is gone.

    Args:
        descriptor: Where to write.
    """

    def __init__(self, descriptor: int) -> None:
        self.name = descriptor
        self._descriptor = descriptor
        self._pending = bytearray()
        self._is_gone = False
        self._lock = threading.RLock()  # a signal's handler may write while we do

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._descriptor

    def isatty(self) -> bool:
        """Return whether a person watches."""
        return os.isatty(self._descriptor)

    def writable(self) -> bool:
        """Return True: it can be written to."""
        return True

    def write(self, data: Any) -> int:
        """Accept all of the data, and write what can be written now."""
        with self._lock:
            if not self._is_gone and len(self._pending) < _KEPT_BYTES:
                self._pending += data

            self._push(0.0)

        return len(data)

    def drain(self, patience_s: float = _LAST_PAUSE_S) -> None:
        """Write what is left, as long as the reader takes some within ``patience_s``."""
        with self._lock:
            self._push(patience_s)

    def _push(self, patience_s: float) -> None:
        deadline = monotonic() + patience_s
        while self._pending and _can_be_written(self._descriptor, deadline - monotonic()):
            try:
                sent = os.write(self._descriptor, self._pending[:_PIECE_BYTES])
            except BlockingIOError:  # its other owner made it non-blocking
                return
            except OSError:
                self._is_gone = True
                self._pending.clear()
                return

            del self._pending[:sent]
            deadline = monotonic() + patience_s


def _can_be_written(descriptor: int, wait_s: float) -> bool:
    if not hasattr(select, "poll"):  # Windows can poll nothing but sockets
        return True

    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return bool(poll.poll(max(0.0, wait_s) * 1000))


class ToStderr(io.TextIOBase):
    """Writes to whatever ``sys.stderr`` is at the moment: above the live line, while there is one.

    Rich takes the place of ``sys.stderr`` while it shows a live line; a file kept from before
    would write into the middle of it.
    """

    def writable(self) -> bool:
        """Return True: it can be written to."""
        return True

    def write(self, text: str) -> int:
        """Write; a line shows when it is complete."""
        sys.stderr.write(text)
        return len(text)


@contextmanager
def patient_streams() -> Iterator[TextIO]:
    """Make stdout and stderr never block inside the block; yield the one that machines read.

    Whatever is printed inside the block, by an agent for instance, goes to stderr: on stdout it
    would be taken for part of the protocol.
    """
    stdout, stderr = _patient(sys.stdout), _patient(sys.stderr)
    with redirect_stderr(stderr), redirect_stdout(ToStderr()):
        try:
            yield stdout
        finally:
            for stream in (stdout, stderr):
                if isinstance(outlet := getattr(stream, "buffer", None), Outlet):
                    outlet.drain()


def _patient(stream: TextIO) -> TextIO:
    try:
        descriptor = stream.fileno()
    except OSError:  # a buffer in memory, in a test
        return stream

    stream.flush()
    return io.TextIOWrapper(
        Outlet(descriptor),
        encoding=stream.encoding,
        errors="backslashreplace",
        write_through=True,
    )
