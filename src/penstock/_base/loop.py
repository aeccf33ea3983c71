"""What only asyncio can tell of its event loop and tasks; everything else speaks anyio.

asyncio cancels a task by a request that anyone may make, that passes every shield, and that is
counted (`asyncio.Task.cancelling`). Who made it cannot be read from the task: whoever owns one has
to remember what it ordered itself. What it did not order it takes back here.
"""

from __future__ import annotations

import asyncio  # noqa: TID251 - see above
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import anyio

__all__ = [
    "Once",
    "OwnTask",
    "Timer",
    "call_later",
    "call_soon_from_threads",
    "calling_later",
    "has_loop",
    "is_closed_by",
    "leave_tasks_behind",
    "running_loop",
    "running_task",
    "take_back_cancellations",
    "task_from_threads",
    "undisturbed",
    "was_asked_to_cancel",
]

Result = TypeVar("Result")

Timer = asyncio.TimerHandle
"""A call that is scheduled, and may be cancelled."""

_TRIES, _PAUSE_S = 1000, 0.01
"""How often, and after how long, a thread tries again to reach the loop where memory is short."""


def has_loop() -> bool:
    """Return whether an event loop runs here.

    A coroutine whose loop is gone is closed by the garbage collector, outside any loop.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False

    return True


def running_loop() -> asyncio.AbstractEventLoop:
    """Return the event loop that runs here."""
    return asyncio.get_running_loop()


def running_task() -> asyncio.Task[Any]:
    """Return the task that runs here.

    Raises:
        RuntimeError: the event loop runs no task at this moment.
    """
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("the event loop runs no task here")

    return task


def is_closed_by(error: BaseException) -> bool:
    """Return whether an error closes the coroutine it is raised in, for its loop is gone."""
    return isinstance(error, GeneratorExit) and not has_loop()


class Once:
    """Something that happens once, and that one task waits for: an event at half the price."""

    __slots__ = ("_has_happened", "_waiter")

    def __init__(self) -> None:
        self._has_happened = False
        self._waiter: asyncio.Future[None] | None = None

    def set(self) -> None:
        """Let it have happened."""
        self._has_happened = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def wait(self) -> None:
        """Wait until it has happened; whoever is cancelled may wait again."""
        if not self._has_happened:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter


class OwnTask:
    """A task of the running event loop that is nobody's but its owner's.

    It is in no task group: it is untouched by the cancel scopes around its owner, who waits for
    it, cancels it or leaves it behind.

    Args:
        work: What the task does.
        name: What it is called.
        on_end: Called when it has ended, also where it was cancelled before it had begun.

    Attributes:
        ended: Set when the task has ended.
        is_cancelled: Whether its owner has cancelled it.
    """

    def __init__(
        self,
        work: Coroutine[Any, Any, None],
        *,
        name: str | None = None,
        on_end: Callable[[], None] = lambda: None,
    ) -> None:
        self.ended = Once()
        self.is_cancelled = False
        self._on_end = on_end
        self._task = asyncio.get_running_loop().create_task(work, name=name)
        self._task.add_done_callback(self._end)

    def _end(self, _: asyncio.Task[None]) -> None:
        self.ended.set()
        self._on_end()

    def cancel(self) -> None:
        """Cancel the task; in it, ``is_cancelled`` tells that it was its owner."""
        self.is_cancelled = True
        self._task.cancel()

    def is_task(self, task: object) -> bool:
        """Return whether it is this task of the event loop."""
        return self._task is task

    @property
    def failure(self) -> BaseException | None:
        """What the task raised; it has ended."""
        return asyncio.CancelledError() if self._task.cancelled() else self._task.exception()


def was_asked_to_cancel() -> bool:
    """Return whether anyone, its own code included, has cancelled the current task."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def take_back_cancellations() -> None:
    """Clear every cancellation of the current task; one that is pending takes no effect.

    Only for whoever owns the task and did not order the cancellation.
    """
    task = asyncio.current_task()
    if task is None or not task.cancelling():
        return

    with suppress(asyncio.CancelledError):
        await asyncio.sleep(0)  # a request that is not yet delivered is delivered here

    while task.cancelling():
        task.uncancel()


async def undisturbed(call: Callable[[], Awaitable[Result]]) -> Result:
    """Return what an async call returns, and call again where a cancellation interrupts it.

    For tasks that nobody but their owner ends, and by other means. When an event loop ends, all of
    its tasks are cancelled at once, also those that save what others have paid for.

    Args:
        call: What is awaited; when it is cancelled it has done nothing.
    """
    while True:
        with anyio.CancelScope(shield=True):
            try:
                return await call()
            except asyncio.CancelledError:
                if not was_asked_to_cancel():
                    raise

                await take_back_cancellations()


async def leave_tasks_behind(patience_s: float) -> None:
    """Cancel all other tasks of an event loop that is about to be closed, and wait a little.

    An event loop is closed when all of its tasks have ended. One that ignores its cancellation
    would keep it, and its process, from ever ending: it is forgotten here.

    Args:
        patience_s: How long they have to end, in seconds.
    """
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()

    if not others:
        return

    for task in (await asyncio.wait(others, timeout=patience_s))[1]:
        asyncio._unregister_task(task)  # noqa: SLF001 - documented, for those who extend asyncio
        if hasattr(task, "_log_destroy_pending"):
            task._log_destroy_pending = False  # noqa: SLF001 - the study has said so itself


def call_soon_from_threads() -> Callable[..., None]:
    """Return a function by which any thread has this event loop call something soon, in order.

    The thread does not wait for it. Where the loop is closed, nothing is called.
    """
    loop = asyncio.get_running_loop()

    def call_soon(function: Callable[..., None], *args: Any) -> None:
        for _ in range(_TRIES):
            try:
                loop.call_soon_threadsafe(function, *args)
            except RuntimeError:  # closed
                return
            except MemoryError:  # whoever waits to be called must not wait for ever
                time.sleep(_PAUSE_S)
            else:
                return

    return call_soon


def call_later(delay_s: float, function: Callable[..., None], *args: Any) -> asyncio.TimerHandle:
    """Schedule a call in the running event loop after so many seconds; it may be cancelled."""
    return asyncio.get_running_loop().call_later(delay_s, function, *args)


@contextmanager
def calling_later(delay_s: float, function: Callable[..., None], *args: Any) -> Iterator[None]:
    """Schedule a call after so many seconds; leaving the block first cancels it."""
    alarm = call_later(delay_s, function, *args)
    try:
        yield
    finally:
        alarm.cancel()


def task_from_threads() -> Callable[[], Any]:
    """Return a function by which any thread sees which task of this event loop makes a step now."""
    loop = asyncio.get_running_loop()
    return lambda: asyncio.current_task(loop)
