"""One call's turn at the gate before its endpoint."""
# ruff: noqa: SLF001 - a ticket is a part of its gate

from __future__ import annotations

from types import TracebackType
from typing import Protocol, Self

import anyio

from penstock.models.chat_model import RateLimitHeaders
from penstock.models.gate.pacing import Entry
from penstock.models.model_errors import ModelError

__all__ = ["Ticket"]


class _OfTickets(Protocol):
    """A gate as its tickets know it."""

    def _enter_at_once(self, ticket: Ticket) -> bool: ...
    async def _enter(self, ticket: Ticket) -> None: ...
    def _leave(self, ticket: Ticket) -> None: ...
    def _settle(self, ticket: Ticket, tokens: int) -> None: ...
    def _succeeded(self, ticket: Ticket, headers: RateLimitHeaders | None) -> None: ...
    def _rejected(self, ticket: Ticket, error: ModelError) -> None: ...


class Ticket:
    """One call's turn at the gate: ``async with gate.admit(group, tokens) as ticket: ...``.

    Inside the block the call has a slot; leaving the block gives it back, whatever happened.
    Without a block it is `enter`, or `enter_at_once`, and then `leave`.

    Attributes:
        group: Between whom turns are given in rotation: the condition's id.
        tokens: How many tokens the call is reckoned to use.
        waited_s: How long it waited for its turn, in seconds.
    """

    __slots__ = (
        "_admitted_at",
        "_alarm",
        "_entries",
        "_failure",
        "_gate",
        "_is_told",
        "_woken",
        "group",
        "tokens",
        "waited_s",
    )

    def __init__(self, gate: _OfTickets, group: str, tokens: int) -> None:
        self.group = group
        self.tokens = tokens
        self.waited_s = 0.0
        self._gate = gate
        self._admitted_at: float | None = None
        self._entries: tuple[Entry, Entry] | None = None
        self._is_told = False
        self._woken: anyio.Event | None = None
        self._alarm: anyio.CancelScope | None = None
        self._failure: ModelError | None = None

    async def __aenter__(self) -> Self:
        await self.enter()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.leave()

    def enter_at_once(self) -> bool:
        """Take a turn where there is one now; return whether there was."""
        return self._gate._enter_at_once(self)

    async def enter(self) -> None:
        """Wait for a turn."""
        await self._gate._enter(self)

    def leave(self) -> None:
        """Give the slot back, where it has one."""
        self._gate._leave(self)

    def settle(self, tokens: int) -> None:
        """Count the tokens that the call really used in place of the estimate."""
        self._gate._settle(self, tokens)

    def succeeded(self, headers: RateLimitHeaders | None = None) -> None:
        """Note that the call was answered: the limit may grow.

        Args:
            headers: What the provider says about its own limits.
        """
        self._gate._succeeded(self, headers)

    def rejected(self, error: ModelError) -> None:
        """Note that the call failed; refusals pause everyone and cut the limit, if they are many.

        Args:
            error: Why; where it is a refusal its ``retry_after_s`` is the length of the pause.
                Any other failure changes nothing.
        """
        self._gate._rejected(self, error)
