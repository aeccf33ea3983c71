"""Running a study until a person interrupts it, in a process that exists to run it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import anyio
import anyio.abc

from penstock._base.loop import leave_tasks_behind
from penstock.running.garbage import relaxed_gc

__all__ = ["Interruptible", "run_interruptibly"]

_PATIENCE_S = 0.5
"""How long tasks that agents have left may take to end; their runs have had their grace."""


class Interruptible(Protocol):
    """Something that runs and can be stopped on the way: a `StudyRunner`."""

    async def run(self) -> Any:
        """Run to the end."""
        ...

    def stop(self, reason: str) -> None:
        """Start nothing new; what is in flight ends."""
        ...

    def cancel(self, reason: str) -> None:
        """Stop, and cancel what is in flight."""
        ...


async def run_interruptibly(
    runner: Interruptible, on_interrupt: Callable[[str], None] = lambda _: None
) -> bool:
    """Run a study in a process of its own; return whether a person interrupted it.

    The first SIGINT, SIGTERM or SIGHUP stops the study, the second cancels what is in flight; a
    hang-up that is ignored (``nohup``) stays ignored. Where signals cannot be received (outside
    the main thread, not POSIX) it only runs the study. The garbage collector runs less often
    meanwhile. Tasks that ignore their cancellation do not keep the event loop from closing.

    Args:
        runner: The study.
        on_interrupt: Called at each signal with what happens now, as a sentence for a person.
    """
    try:
        if threading.current_thread() is threading.main_thread():
            return await _run_with_signals(runner, on_interrupt)

        await runner.run()
        return False
    finally:
        await leave_tasks_behind(_PATIENCE_S)


async def _run_with_signals(runner: Interruptible, on_interrupt: Callable[[str], None]) -> bool:
    interrupts = 0

    async def receive(*, task_status: anyio.abc.TaskStatus[None]) -> None:
        nonlocal interrupts
        with anyio.open_signal_receiver(*_stopping_signals()) as signals:
            task_status.started()
            async for received in signals:
                interrupts += 1
                name = signal.Signals(received).name
                if interrupts == 1:
                    on_interrupt(f"{name}: runs in flight end; once more cancels them")
                    runner.stop(f"interrupted by {name}")
                else:
                    on_interrupt(f"{name}: runs in flight are cancelled")
                    runner.cancel(f"interrupted by {name}")

    failure: Exception | None = None
    async with anyio.create_task_group() as group:
        await group.start(receive)
        try:
            with relaxed_gc():
                await runner.run()
        except Exception as error:  # noqa: BLE001 - raised below, outside the task group
            failure = error

        group.cancel_scope.cancel()

    if failure is not None:
        raise failure

    return interrupts > 0


def _stopping_signals() -> Iterator[signal.Signals]:
    yield signal.SIGINT
    yield signal.SIGTERM
    # The terminal is gone, and a study that dies with it loses the calls in flight.
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        yield signal.SIGHUP
