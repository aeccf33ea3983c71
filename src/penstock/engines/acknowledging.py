"""Which batches of workers are saved: each is acknowledged when all that it holds is."""

from __future__ import annotations

from collections.abc import Callable, Collection

__all__ = ["Acknowledging"]


class Acknowledging:
    """Acknowledges batches.

    Args:
        acknowledge: Called with a worker and the number of its batch that is saved.
    """

    def __init__(self, acknowledge: Callable[[str, int], None]) -> None:
        self._acknowledge = acknowledge
        self._left: dict[tuple[str, int], int] = {}
        self._batches: dict[tuple[str, int], tuple[str, int]] = {}

    def expect(self, worker: str, seq: int, ended: Collection[tuple[str, int]]) -> None:
        """Note a batch, and the attempts (run, number) that ended in it; none is saved already."""
        if not ended:
            self._acknowledge(worker, seq)
            return

        self._left[worker, seq] = len(ended)
        for attempt in ended:
            self._batches[attempt] = worker, seq

    def note_saved(self, run_id: str, attempt: int) -> None:
        """Note that an attempt is saved."""
        batch = self._batches.pop((run_id, attempt), None)
        if batch is None or batch not in self._left:
            return

        self._left[batch] -= 1
        if not self._left[batch]:
            del self._left[batch]
            self._acknowledge(*batch)

    def forget(self, worker: str) -> None:
        """Acknowledge nothing more to a worker: it is gone."""
        for batch in [batch for batch in self._left if batch[0] == worker]:
            del self._left[batch]
