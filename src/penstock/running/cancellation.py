"""Cancellation belongs to the host; what was paid for is saved before it takes effect."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import anyio

from penstock._base.loop import OwnTask, undisturbed

__all__ = ["finish_before_cancelling"]


async def finish_before_cancelling(
    work: Callable[[], Coroutine[Any, Any, None]],
    wind_down: Callable[[anyio.Event], Awaitable[None]],
) -> None:
    """Do a piece of work to its own end, even where the host cancels the wait for it.

    Args:
        work: What is done; it never sees the host's cancellation.
        wind_down: Called when the host cancels, with an event that is set when the work has
            ended; it tells the work to end soon.

    Raises:
        BaseException: what the work raised, also where the host has cancelled meanwhile.
    """
    task = OwnTask(work())
    cancellation: BaseException | None = None
    try:
        await task.ended.wait()
    except BaseException as error:  # noqa: BLE001 - raised below
        cancellation = await _wound_down(task.ended, wind_down) or error

    failure = task.failure
    if failure is not None:
        raise failure from cancellation

    if cancellation is not None:
        raise cancellation


async def _wound_down(
    ended: anyio.Event, wind_down: Callable[[anyio.Event], Awaitable[None]]
) -> BaseException | None:
    """Wait for the end; return what interrupts that, if something does."""
    interruption: BaseException | None = None
    with anyio.CancelScope(shield=True):
        try:
            if not ended.is_set():
                await wind_down(ended)

        except BaseException as error:  # noqa: BLE001 - raised by the caller
            interruption = error

        await undisturbed(ended.wait)

    return interruption
