"""What a session of a study tells those things that are open only while it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

from penstock.models.calls.kept_call import CallStore
from penstock.study.execution import KeepCalls
from penstock.study.settings import Settings
from penstock.summary import EndpointNow

if TYPE_CHECKING:
    from penstock.models.gate.shared import Endpoints

__all__ = ["Gated", "Resource", "Session"]


class Session(NamedTuple):
    """A session that begins.

    Args:
        spent_usd: What earlier sessions have cost, in US dollars.
        spent_tokens: How many tokens they have used.
        out_of_budget: Called with the reason when the budget is spent: the study stops.
        limit_changed: Called with how many calls may be in flight from now on, why, and the
            endpoint's name as ``endpoint``.
        follow: Takes a function that is called with the settings, at once and when they are set.
        risked: Told, whenever that changes, what the calls of this session may have cost so far,
            in US dollars and in tokens; it is to be kept where a process that is killed leaves it.
        on_stop: Takes a function that is called with the reason when the study stops; at once,
            where it has.
        endpoints: What it shares with other studies, where it does.
        calls: Where calls of models are kept; nowhere where not given.
        keep_calls: How much of them is.
    """

    spent_usd: float
    spent_tokens: int
    out_of_budget: Callable[[str], None]
    limit_changed: Callable[..., None]
    follow: Callable[[Callable[[Settings], None]], None] = lambda act: act(Settings())
    risked: Callable[[float, int], None] = lambda _cost_usd, _tokens: None
    on_stop: Callable[[Callable[[str], None]], None] = lambda _: None
    endpoints: Endpoints | None = None
    calls: CallStore | None = None
    keep_calls: KeepCalls = "none"


class Resource(Protocol):
    """Something that is opened when a session begins and closed when it ends."""

    def open(self, session: Session) -> AbstractAsyncContextManager[None]:
        """Be open inside ``async with``."""
        ...


@runtime_checkable
class Gated(Protocol):
    """A resource that calls pass gates of."""

    def endpoints_now(self) -> Iterator[EndpointNow]:
        """Yield where its gates stand; none where it is not open."""
        ...
