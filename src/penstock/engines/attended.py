"""A worker of a cluster that a driver attends: what it has heard of it, and has to tell it."""

from __future__ import annotations

from penstock._base.loop import OwnTask

__all__ = ["Attended"]


class Attended:
    """A worker that is heard.

    Args:
        address: Where it is.

    Attributes:
        saved: The numbers of its batches that are saved, and that it may forget.
        after: The number of its last batch that has arrived.
        has_joined: Whether it has loaded the study, or refused it.
        task: Hears it.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self.saved: list[int] = []
        self.after = 0
        self.has_joined = False
        self.task: OwnTask
