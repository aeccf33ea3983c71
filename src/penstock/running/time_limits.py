"""Time limits: of a session as a whole, of an agent in one attempt, of an evaluator."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from contextlib import ExitStack
from functools import partial
from math import inf
from time import monotonic
from typing import Any, Self

from penstock._base.deadlines import TimeLimit
from penstock._base.long_wait import told_first_wait
from penstock._base.loop import calling_later
from penstock.agents.context import RunContext
from penstock.agents.shapes import BoundAgent
from penstock.errors import AttemptTimeoutError
from penstock.study.settings import Settings

__all__ = ["Deadline", "in_time", "within"]


class Deadline:
    """Ends a session inside ``with`` when it has taken as long as its budget allows.

    Args:
        out_of_budget: Called with the reason.
    """

    def __init__(self, out_of_budget: Callable[[str], None]) -> None:
        self._out_of_budget = out_of_budget
        self._began_at = monotonic()
        self._alarm = ExitStack()
        self._most_s: float | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._alarm.close()

    def follow(self, settings: Settings) -> None:
        """Go by ``budget.max_duration_s`` as it is set now; it counts from the beginning."""
        most_s = settings.budget.max_duration_s
        if most_s == self._most_s:
            return

        self._most_s = most_s
        self._alarm.close()
        if most_s is not None:
            said = f"budget.max_duration_s is exhausted: the session has taken {most_s:g} seconds"
            left_s = max(0.0, self._began_at + most_s - monotonic())
            self._alarm.enter_context(calling_later(left_s, self._out_of_budget, said))


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
    limit = ctx.timeout_scope = TimeLimit(timeout_s, is_set=False)
    try:
        with limit:
            try:
                work = call()
                if isinstance(work, Coroutine):  # most evaluators never wait
                    work = told_first_wait(work, limit.set_alarm)
                else:
                    limit.set_alarm()

                answer = await work
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
