"""Daemon threads for calls that block, apart from everyone else's.

The worker threads of anyio are bounded together with those of the whole process, and Python waits
for them before it exits: what hangs in one of them holds up the host's threads, ours, and the end
of the process. These threads are ours alone. There is one for each call under way, and nobody
waits for them at the end.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context, copy_context
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Generic, TypeVar

import anyio
import anyio.from_thread
import anyio.lowlevel

from penstock._base.loop import call_soon_from_threads, undisturbed

__all__ = ["call_in_thread", "with_daemon_thread"]

Connection = TypeVar("Connection")
Result = TypeVar("Result")

_IDLE_S = 1.0
"""How long a thread waits for another call before it ends."""


async def call_in_thread(
    function: Callable[[], Result], *, abandon_on_cancel: bool = False, name: str = "penstock"
) -> Result:
    """Call a function in a daemon thread of our own, and return what it returns.

    It sees the context variables of the caller, and may use `anyio.from_thread`.

    Args:
        function: What is called.
        abandon_on_cancel: Whether a cancellation leaves the thread behind. If not, the call ends
            first, and asyncio's own cancellations, which pass every shield, have no effect.
        name: What the thread is called.

    Raises:
        RuntimeError: the system starts no more threads, or there is no memory for another.
        BaseException: what the function raises.
    """
    call = _Call(function)
    _idle_or_new(name).calls.put(call)
    if not abandon_on_cancel:
        await undisturbed(call.ended.wait)
        return call.outcome()

    with call.scope:
        try:
            await call.ended.wait()
        except BaseException:
            call.scope.cancel()  # the thread may ask: anyio.from_thread.check_cancelled()
            raise

    return call.outcome()


def with_daemon_thread(connection: Connection) -> Connection:
    """Return a connection of aiosqlite, not yet opened, whose thread keeps no process from ending.

    SQLite bears that the process ends in the middle of a transaction.
    """
    thread: Any = getattr(connection, "_thread", connection)  # before 0.22 it was a thread itself
    thread.daemon = True
    return connection


class _Call(Generic[Result]):
    """A call in a thread, and what becomes of it."""

    def __init__(self, function: Callable[[], Result]) -> None:
        self.ended = anyio.Event()
        self.scope = anyio.CancelScope()
        self._function = function
        self._context = _context_of_thread()
        self._token = anyio.lowlevel.current_token()
        self._call_soon = call_soon_from_threads()
        self._returned: list[Result] = []
        self._raised: BaseException | None = None

    def make(self) -> None:
        """Make the call; in the thread."""
        # What anyio's own worker threads set. Without it anyio.from_thread asks for a token.
        known_to_anyio = vars(anyio.from_thread).get("threadlocals")
        if known_to_anyio is not None:
            known_to_anyio.current_token = self._token
            known_to_anyio.current_cancel_scope = self.scope

        try:
            self._returned.append(self._context.run(self._function))
        except BaseException as error:  # noqa: BLE001 - raised where the call was made
            self._raised = error

    def end(self) -> None:
        """Record, in the thread, that the call has ended."""
        self._call_soon(self.ended.set)

    def outcome(self) -> Result:
        """Return or raise what the function did; in the event loop."""
        if self._raised is None:
            return self._returned.pop()

        try:
            raise self._raised
        finally:
            self._raised = None  # else the error and this frame would hold each other


def _context_of_thread() -> Context:
    context = copy_context()
    sniffio = sys.modules.get("sniffio")
    if sniffio is not None:  # no event loop runs in the thread, so one may be started there
        context.run(sniffio.current_async_library_cvar.set, None)

    return context


class _Worker:
    """A thread that makes one call after the other, and ends when it has been idle for a while."""

    def __init__(self, idle: list[_Worker], name: str) -> None:
        self.calls: SimpleQueue[_Call[Any]] = SimpleQueue()
        self._idle = idle
        Thread(target=self._work, name=name, daemon=True).start()

    def _work(self) -> None:
        while True:
            try:
                call = self.calls.get(timeout=_IDLE_S)
            except Empty:
                with suppress(ValueError):  # somebody has just taken it, to give it a call
                    self._idle.remove(self)
                    return

                continue

            call.make()
            try:
                self._idle.append(self)
            finally:  # whoever waits for the call must hear of its end
                call.end()

            del call


_IDLE = anyio.lowlevel.RunVar[list[_Worker]]("_IDLE")
"""The threads of an event loop that have nothing to do; each operation on the list is atomic."""


def _idle_or_new(name: str) -> _Worker:
    try:
        idle = _IDLE.get()
    except LookupError:
        idle = []
        _IDLE.set(idle)

    try:
        return idle.pop()
    except IndexError:
        try:
            return _Worker(idle, name)
        except MemoryError as error:
            raise RuntimeError("no memory for another thread") from error
