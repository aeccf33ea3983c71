"""What only asyncio can tell of its event loop and tasks; everything else speaks anyio."""

from __future__ import annotations

import asyncio  # noqa: TID251 - see above
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

__all__ = [
    "call_soon_from_threads",
    "calling_later",
    "is_being_cancelled",
    "task_from_threads",
]


def is_being_cancelled() -> bool:
    """Tell whether someone cancels the current task, or its code raised CancelledError itself."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def call_soon_from_threads() -> Callable[..., None]:
    """Give a function by which any thread has this event loop call something soon, in order.

    The thread does not wait for it. Where the loop is closed, nothing is called.
    """
    loop = asyncio.get_running_loop()

    def call_soon(function: Callable[..., None], *args: Any) -> None:
        with suppress(RuntimeError):  # closed
            loop.call_soon_threadsafe(function, *args)

    return call_soon


@contextmanager
def calling_later(delay_s: float, function: Callable[..., None], *args: Any) -> Iterator[None]:
    """Have something called after so many seconds, unless the block is left before."""
    alarm = asyncio.get_running_loop().call_later(delay_s, function, *args)
    try:
        yield
    finally:
        alarm.cancel()


def task_from_threads() -> Callable[[], Any]:
    """Give a function by which any thread sees which task of this event loop makes a step now."""
    loop = asyncio.get_running_loop()
    return lambda: asyncio.current_task(loop)
