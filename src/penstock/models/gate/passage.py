"""What a call has to have before it is sent, and the one account of what became of it."""

from __future__ import annotations

from typing import Any

from penstock.models.gate.budget import Reservation
from penstock.models.gate.ticket import Ticket
from penstock.models.gate.worst_case import Expected

__all__ = ["Passage"]


class Passage:
    """A part of the budget and a turn at the gate, as far as a call has them, and its account.

    Args:
        expected: What the call may use at most.
        ticket: Its turn.

    Attributes:
        metrics: What is to be recorded of the call, by the names of an agent's metrics.
        reservation: What the budget has set aside for it; None so far.
    """

    __slots__ = ("expected", "metrics", "reservation", "ticket")

    def __init__(self, expected: Expected, ticket: Ticket) -> None:
        self.expected = expected
        self.ticket = ticket
        self.metrics: dict[str, Any] = {}
        self.reservation: Reservation | None = None

    @property
    def reserved(self) -> Reservation:
        """What the budget has set aside for the call, which has entered."""
        if self.reservation is None:
            raise RuntimeError("nothing is reserved for this call")

        return self.reservation

    @property
    def is_sent(self) -> bool:
        """Whether the call was sent, so that it may be billed."""
        return self.reservation is not None and self.reservation.is_begun

    def end(self) -> None:
        """Give back what the call has.

        Where it was sent, and what it came to was neither settled nor released, its worst case
        counts: the provider may bill it, whatever has cut it off here.
        """
        self.ticket.leave()
        if self.is_sent and self.reserved.is_open:
            expected = self.expected
            self.reserved.settle(expected.cost_usd or 0.0, expected.tokens)
            self.metrics["uncounted_cost_usd"] = expected.cost_usd or 0.0
            self.metrics["uncounted_tokens"] = expected.tokens
        elif self.reservation is not None:
            self.reservation.release()
