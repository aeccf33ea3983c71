"""How a study ends before its time: stopped, cancelled or interrupted, at any moment.

Cancellation belongs to the host; what was paid for is saved before it takes effect.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import anyio

from penstock._base.loop import OwnTask, has_loop, undisturbed
from penstock.errors import PenstockError
from penstock.events.tree import RunsLeft, StudyStopping
from penstock.running.alike import Asked

__all__ = ["Ending", "finish_before_cancelling"]


class Ending:
    """The end of one study, as it is ordered; whoever has to act on it says so.

    Args:
        announce: Says `StudyStopping`.
        grace_s: How long runs in flight may go on after the host has cancelled, in seconds.

    Attributes:
        stopped_because: Why nothing new is started, where that is so.
        is_out_of_budget: Whether that was the study's budget.
        cannot_go_on: Whether it is that no run could succeed.
        left_because: Why runs of some agents are left to a later session.
        left_out_because: Why runs that were not chosen are.
        is_interrupted: Whether Ctrl-C was pressed during a step of an agent or a subscriber.
        grace_s: How long runs in flight may go on after a cancellation; may be set.
    """

    def __init__(self, announce: Callable[..., None], grace_s: float) -> None:
        self.stopped_because: str | None = None
        self.is_out_of_budget = False
        self.cannot_go_on = False
        self.left_because: list[str] = []
        self.left_out_because: str | None = None
        self.is_interrupted = False
        self._announce = announce
        self.grace_s = grace_s
        self._on_stop: list[Callable[[str], None]] = []
        self._on_cancel: list[Callable[[], None]] = []

    @property
    def why(self) -> str | None:
        """Why runs are left to a later session, where that is so."""
        return self.stopped_because or "; ".join(self.left_because) or self.left_out_because

    def on_stop(self, act: Callable[[str], None]) -> None:
        """Have something called with the reason when the study stops; at once, where it has."""
        self._on_stop.append(act)
        if self.stopped_because is not None:
            act(self.stopped_because)

    def on_cancel(self, act: Callable[[], None]) -> None:
        """Have something called each time the study is cancelled."""
        self._on_cancel.append(act)

    def stop(self, reason: str) -> None:
        """Start nothing new; what is in flight ends."""
        if self.stopped_because is None:
            self.stopped_because = reason
            self._announce(StudyStopping, reason=reason)
            for act in self._on_stop:
                act(reason)

    def cancel(self, reason: str) -> None:
        """Stop, and cancel what is in flight."""
        self.stop(reason)
        for act in self._on_cancel:
            act()

    def out_of_budget(self, reason: str) -> None:
        """Stop, for the budget is spent."""
        self.is_out_of_budget = self.is_out_of_budget or self.stopped_because is None
        self.stop(reason)

    def stop_for_good(self, reason: str) -> None:
        """Stop, for no run could succeed."""
        self.cannot_go_on = self.cannot_go_on or self.stopped_because is None
        self.stop(reason)

    def leave(self, asked: Asked, reason: str) -> None:
        """Announce that the other runs of an agent and model are left to a later session."""
        self.left_because.append(reason)
        self._announce(RunsLeft, agent_id=asked.agent_id, model=asked.model, reason=reason)

    def interrupt(self) -> None:
        """Do what Ctrl-C asks that came in the midst of a step: stop the study, then cancel it."""
        self.is_interrupted = True
        if self.stopped_because is None:
            self.stop("interrupted")
        else:
            self.cancel("interrupted")

    async def wind_down(self, ended: anyio.Event) -> None:
        """Stop, for the host has cancelled; and cancel when the grace is over, or it does again."""
        self.stop("cancelled by the host")
        try:
            with anyio.move_on_after(self.grace_s):
                await ended.wait()
        finally:
            if not ended.is_set():
                self.cancel("cancelled by the host")


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
        PenstockError: the event loop is not asyncio's.
        BaseException: what the work raised, also where the host has cancelled meanwhile.
    """
    if not has_loop():
        raise PenstockError(
            "a study runs on asyncio's event loop, or uvloop, and here is another, such as trio's; "
            "use anyio.run(main), or run_study(...) in a worker thread: trio.to_thread.run_sync"
        )

    ended = anyio.Event()
    task = OwnTask(work(), on_end=ended.set)
    cancellation: BaseException | None = None
    try:
        await ended.wait()
    except BaseException as error:  # noqa: BLE001 - raised below
        cancellation = await _wound_down(ended, wind_down) or error

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
