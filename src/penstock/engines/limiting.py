"""Named limits over all workers: the driver has them, and the attempts of workers ask for them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from itertools import count
from types import TracebackType
from typing import Any, Never, Self

import anyio

from penstock._base.loop import call_later
from penstock.engines.leased import Leased, Worker
from penstock.engines.messages import Borrow, FromWorker, GiveBack, Granted

__all__ = ["LimiterElsewhere", "Limits", "LimitsElsewhere"]

_Place = tuple[int, int]
"""A lease, and the number by which its attempt asks."""


class Limits:
    """The driver's side: who holds each limit, and who waits for it, first come first served.

    Args:
        most: Name -> how many attempts may hold the limit at once.
    """

    def __init__(self, most: Mapping[str, int]) -> None:
        self._free = dict(most)
        self._waiting: dict[str, deque[tuple[Worker, Borrow]]] = {name: deque() for name in most}
        self._held: dict[int, dict[int, str]] = {}

    def lend(self, worker: Worker, asked: Borrow) -> None:
        """Let an attempt hold a limit, as soon as it may."""
        self._waiting[asked.limiter].append((worker, asked))
        self._grant(asked.limiter)

    def take_back(self, given: GiveBack) -> None:
        """Note that an attempt does not hold a limit any more, or does not wait for it."""
        held = self._held.get(given.lease, {})
        if (name := held.pop(given.number, None)) is not None:
            self._free[name] += 1
            self._grant(name)
        else:
            self._forget(lambda asked: (asked.lease, asked.number) == (given.lease, given.number))

    def end(self, leased: Leased, after_s: float = 0.0) -> None:
        """Take back whatever an attempt holds that is over.

        Args:
            leased: The attempt.
            after_s: For so many seconds its agent may still be at work, where nobody hears it.
        """
        self._forget(lambda asked: asked.lease == leased.number)
        if (held := self._held.pop(leased.number, None)) and after_s:
            call_later(after_s, self._free_all, held)
        elif held:
            self._free_all(held)

    def _free_all(self, held: Mapping[int, str]) -> None:
        for name in held.values():
            self._free[name] += 1
            self._grant(name)

    def _forget(self, is_meant: Callable[[Borrow], bool]) -> None:
        for name, waiting in self._waiting.items():
            if waiting:
                self._waiting[name] = deque(each for each in waiting if not is_meant(each[1]))

    def _grant(self, name: str) -> None:
        while self._free[name] > 0 and self._waiting[name]:
            worker, asked = self._waiting[name].popleft()
            self._free[name] -= 1
            self._held.setdefault(asked.lease, {})[asked.number] = name
            worker.say(Granted(lease=asked.lease, number=asked.number))


class LimitsElsewhere:
    """The worker's side: asks the driver.

    Args:
        most: Name -> how many attempts may hold the limit at once, over all workers.
        say: Says something to the driver.
    """

    def __init__(self, most: Mapping[str, int], say: Callable[[FromWorker], None]) -> None:
        self._most = most
        self._say = say
        self._asked: dict[_Place, anyio.Event] = {}
        self._numbers = count(1)

    def of(self, lease: int) -> Mapping[str, anyio.CapacityLimiter]:
        """Return the limits as one attempt has them."""
        return {
            name: LimiterElsewhere(name, most, lease, self) for name, most in self._most.items()
        }

    async def borrow(self, name: str, lease: int) -> int:
        """Wait until a limit may be held; return the number by which it is given back."""
        number = next(self._numbers)
        granted = self._asked[lease, number] = anyio.Event()
        self._say(Borrow(lease=lease, number=number, limiter=name))
        try:
            await granted.wait()
        except BaseException:
            self.give_back(lease, number)
            raise
        finally:
            del self._asked[lease, number]

        return number

    def give_back(self, lease: int, number: int) -> None:
        """Hold a limit no more."""
        self._say(GiveBack(lease=lease, number=number))

    def hear(self, granted: Granted) -> None:
        """Note that a limit may be held."""
        asked = self._asked.get((granted.lease, granted.number))
        if asked is not None:
            asked.set()


class LimiterElsewhere(anyio.CapacityLimiter):
    """A named limit in the hand of one attempt; its driver has it, for the attempts of all workers.

    What it tells of tokens that are borrowed is of this attempt alone.
    """

    def __new__(cls, *_: Any) -> Self:
        """Make one that is not of this event loop."""
        return object.__new__(cls)

    def __init__(self, name: str, most: int, lease: int, limits: LimitsElsewhere) -> None:
        self._name = name
        self._most = most
        self._lease = lease
        self._limits = limits
        self._held: dict[object, int] = {}

    async def __aenter__(self) -> None:
        """Wait until the limit may be held."""
        await self.acquire()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Hold it no more."""
        self.release()

    async def acquire(self) -> None:
        """Wait until the limit may be held, for the current task."""
        await self.acquire_on_behalf_of(_task())

    async def acquire_on_behalf_of(self, borrower: object) -> None:
        """Wait until the limit may be held, for whoever that is.

        Raises:
            RuntimeError: the borrower holds it already.
        """
        if borrower in self._held:
            raise RuntimeError("this borrower is already holding one of this limiter's tokens")

        self._held[borrower] = 0
        try:
            self._held[borrower] = await self._limits.borrow(self._name, self._lease)
        except BaseException:
            del self._held[borrower]
            raise

    def acquire_nowait(self) -> Never:
        """Raise `anyio.WouldBlock`: the driver has to be asked."""
        raise anyio.WouldBlock

    def acquire_on_behalf_of_nowait(self, borrower: object) -> Never:  # noqa: ARG002 - anyio's
        """Raise `anyio.WouldBlock`: the driver has to be asked."""
        raise anyio.WouldBlock

    def release(self) -> None:
        """Hold it no more, for the current task."""
        self.release_on_behalf_of(_task())

    def release_on_behalf_of(self, borrower: object) -> None:
        """Hold it no more, for whoever that is.

        Raises:
            RuntimeError: the borrower does not hold it.
        """
        number = self._held.pop(borrower, 0)
        if not number:
            raise RuntimeError("this borrower isn't holding any of this limiter's tokens")

        self._limits.give_back(self._lease, number)

    @property
    def total_tokens(self) -> float:
        """How many attempts may hold the limit at once, over all workers."""
        return self._most

    @total_tokens.setter
    def total_tokens(self, _: float) -> None:
        raise AttributeError(
            f"limiter {self._name!r} is of all workers, and no one of them sets it"
        )

    @property
    def borrowed_tokens(self) -> int:
        """How many this attempt holds."""
        return sum(number > 0 for number in self._held.values())

    @property
    def available_tokens(self) -> float:
        """How many this attempt does not hold."""
        return self._most - self.borrowed_tokens

    def statistics(self) -> anyio.CapacityLimiterStatistics:
        """Return what is known here."""
        held = tuple(borrower for borrower, number in self._held.items() if number)
        waiting = len(self._held) - len(held)
        return anyio.CapacityLimiterStatistics(len(held), self._most, held, waiting)


def _task() -> int:
    return anyio.get_current_task().id
