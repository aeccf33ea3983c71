"""The time that an agent may take in one attempt, or an evaluator with one answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from math import inf
from typing import Any

from penstock._base.loop import TimeLimit
from penstock.agents.context import RunContext
from penstock.agents.shapes import BoundAgent
from penstock.errors import AttemptTimeoutError

__all__ = ["in_time", "within"]

_NOTHING = object()


async def in_time(agent: BoundAgent, ctx: RunContext, timeout_s: float) -> Any:
    """Call an agent; what it raises and returns is its own, unless its time is over first."""
    return await within(
        timeout_s, ctx, partial(agent, ctx), partial(AttemptTimeoutError, timeout_s)
    )


async def within(
    timeout_s: float,
    ctx: RunContext,
    call: Callable[[], Awaitable[Any]],
    too_late: Callable[[], Exception],
) -> Any:
    """Call something in a run that may take so long; what it raises and returns is its own.

    Args:
        timeout_s: How long it may take, in seconds.
        ctx: The run; the time in which it waits for a turn (`RunContext.waiting`) does not count.
        call: Calls it.
        too_late: Makes the error where it takes longer.
    """
    answer: Any = _NOTHING
    error: BaseException | None = None
    limit = ctx.timeout_scope = TimeLimit(timeout_s)
    try:
        with limit:
            try:
                answer = await call()
            except Exception as raised:  # noqa: BLE001 - raised again, as what it is
                error = raised
    except RuntimeError as leak:
        # It has opened a scope in this task that it never left, as an async generator does
        # that is not read to its end; anyio says so here. Its answer is an answer all the same.
        limit.deadline = inf
        error = error or leak

    if answer is not _NOTHING:
        return answer

    if limit.scope.cancel_called:  # clients may turn the cancellation into an error of their own
        raise too_late() from error

    raise error or AssertionError("unreachable")
