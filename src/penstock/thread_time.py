"""How much processor time a thread has had, and how long it has had to wait for it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
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


class thread_time:  # noqa: N801 - used as a function is
    """Watch the current thread's times from any other: ``with thread_time() as read: ...``."""

    def __init__(self) -> None:
        self._clock = _clock_of_this_thread()
        self._file: int | None = None
        with suppress(OSError):  # Linux only
            path = f"/proc/self/task/{threading.get_native_id()}/schedstat"
            self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def __enter__(self) -> Callable[[], ThreadTime]:
        return self._read

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            os.close(self._file)

    def _read(self) -> ThreadTime:
        queued_s = 0.0
        if self._file is not None:
            with suppress(OSError, IndexError, ValueError):
                queued_s = int(os.pread(self._file, 100, 0).split()[1]) / 1e9

        return ThreadTime(self._clock(), queued_s)


def _clock_of_this_thread() -> Callable[[], float]:
    if not hasattr(time, "pthread_getcpuclockid"):  # not POSIX, or macOS
        return time.process_time

    clock = time.pthread_getcpuclockid(threading.get_ident())
    return lambda: time.clock_gettime(clock)
