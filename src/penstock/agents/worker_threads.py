"""Worker threads for agents that are plain functions, as many as the machine has room for."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import anyio

from penstock._base.memory import has_room_for_thread
from penstock._base.threads import call_in_thread

__all__ = ["not_of_a_person", "run_in_thread"]


def not_of_a_person(error: BaseException) -> BaseException:
    """Mark what was raised in another thread or process: no Ctrl-C of a person arrives there."""
    if isinstance(error, KeyboardInterrupt):
        vars(error)["is_of_a_person"] = False

    return error


async def run_in_thread(
    function: Callable[[], Any],
    threads: anyio.CapacityLimiter,
    waiting: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Any:
    """Call a function in a worker thread; cancelling leaves the thread behind.

    Where the system starts no more threads, or little memory is left for another, the limit goes
    down to those that there are, and the call waits for one of them.

    Args:
        function: What is called.
        threads: How many threads there may be.
        waiting: Entered while the call waits for one of them (`RunContext.waiting`).

    Raises:
        RuntimeError: not one thread can be started.
    """

    def call() -> tuple[Any, BaseException | None]:
        # What the function raises is raised below: what else is raised, the system raised.
        try:
            return function(), None
        except BaseException as error:  # noqa: BLE001 - an agent may raise anything at all
            return None, not_of_a_person(error)

    while True:
        try:
            if threads.borrowed_tokens and not has_room_for_thread():
                threads.total_tokens = threads.borrowed_tokens

            await _acquired(threads, waiting)
            try:
                answer, raised = await call_in_thread(
                    call, abandon_on_cancel=True, name="penstock-agent"
                )
            finally:
                threads.release()

        except RuntimeError:
            if not threads.borrowed_tokens:
                raise

            threads.total_tokens = threads.borrowed_tokens
        else:
            if raised is not None:
                raise raised

            return answer


async def _acquired(
    threads: anyio.CapacityLimiter, waiting: Callable[[], AbstractContextManager[None]]
) -> None:
    if threads.available_tokens >= 1:
        await threads.acquire()
        return

    with waiting():
        await threads.acquire()
