"""The watchdog: sees when the event loop stands still, and what it stands still in.

A thread looks now and then at what the loop's thread is doing. Where the loop is idle, all is
well, and it is not woken. Where it runs a callback, it is asked for a sign of life; if none comes
in time, the thread looks again, and that is the culprit. It costs some wake-ups a second of that
thread, and nothing for a run. Where the loop does not go on at all, nobody in it can say so: the
thread does, after some seconds and then each time it has lasted twice as long.

A sign may be late without anyone blocking the loop: the process was stopped, or the machine was
busy or asleep. So a delay is excused as far as the watchdog's own thread was late and the loop's
did not compute, and as far as the loop's thread was ready and had no processor. The thread waits in
short steps, since a stop within a step shows only by how late that step ends. A loop that is idle
and is kept from going on by other threads is not seen.
"""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from types import FrameType
from typing import Any, NamedTuple

from penstock._base.loop import call_soon_from_threads, task_from_threads
from penstock.errors import ValidationError
from penstock.running.watchdog.culprit import culprit_of, frames_above
from penstock.running.watchdog.thread_time import ThreadTime, thread_time

__all__ = ["Sight", "Watchdog"]

_SHORTEST_S = 0.005
"""Waking more often would cost more than it tells."""
_LASTS_S = 5.0
"""How long a stall lasts before it is told while it goes on."""
_STEPS = 4
"""In how many steps the threshold is waited for, once the loop was asked."""


class Sight(NamedTuple):
    """What the event loop was seen to stand still in.

    Args:
        culprit: The function and the line.
        stack: How it came there, as a traceback shows it.
        who: What is known of the task whose step it is.
    """

    culprit: str
    stack: str
    who: Any


class Watchdog:
    """Watches an event loop from a thread that ends with the watch.

    Args:
        threshold_s: How long what is due may have to wait, in seconds. A stall of twice that is
            surely seen, a shorter one perhaps.

    Raises:
        ValidationError: it is not a length of time.
    """

    def __init__(self, threshold_s: float) -> None:
        if not 0 < threshold_s <= threading.TIMEOUT_MAX:
            raise ValidationError([f"stall_threshold_s must be > 0 or None, not {threshold_s!r}"])

        self._threshold_s = max(threshold_s, _SHORTEST_S)
        self._lasts_s = max(self._threshold_s, _LASTS_S)
        self._asked_at: float | None = None
        self._times_asked = 0
        self._depth: int | None = None
        self._seen: tuple[int, Sight] | None = None
        self._over = threading.Lock()  # waiting for a lock costs half of waiting for an event
        self._over.acquire()

    @contextmanager
    def watching(
        self,
        who: Callable[[Any], Any],
        on_stall: Callable[[float, Sight], None],
        while_stalled: Callable[[float, Sight], None] = lambda _duration_s, _sight: None,
    ) -> Iterator[None]:
        """Watch the running event loop inside the block.

        Args:
            who: Tells what is known of a task; called in the watching thread.
            on_stall: Called in the loop when it goes on, with how long what was due had to wait.
            while_stalled: Called in the watching thread while it does not, with how long it has
                not.
        """

        def answer() -> None:
            asked_at, self._asked_at = self._asked_at, None
            seen, self._seen = self._seen, None
            if self._depth is None:  # the frames below a callback are those that run the loop
                self._depth = len(frames_above(0, sys._getframe(1)))  # noqa: SLF001

            if asked_at is not None and seen is not None and seen[0] == self._times_asked:
                on_stall(monotonic() - asked_at, seen[1])

        call_soon = call_soon_from_threads()
        call_soon(answer)  # before any task that is started later
        with thread_time() as read_time:
            task = task_from_threads()
            loop = _Loop(threading.get_ident(), read_time, task, call_soon, who, while_stalled)
            thread = threading.Thread(
                target=self._watch, args=(loop, answer), name="penstock-watchdog", daemon=True
            )
            thread.start()
            try:
                yield
            finally:
                self._over.release()
                thread.join()

    def _watch(self, loop: _Loop, answer: Callable[[], None]) -> None:
        while not self._ends_within(self._threshold_s):
            if self._callback(loop):
                self._times_asked += 1
                self._asked_at = monotonic()
                loop.call_soon(answer)
                self._wait_for_answer(loop)

    def _wait_for_answer(self, loop: _Loop) -> None:
        at, before, overdue_s = monotonic(), loop.read_time(), 0.0
        tell_at_s = self._lasts_s
        step_s = max(self._threshold_s / _STEPS, _SHORTEST_S)
        while not self._ends_within(step_s) and self._asked_at is not None:
            now, used = monotonic(), loop.read_time()
            computed_s = used.computed_s - before.computed_s
            late_s = now - at - step_s - computed_s
            if late_s > step_s:  # no telling how much of the step itself the process was stopped
                overdue_s += computed_s
            else:
                overdue_s += now - at - max(late_s, used.queued_s - before.queued_s, 0.0)

            at, before = now, used
            if overdue_s >= self._threshold_s and self._seen is None:
                sight = self._look(loop)
                self._seen = None if sight is None else (self._times_asked, sight)

            if overdue_s >= tell_at_s and (sight := self._look(loop)) is not None:
                tell_at_s = 2 * overdue_s
                loop.while_stalled(overdue_s, sight)

    def _look(self, loop: _Loop) -> Sight | None:
        frames = self._callback(loop)
        return Sight(*culprit_of(frames), loop.who(loop.current_task())) if frames else None

    def _ends_within(self, seconds: float) -> bool:
        if self._over.acquire(timeout=seconds):
            self._over.release()
            return True

        return False

    def _callback(self, loop: _Loop) -> list[FrameType]:
        """Look at the frames of the callback that the loop runs; none where it is idle."""
        if self._depth is None:
            return []

        with _collecting_no_garbage():
            frame = sys._current_frames().get(loop.thread)  # noqa: SLF001 - there is no other way
            return frames_above(self._depth, frame)


@contextmanager
def _collecting_no_garbage() -> Iterator[None]:
    """Make frames of a thread that runs on, in which Python 3.11 may collect garbage.

    What is collected there may let that thread go on, whose frames then are others: the process
    hangs or crashes (python/cpython#106883). From 3.12 on garbage waits until a frame is made.
    """
    was_enabled = sys.version_info < (3, 12) and gc.isenabled()
    if was_enabled:
        gc.disable()

    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


class _Loop(NamedTuple):
    """The event loop, as another thread may see it."""

    thread: int
    read_time: Callable[[], ThreadTime]
    current_task: Callable[[], Any]
    call_soon: Callable[..., None]
    who: Callable[[Any], Any]
    while_stalled: Callable[[float, Sight], None]
