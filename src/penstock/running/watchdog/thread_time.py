"""How much processor time a thread has had, and how long it has had to wait for it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

__all__ = ["ThreadTime", "thread_time"]


class ThreadTime(NamedTuple):
    """Times of a thread since it began.

    Args:
        computed_s: How long it has had a processor.
        queued_s: How long it was ready and had none, because the machine was busy; 0 where the
            system does not tell.
    """

    computed_s: float
    queued_s: float


@contextmanager
def thread_time() -> Iterator[Callable[[], ThreadTime]]:
    """Yield a function by which any thread reads the times of this one, inside the block."""
    clock = _clock_of_this_thread()
    file: int | None = None
    with suppress(OSError):  # Linux only
        path = f"/proc/self/task/{threading.get_native_id()}/schedstat"
        file = os.open(path, os.O_RDONLY)

    def read() -> ThreadTime:
        queued_s = 0.0
        if file is not None:
            with suppress(OSError, IndexError, ValueError):
                queued_s = int(os.pread(file, 100, 0).split()[1]) / 1e9

        return ThreadTime(clock(), queued_s)

    try:
        yield read
    finally:
        if file is not None:
            os.close(file)


def _clock_of_this_thread() -> Callable[[], float]:
    if not hasattr(time, "pthread_getcpuclockid"):  # not POSIX, or macOS
        return time.process_time

    clock = time.pthread_getcpuclockid(threading.get_ident())
    return lambda: time.clock_gettime(clock)
