"""Daemon threads for calls that block, apart from everyone else's.

The worker threads of anyio are bounded together with those of the whole process, and Python waits
for them before it exits: what hangs in one of them holds up the host's threads, ours, and the end
of the process. These threads are ours alone, and nobody waits for them at the end.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from math import inf
from typing import Any, TypeVar

import anyio.lowlevel

from penstock._base.crew import Crew, ThreadCall
from penstock._base.loop import running_loop, undisturbed

__all__ = ["WorkerThreads", "call_in_thread", "with_daemon_thread"]

Connection = TypeVar("Connection")
Result = TypeVar("Result")


class WorkerThreads:
    """Threads for functions that may block, as many as there are calls and room for.

    Where the system starts no more of them, or little memory is left for another, calls wait for
    those that there are.

    Args:
        most: How many there may be.
        name: What they are called.
    """

    def __init__(self, most: float = inf, name: str = "penstock-agent") -> None:
        self._most = most
        self._name = name
        self._crew: Crew | None = None

    async def call(
        self,
        function: Callable[[], Result],
        waiting: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> Result:
        """Call a function and return what it returns; cancelling leaves the thread behind.

        It sees the context variables of the caller, and may use `anyio.from_thread`.

        Args:
            function: What is called.
            waiting: Entered while it waits for a thread, as there can be no more of them.

        Raises:
            RuntimeError: not one thread can be started.
            BaseException: what the function raises.
        """
        crew = self.of_this_loop()
        call = ThreadCall(function, crew, waiting)
        with call.scope:
            crew.begin(call)
            try:
                await call.over()
            except BaseException:
                call.abandon()
                raise

        return call.outcome()

    def of_this_loop(self) -> Crew:
        """Return the threads that serve the running event loop."""
        loop, crew = running_loop(), self._crew
        if crew is None or crew.loop is not loop:
            crew = self._crew = Crew(self._most, self._name)

        return crew


async def call_in_thread(
    function: Callable[[], Result], *, abandon_on_cancel: bool = False
) -> Result:
    """Call a function in a daemon thread of our own, and return what it returns.

    Args:
        function: What is called (see `WorkerThreads.call`).
        abandon_on_cancel: Whether a cancellation leaves the thread behind. If not, the call ends
            first, and asyncio's own cancellations, which pass every shield, have no effect.

    Raises:
        RuntimeError: not one thread can be started.
        BaseException: what the function raises.
    """
    try:
        threads = _OWN.get()
    except LookupError:
        threads = WorkerThreads(name="penstock")
        _OWN.set(threads)

    if abandon_on_cancel:
        return await threads.call(function)

    crew = threads.of_this_loop()
    call = ThreadCall(function, crew)
    crew.begin(call)
    await undisturbed(call.over)
    return call.outcome()


_OWN = anyio.lowlevel.RunVar[WorkerThreads]("_OWN")
"""The threads of an event loop for what penstock itself does, whatever becomes of a study's."""


def with_daemon_thread(connection: Connection) -> Connection:
    """Return a connection of aiosqlite, not yet opened, whose thread keeps no process from ending.

    SQLite bears that the process ends in the middle of a transaction.
    """
    thread: Any = getattr(connection, "_thread", connection)  # before 0.22 it was a thread itself
    thread.daemon = True
    return connection
