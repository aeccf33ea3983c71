"""Worker threads for agents that are plain functions, as many as the machine has room for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import anyio.to_thread

__all__ = ["run_in_thread"]


async def run_in_thread(function: Callable[[], Any], threads: anyio.CapacityLimiter) -> Any:
    """Call a function in a worker thread; cancelling leaves the thread behind.

    Where the system starts no more threads, the limit goes down to those that there are, and the
    call waits for one of them.

    Args:
        function: What is called.
        threads: How many threads there may be.

    Raises:
        RuntimeError: not one thread can be started.
    """

    def call() -> tuple[Any, BaseException | None]:
        # What the function raises is raised below: a coroutine that waits does not survive that
        # a future throws a GeneratorExit into it, and what else is raised, anyio raised.
        try:
            return function(), None
        except BaseException as error:  # noqa: BLE001 - an agent may raise anything at all
            return None, error

    while True:
        try:
            answer, raised = await anyio.to_thread.run_sync(
                call, limiter=threads, abandon_on_cancel=True
            )
        except RuntimeError:
            if not threads.borrowed_tokens:
                raise

            threads.total_tokens = threads.borrowed_tokens
        else:
            if raised is not None:
                raise raised

            return answer
