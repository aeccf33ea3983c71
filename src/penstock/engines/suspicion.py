"""Which runs may be why workers end: those in flight at two ends, halved until one is alone."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from math import inf

__all__ = ["Suspicions"]

_DEATHS_TO_SUSPECT = 2
_ENDS_IN_A_ROW = 3
_ENDS_ALONE = 6
"""Where workers are killed for other reasons, a run happens to be alone in some of them."""


@dataclass(slots=True)
class _Suspect:
    deaths: int = 0
    alone: int = 0
    alone_in_a_row: int = 0
    most: float = inf


class Suspicions:
    """Keeps, for each run that was in flight when a worker ended, how many may be beside it.

    The first end accuses nobody. From the second on a run shares a worker with half as many as at
    the last end, until it is alone. It is taken for the reason after three ends alone while no
    worker ended that had several runs, or after six ends alone.
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
        is_alone = len(positions) == 1
        if len(positions) > 1:  # workers end for another reason, or because of another run
            for suspect in self._suspects.values():
                suspect.alone_in_a_row = 0

        for position in positions:
            suspect = self._suspects.setdefault(position, _Suspect())
            suspect.deaths += 1
            suspect.alone += is_alone
            suspect.alone_in_a_row += is_alone
            if suspect.deaths >= _DEATHS_TO_SUSPECT:
                suspect.most = max(1, len(positions) // 2)

    def is_culprit(self, position: int) -> bool:
        """Return whether a run is taken for the reason."""
        suspect = self._suspects.get(position)
        return suspect is not None and (
            suspect.alone_in_a_row >= _ENDS_IN_A_ROW or suspect.alone >= _ENDS_ALONE
        )

    def clear(self, position: int) -> None:
        """Forget a run that has ended by itself."""
        self._suspects.pop(position, None)
