"""Cancellation belongs to the host; what was paid for is saved before it takes effect."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio

__all__ = ["finish_before_cancelling"]


async def finish_before_cancelling(
    work: Callable[[], Awaitable[None]], wind_down: Callable[[anyio.Event], Awaitable[None]]
) -> None:
    """Do a piece of work to its own end, even where the host cancels the wait for it.

    Args:
        work: What is done; it never sees the host's cancellation.
        wind_down: Called when the host cancels, with an event that is set when the work has
            ended; it tells the work to end soon.

    Raises:
        Exception: what the work raised.
    """
    failures: list[Exception] = []
    ended = anyio.Event()

    async def shielded() -> None:
        with anyio.CancelScope(shield=True):
            try:
                await work()
            except Exception as error:  # noqa: BLE001 - raised again, outside the task group
                failures.append(error)
            finally:
                ended.set()

    async with anyio.create_task_group() as group:
        group.start_soon(shielded)
        try:
            await ended.wait()
        finally:
            if not ended.is_set():
                with anyio.CancelScope(shield=True):
                    await wind_down(ended)

    if failures:
        raise failures[0]
