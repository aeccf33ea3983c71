"""What a call has to have before it is sent, and gives back whatever becomes of it."""

from __future__ import annotations

from penstock.models.gate.budget import Reservation
from penstock.models.gate.ticket import Ticket
from penstock.models.gate.worst_case import Expected

__all__ = ["Passage"]


class Passage:
    """A part of the budget and a turn at the gate, as far as a call has them.

    Args:
        expected: What the call may use at most.
        ticket: Its turn.

    Attributes:
        reservation: What the budget has set aside for it; None so far.
    """

    __slots__ = ("expected", "reservation", "ticket")

    def __init__(self, expected: Expected, ticket: Ticket) -> None:
        self.expected = expected
        self.ticket = ticket
        self.reservation: Reservation | None = None

    @property
    def reserved(self) -> Reservation:
        """What the budget has set aside for the call, which has entered."""
        if self.reservation is None:
            raise RuntimeError("nothing is reserved for this call")

        return self.reservation

    def end(self) -> None:
        """Give back what the call has."""
        self.ticket.leave()
        if self.reservation is not None:
            self.reservation.release()
