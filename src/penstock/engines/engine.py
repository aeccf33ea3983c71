"""The port of engines: how the driver reaches its workers, whatever carries the messages."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple, Protocol

from penstock.engines.boot import Boot
from penstock.engines.messages import FromWorker, ToWorker

__all__ = ["Arrival", "Batch", "Engine", "Joined", "Lost"]


class Joined(NamedTuple):
    """A worker is there.

    Args:
        worker: Its name, which is used once in a session.
        capacity: How many attempts it makes at once.
        refusal: Why it cannot make any of this study, where that is so.
        others: How many more are on their way, whose share of the first runs is kept for them.
        clock_ahead_s: By how much its clock is ahead of the driver's, in whole seconds.
    """

    worker: str
    capacity: int
    refusal: str = ""
    others: int = 0
    clock_ahead_s: int = 0


class Lost(NamedTuple):
    """A worker is gone, or does not answer any more.

    Args:
        worker: Its name.
        why: What happened, in words.
        may_live: Whether it may be at work all the same, and only not be heard.
    """

    worker: str
    why: str
    may_live: bool = False


class Batch(NamedTuple):
    """What a worker has said.

    Args:
        worker: Its name.
        seq: The number of the batch, from 1; the worker keeps it until it is told that it is saved.
        messages: What it says, in order.
    """

    worker: str
    seq: int
    messages: Sequence[FromWorker]


Arrival = Joined | Lost | Batch


class Engine(Protocol):
    """Starts workers or finds them, carries messages, and says who is there and who is lost.

    A worker that is lost is never heard again under its name: one that comes back joins anew.
    """

    async def start(self, boot: Boot) -> None:
        """Be ready: from now on each worker is told how to begin as it comes.

        Raises:
            EngineError: workers cannot be started, or found.
        """
        ...

    def incoming(self) -> AsyncIterator[Arrival]:
        """Yield what happens, as it comes.

        Raises:
            EngineError: there are no workers, and there will be none.
        """
        ...

    async def send(self, worker: str, messages: Sequence[ToWorker]) -> None:
        """Send messages to a worker; to one that is lost nothing is sent."""
        ...

    def saved(self, worker: str, seq: int) -> None:
        """Note that all of a batch survives a crash: the worker may forget it."""
        ...

    async def aclose(self) -> None:
        """Let the workers go; those that the engine has started end."""
        ...
