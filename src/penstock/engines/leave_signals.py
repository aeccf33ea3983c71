"""The signals that ask a worker to leave: the first lets it end what it makes, and take no more.

So nothing is lost where a machine is taken away in time, or a launcher stops all of a job at once.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import anyio

from penstock._base.loop import call_soon_from_threads
from penstock.running.interrupts import stopping_signals

__all__ = ["AskedToLeave", "asked_to_leave"]


class AskedToLeave:
    """Whether a worker was asked to leave, and by which signal.

    Attributes:
        event: Set when it was.
    """

    def __init__(self) -> None:
        self.event = anyio.Event()
        self._process = os.getpid()
        self._call_soon = call_soon_from_threads()
        self._by: int | None = None

    def receive(self, number: int, _: FrameType | None) -> None:
        """Note a signal; the next one ends the process, as every one does that an agent forked."""
        for each in stopping_signals():
            signal.signal(each, signal.SIG_DFL)

        if os.getpid() != self._process:
            signal.raise_signal(number)
            return

        self._by = number
        self._call_soon(self.event.set)

    def end(self) -> None:
        """End the process as the signal would have, where there was one."""
        if self._by is not None:
            sys.stdout.flush()
            sys.stderr.flush()
            signal.raise_signal(self._by)


@contextmanager
def asked_to_leave() -> Iterator[AskedToLeave]:
    """Receive the signals that stop a process; at the end of the block it ends, if one has come."""
    asked = AskedToLeave()
    before = {each: signal.signal(each, asked.receive) for each in stopping_signals()}
    try:
        yield asked
    finally:
        asked.end()
        for each, handler in before.items():
            signal.signal(each, handler)
