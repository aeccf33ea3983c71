"""Which runs may be why workers end: those in flight at two ends, halved until one is alone."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from math import inf

__all__ = ["Suspicions"]

_DEATHS_TO_SUSPECT = 2
_ENDS_ALONE = 2
"""Any process may be killed once for another reason, though a run happens to be alone in it."""


@dataclass(slots=True)
class _Suspect:
    deaths: int = 0
    alone: int = 0
    most: float = inf


class Suspicions:
    """Keeps, for each run that was in flight when a worker ended, how many may be beside it.

    The first end accuses nobody. From the second on a run shares a worker with half as many as at
    the last end, until it is alone: after the second end alone it is taken for the reason.
    """

    def __init__(self) -> None:
        self._suspects: dict[int, _Suspect] = {}

    def most_beside(self, position: int) -> float:
        """Return how many runs a worker may have in flight where this one is among them."""
        suspect = self._suspects.get(position)
        return inf if suspect is None else suspect.most

    def least(self, positions: Iterable[int]) -> float:
        """Return how many runs may be in flight in a worker where all of these are."""
        return min(map(self.most_beside, positions), default=inf)

    def note_end(self, positions: Collection[int]) -> None:
        """Note that a worker has ended while runs were in flight there."""
        for position in positions:
            suspect = self._suspects.setdefault(position, _Suspect())
            suspect.deaths += 1
            suspect.alone += len(positions) == 1
            if suspect.deaths >= _DEATHS_TO_SUSPECT:
                suspect.most = max(1, len(positions) // 2)

    def is_culprit(self, position: int) -> bool:
        """Return whether a run is taken for the reason."""
        suspect = self._suspects.get(position)
        return suspect is not None and suspect.alone >= _ENDS_ALONE

    def clear(self, position: int) -> None:
        """Forget a run that has ended by itself."""
        self._suspects.pop(position, None)
