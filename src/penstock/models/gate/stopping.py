"""What a stop of the study means for calls that have not been sent: they are not made."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import anyio

from penstock.errors import StopStudy

__all__ = ["Stopping"]


class Stopping:
    """Ends the waits of calls when the study stops: for their turn, the budget, or a refusal."""

    def __init__(self) -> None:
        self._reason: str | None = None
        self._waits: set[anyio.CancelScope] = set()

    @property
    def is_begun(self) -> bool:
        """Whether the study stops."""
        return self._reason is not None

    def stop(self, reason: str) -> None:
        """End every wait, and from now on each one as it begins."""
        self._reason = reason
        for scope in self._waits:
            scope.cancel()

    @contextmanager
    def ending_the_wait(self) -> Iterator[None]:
        """Wait inside this block for as long as the study goes on.

        Raises:
            StopStudy: the study stops; also where the wait was over in the same moment.
        """
        with anyio.CancelScope() as scope:
            if self._reason is not None:
                scope.cancel()

            self._waits.add(scope)
            try:
                yield
            finally:
                self._waits.discard(scope)

        if scope.cancel_called:
            raise StopStudy(f"this call was not made: the study stops ({self._reason})")
