"""Running a study until a person interrupts it, in a process that exists to run it.

Signals are received by plain handlers, which Python calls between two steps of whatever the main
thread does. So they are heard also where an agent blocks the event loop, which then can do nothing
about them; who leaves such a loop does so from within the handler. Where the main thread takes no
step at all, a thread that hears signals too leaves in its place.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from math import inf
from time import monotonic, sleep
from types import FrameType
from typing import Any, Protocol

from penstock._base.loop import call_soon_from_threads, leave_tasks_behind
from penstock.running.garbage import relaxed_gc
from penstock.running.signal_watch import heard_in_thread

__all__ = ["Interruptible", "run_interruptibly", "stopping_signals"]

_LEFT_TASKS_S = 0.5
"""How long tasks that agents have left may take to end; their runs have had their grace."""

_LAST = 3
"""The signal, counted over all kinds, that no longer waits for the event loop."""

_LAST_SIGTERM = 2
"""Whoever sends it a second time is about to send what cannot be received."""

_SAME_S = 0.5
"""A SIGTERM so soon after another is the same: `timeout` sends it to a process and to its group.
An event loop that has not heard of either a second later is left all the same."""


_CATCH_UP_S = 1.0
"""How long the main thread may take to call a handler, before a thread leaves in its place."""


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

    def save_at_once(self) -> int:
        """Save what has ended, though the event loop stands still."""
        ...


async def run_interruptibly(
    runner: Interruptible,
    on_interrupt: Callable[[str], None] = lambda _: None,
    leave: Callable[[str], None] | None = None,
) -> bool:
    """Run a study in a process of its own; return whether a person interrupted it.

    The first SIGINT, SIGTERM or SIGHUP stops the study, the second cancels what is in flight; a
    hang-up that is ignored (``nohup``) stays ignored. The third signal, and the second SIGTERM,
    saves what has ended and leaves, whatever blocks the event loop. Where signals cannot be
    received (outside the main thread) it only runs the study. The garbage collector runs less
    often meanwhile. Tasks that ignore their cancellation do not keep the event loop from closing.

    Args:
        runner: The study.
        on_interrupt: Called at each signal with what happens now, as a sentence for a person.
        leave: Ends the process, and is given a sentence for a person. Without it SIGINT raises
            KeyboardInterrupt where the main thread is, and other signals do what they did before.
    """
    try:
        if threading.current_thread() is threading.main_thread():
            interrupts = _Interrupts(runner, on_interrupt, leave)
            with interrupts.received(), relaxed_gc():
                await runner.run()

            return interrupts.count > 0

        await runner.run()
        return False
    finally:
        await leave_tasks_behind(_LEFT_TASKS_S)


class _Count:
    """Counts signals, and says when nobody is to be waited for any more."""

    def __init__(self) -> None:
        self.total = 0
        self._sigterms = 0
        self._terminated_at = -inf

    @property
    def is_last(self) -> bool:
        return self.total >= _LAST or self._sigterms >= _LAST_SIGTERM

    def add(self, received: signal.Signals) -> bool:
        """Count a signal, unless it is the same as the one before; return whether it counts."""
        if received is signal.SIGTERM:
            now = monotonic()
            if now - self._terminated_at < _SAME_S:
                return False

            self._terminated_at = now
            self._sigterms += 1

        self.total += 1
        return True


class _Interrupts:
    """The signals that a study has received, and what each of them does."""

    def __init__(
        self,
        runner: Interruptible,
        on_interrupt: Callable[[str], None],
        leave: Callable[[str], None] | None,
    ) -> None:
        self._received, self._heard = _Count(), _Count()
        self._runner = runner
        self._on_interrupt = on_interrupt
        self._leave = leave
        self._call_soon = call_soon_from_threads()
        self._is_saving = self._is_stopping = False
        self._before: dict[signal.Signals, Any] = {}

    @property
    def count(self) -> int:
        """How many there were."""
        return self._received.total

    @contextmanager
    def received(self) -> Iterator[None]:
        """Receive signals inside the block; afterwards they do what they did before."""
        for each in stopping_signals():
            self._before[each] = signal.signal(each, self._receive)

        try:
            with nullcontext() if self._leave is None else heard_in_thread(self._hear):
                yield

        finally:
            self._give_back()

    def _give_back(self) -> None:
        for each, handler in self._before.items():
            signal.signal(each, signal.SIG_DFL if handler is None else handler)

    def _receive(self, number: int, _: FrameType | None) -> None:
        received = signal.Signals(number)
        if not self._received.add(received):
            return

        if self._received.is_last:
            self._leave_at_once(received)
        elif self.count == 1:
            more = "leaves at once" if received is signal.SIGTERM else "cancels them"
            self._on_interrupt(f"{received.name}: runs in flight end; once more {more}")
            self._call_soon(self._stop, f"interrupted by {received.name}")
        else:
            self._on_interrupt(
                f"{received.name}: runs in flight are cancelled; once more leaves at once"
            )
            self._call_soon(self._runner.cancel, f"interrupted by {received.name}")

    def _hear(self, number: int) -> None:
        """Leave in the place of a handler that is not called, or of a loop that does not stop."""
        received = next((each for each in self._before if each == number), None)
        if received is None:
            return

        is_same = not self._heard.add(received)
        if is_same or self._heard.is_last:
            sleep(_CATCH_UP_S)
            if not self._received.is_last and not (is_same and self._is_stopping):
                self._leave_at_once(received)

    def _stop(self, reason: str) -> None:
        self._is_stopping = True
        self._runner.stop(reason)

    def _leave_at_once(self, received: signal.Signals) -> None:
        said = f"{received.name}: left at once; {self._save()}, and running it again goes on"
        if self._leave is not None:
            self._leave(said)
            return

        self._on_interrupt(said)
        self._give_back()
        if received is signal.SIGINT:
            raise KeyboardInterrupt

        signal.raise_signal(received)

    def _save(self) -> str:
        if self._is_saving:  # somebody does not wait for that either
            return "what was saved before is safe"

        self._is_saving = True
        try:
            self._runner.save_at_once()
        except Exception as error:  # noqa: BLE001 - said, whatever it is
            return f"what was saved before is safe, the last results were not ({error})"

        return "what had ended is saved"


def stopping_signals() -> Iterator[signal.Signals]:
    """Yield the signals with which people and systems stop a process."""
    yield signal.SIGINT
    yield signal.SIGTERM
    # The terminal is gone, and a study that dies with it loses the calls in flight.
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        yield signal.SIGHUP
