"""The watchdog: sees when the event loop stands still, and what it stands still in.

The loop notes now and then that it goes on (a beat). A thread sleeps until a beat is overdue, and
then looks at what the loop's thread is doing at that moment. While nothing stands still that costs
some wake-ups a second, and nothing for a run.

A beat may be overdue without anyone blocking the loop: the process was stopped, or the machine
was busy or asleep. So a delay is excused as far as the watchdog's own thread was late and the
loop's did not compute, and as far as the loop's thread was ready and had no processor. Where no
callback of the loop is running, it is kept from running by other threads, and nobody is named.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any, NamedTuple

from penstock.culprit import culprit_of, frames_above
from penstock.errors import ValidationError
from penstock.loop import calling_every, task_from_threads
from penstock.thread_time import ThreadTime, thread_time

__all__ = ["Sight", "Watchdog"]

_SHORTEST_S = 0.005
"""Closer together, beats would cost more than they tell."""


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
        threshold_s: How long what is due may have to wait, in seconds.

    Raises:
        ValidationError: it is no length of time.
    """

    def __init__(self, threshold_s: float) -> None:
        if not threshold_s > 0:
            raise ValidationError([f"stall_threshold_s must be > 0 or None, not {threshold_s!r}"])

        self._threshold_s = threshold_s
        self._interval_s = max(threshold_s / 2, _SHORTEST_S)
        self._beats = 0
        self._due_at = 0.0
        self._depth = 0
        self._seen: tuple[int, Sight] | None = None
        self._over = threading.Event()

    @contextmanager
    def watching(
        self, who: Callable[[Any], Any], on_stall: Callable[[float, Sight], None]
    ) -> Iterator[None]:
        """Watch the running event loop inside the block.

        Args:
            who: Tells what is known of a task; called in the watching thread.
            on_stall: Called in the loop when it goes on, with how long what was due had to wait.
        """

        def beat() -> None:
            now = monotonic()
            late_s = now - self._due_at
            seen, self._seen = self._seen, None
            beats, self._beats = self._beats, self._beats + 1
            self._due_at = now + self._interval_s
            self._depth = self._depth or len(frames_above(0, sys._getframe(2)))  # noqa: SLF001
            if seen is not None and seen[0] == beats:  # else it was seen as this beat began
                on_stall(late_s, seen[1])

        self._due_at = monotonic() + self._interval_s
        with thread_time() as read_time, calling_every(self._interval_s, beat):
            options = (threading.get_ident(), read_time, task_from_threads(), who)
            thread = threading.Thread(
                target=self._watch, args=options, name="penstock-watchdog", daemon=True
            )
            thread.start()
            try:
                yield
            finally:
                self._over.set()
                thread.join()

    def _watch(
        self,
        loop_thread: int,
        read_time: Callable[[], ThreadTime],
        current_task: Callable[[], Any],
        who: Callable[[Any], Any],
    ) -> None:
        beats, excused_s = -1, 0.0
        at, before = monotonic(), read_time()
        wait_s = self._interval_s + self._threshold_s
        while not self._over.wait(wait_s):
            now, used = monotonic(), read_time()
            late_s = now - at - wait_s - (used.computed_s - before.computed_s)
            at, before, queued_s = now, used, used.queued_s - before.queued_s
            if self._beats != beats:
                beats, excused_s = self._beats, 0.0

            excused_s += max(late_s, queued_s, 0.0)
            overdue_s = now - self._due_at - excused_s
            if overdue_s < self._threshold_s:
                wait_s = max(self._threshold_s - overdue_s, _SHORTEST_S)
                continue

            if self._seen is None:
                self._look(beats, loop_thread, current_task(), who)

            wait_s = self._threshold_s

    def _look(self, beats: int, loop_thread: int, task: Any, who: Callable[[Any], Any]) -> None:
        frame = sys._current_frames().get(loop_thread)  # noqa: SLF001 - there is no other way
        frames = frames_above(self._depth, frame) if self._depth else []
        if frames:
            self._seen = beats, Sight(*culprit_of(frames), who(task))
