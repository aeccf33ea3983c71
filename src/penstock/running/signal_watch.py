"""Signals heard in a thread, where the main thread is in code that lets no handler run.

Python calls a handler between two of its own steps. Code in C that waits or computes for long (a
query of a database, a large product of matrices) lets none be called; what the system itself calls
writes the number of the signal into a pipe all the same.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["heard_in_thread"]


@contextmanager
def heard_in_thread(hear: Callable[[int], None]) -> Iterator[None]:
    """Have a daemon thread call a function with the number of each signal, inside the block.

    Only in the main thread, and for signals that have a handler. Where an event loop of another
    kind hears signals this way itself (uvloop), nothing is called.
    """
    if os.name != "posix":
        yield
        return

    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    others = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    if others != -1:
        signal.set_wakeup_fd(others)

    thread = threading.Thread(
        target=_listen, args=(reader, hear), name="penstock-signals", daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        now = signal.set_wakeup_fd(-1)
        if now not in (-1, writer):  # an agent's, who has put it in our place
            signal.set_wakeup_fd(now)

        os.close(writer)  # which ends the thread


def _listen(reader: int, hear: Callable[[int], None]) -> None:
    with open(reader, "rb", buffering=0) as numbers:
        while number := numbers.read(1):
            hear(number[0])
