"""Running a study where an event loop runs already: in a thread, with a loop of its own.

A cell of a notebook that calls a blocking function is inside the notebook's event loop. The study
runs beside it, and the caller waits; an interrupt arrives in the caller's thread and is handed on.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import wait
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

from anyio.from_thread import BlockingPortal, start_blocking_portal

__all__ = ["run_beside"]

_LOOK_S = 0.1
"""How often the waiting thread lets an interrupt through."""

_LAST = 3


class Stoppable(Protocol):
    """A study that is run: what is asked of it here."""

    @property
    def run(self) -> Callable[[], Awaitable[Any]]:
        """Run it to its end."""
        ...

    def stop(self, reason: str = ...) -> None:
        """Start nothing new."""
        ...

    def cancel(self, reason: str = ...) -> None:
        """Cancel what is in flight too."""
        ...

    def save_at_once(self) -> int:
        """Save what has ended, though its event loop stands still."""
        ...


Run = TypeVar("Run", bound=Stoppable)


def run_beside(make: Callable[[], Run], say: Callable[[str], None]) -> tuple[Run, bool]:
    """Make what runs a study and run it in a thread; return it, and whether it was interrupted.

    The first interrupt stops the study, the second cancels what is in flight, the third saves what
    has ended and raises.

    Args:
        make: Makes the runner; called in the thread.
        say: Told at each interrupt what happens now, as a sentence for a person.

    Raises:
        KeyboardInterrupt: it was interrupted a third time.
    """
    interrupts = _Interrupts()
    with start_blocking_portal() as portal:
        runner = portal.call(make)
        interrupts.last = runner.save_at_once
        with interrupts.received():
            running = portal.start_task_soon(runner.run)
            told = 0
            while not wait([running], timeout=_LOOK_S).done:
                if told < interrupts.count:
                    told += 1
                    _hand_on(portal, runner, told, say)

            running.result()

    return runner, interrupts.count > 0


def _hand_on(
    portal: BlockingPortal, runner: Stoppable, count: int, say: Callable[[str], None]
) -> None:
    if count == 1:
        say("stopping: runs in flight end and are saved; interrupt again to cancel them")
        portal.start_task_soon(_called, runner.stop)
    else:
        say("cancelling what is in flight; it is run again when you run the study again")
        portal.start_task_soon(_called, runner.cancel)


class _Interrupts:
    """Counts interrupts, wherever in its code the main thread is; at the third it raises."""

    def __init__(self) -> None:
        self.count = 0
        self.last: Callable[[], object] = lambda: None

    @contextmanager
    def received(self) -> Iterator[None]:
        """Receive them in the main thread; elsewhere there are none."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        before = signal.signal(signal.SIGINT, self._add)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before or signal.SIG_DFL)

    def _add(self, *_: object) -> None:
        self.count += 1
        if self.count >= _LAST:
            self.last()
            raise KeyboardInterrupt


async def _called(function: Callable[[str], None]) -> None:
    function("interrupted")
