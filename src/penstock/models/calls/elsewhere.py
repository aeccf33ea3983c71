"""Calls of chat models that another process makes: a worker asks its driver.

So one gate, one budget and one cache hold for all workers, keys stay where they are, and an answer
that was paid for is not lost with the worker that asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from penstock.agents.context import RunContext
from penstock.models.chat_model import Completion, CompletionRequest

__all__ = ["CallerElsewhere", "CallsElsewhere", "Endpoint", "ModelCaller"]


class ModelCaller(Protocol):
    """Calls one model of a study, here or elsewhere; see `penstock.models.calls.caller.Caller`."""

    provider: str
    base_url: str
    place: str

    async def complete(
        self, ctx: RunContext, request: CompletionRequest, index: str | None = None
    ) -> Completion:
        """Ask, or take the answer that there is."""
        ...


class Endpoint(NamedTuple):
    """What is to be known here of whom another process calls.

    Args:
        provider: The endpoint's host, as results name it.
        base_url: Its address.
        place: What tells its answers from those of other endpoints.
    """

    provider: str
    base_url: str
    place: str


class CallsElsewhere(Protocol):
    """Has calls made by another process.

    Attributes:
        endpoints: Caller -> whom it calls.
    """

    endpoints: Mapping[str, Endpoint]

    async def call(
        self, ctx: RunContext, caller: str, request: CompletionRequest, index: str | None
    ) -> Completion:
        """Have a call made by the caller of that name; what it records is recorded here too.

        Raises:
            RunFault: what the call has raised there.
        """
        ...


class CallerElsewhere:
    """Calls one model of a study by way of another process.

    Args:
        name: The caller's name there.
        calls: Has calls made.
    """

    def __init__(self, name: str, calls: CallsElsewhere) -> None:
        self.provider, self.base_url, self.place = calls.endpoints[name]
        self._name = name
        self._calls = calls

    async def complete(
        self, ctx: RunContext, request: CompletionRequest, index: str | None = None
    ) -> Completion:
        """Ask, or take the answer that there is."""
        return await self._calls.call(ctx, self._name, request, index)
