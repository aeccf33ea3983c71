"""How long something may take, on the clock of the event loop."""

from __future__ import annotations

from math import isfinite
from typing import Any, Self

import anyio

from penstock._base.loop import Timer, running_loop, running_task
from penstock._base.scopes import new_scope

__all__ = ["TimeLimit", "fail_after"]


class _Alarm:
    """Ends something when its time is over, but not for a pause of the process.

    A process that was stopped (a closed lid, SIGSTOP) or whose loop stood still finds its time over
    when it goes on, and what came meanwhile lies in its sockets: that is read first.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._excuses = _MOST_EXCUSES
        self._alarm: Timer | None = None

    def _begin(self) -> None:
        self._loop = running_loop()
        self._deadline = self._loop.time() + self._seconds

    def set_alarm(self) -> None:
        """Set the alarm; what never waits needs none."""
        self.deadline = self._deadline

    @property
    def deadline(self) -> float:
        """When the time is over, on the clock of the event loop; may be set."""
        return self._deadline

    @deadline.setter
    def deadline(self, deadline: float) -> None:
        self._forget_alarm()
        self._deadline = deadline
        if isfinite(deadline):
            self._alarm = self._loop.call_at(deadline, self._ring)
        elif deadline < 0:
            self.end()

    def _ring(self) -> None:
        """End it; put that off where the loop sees only now that it is over, and long has been."""
        self._alarm = None
        now = self._loop.time()
        if self._excuses and now - self._deadline >= _PAUSE_S:
            self._excuses -= 1
            self.deadline = now + min(max(self._seconds, 1.0), _LONGEST_EXCUSE_S)
        else:
            self.end()

    def end(self) -> None:
        """End it now."""
        raise NotImplementedError

    def _forget_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None


class TimeLimit(_Alarm):
    """Cancels what is inside ``with`` when its time is over, but not for a pause of the process.

    Args:
        seconds: How long it may take.
        is_set: Whether the alarm is set at once, and not by `set_alarm`.

    Attributes:
        scope: The cancel scope.
    """

    def __init__(self, seconds: float, *, is_set: bool = True) -> None:
        super().__init__(seconds)
        self._is_set = is_set
        self.scope = new_scope()

    def __enter__(self) -> Self:
        self.scope.__enter__()
        self._begin()
        if self._is_set:
            self.set_alarm()

        return self

    def __exit__(self, *error: object) -> bool:
        self._forget_alarm()
        leave: Any = self.scope.__exit__
        return bool(leave(*error))

    def end(self) -> None:
        """End it now."""
        self.scope.cancel()


class fail_after(_Alarm):  # noqa: N801 - as anyio's, whose scope takes five times as long
    """Raise TimeoutError where what is inside ``with`` takes longer, but not for a pause.

    What is inside is cancelled once a second until it ends.

    Args:
        seconds: How long it may take.
    """

    def __enter__(self) -> Self:
        self._task = task = running_task()
        self._others, self._cancels = task.cancelling(), 0
        self._begin()
        self._alarm = self._loop.call_at(self._deadline, self._ring)
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        self._forget_alarm()
        for _ in range(self._cancels):
            self._task.uncancel()

        is_own = self._cancels and self._task.cancelling() <= self._others
        if is_own and kind is not None and issubclass(kind, anyio.get_cancelled_exc_class()):
            raise TimeoutError

    def end(self) -> None:
        """End it now, and again until it has ended."""
        self._cancels += 1
        self._task.cancel()
        self._alarm = self._loop.call_later(_AGAIN_S, self.end)


_PAUSE_S = 0.5
_LONGEST_EXCUSE_S = 5.0
_MOST_EXCUSES = 3
"""Or a loop that always stands still would know no limit."""

_AGAIN_S = 1.0
"""After which a library that took a cancellation for something else is cancelled again."""
