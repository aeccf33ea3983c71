"""What all agents and judges of a study share: connections, gates, money, and a response cache."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from math import inf
from typing import Any

import structlog

from penstock._base.open_files import room_for_connections
from penstock.models.calls.cache import ResponseCache
from penstock.models.calls.kept_calls import KeptCalls
from penstock.models.chat_model import CompletionRequest, Usage
from penstock.models.clients import Clients, EndpointClient
from penstock.models.conversations.tool_servers import ToolServers
from penstock.models.gate.budget import BudgetExhaustedError, Reservation, Spending
from penstock.models.gate.gate import Gate
from penstock.models.gate.prices import Prices
from penstock.models.gate.shared import Account, Endpoints
from penstock.models.gate.stopping import Stopping
from penstock.models.gate.worst_case import Expected, WorstCases
from penstock.models.model_errors import UnboundedCallError
from penstock.models.prompts.images import ImageFiles
from penstock.models.session import Session
from penstock.study.model import Study
from penstock.study.settings import Settings
from penstock.summary import EndpointNow

__all__ = ["StudyEndpoints"]


class StudyEndpoints:
    """The endpoints of a study; open while a session runs.

    Args:
        study: The study, for its limits, prices, budget and response cache.

    Attributes:
        prices: What models cost.
        clients: Ask the endpoints.
        images: Reads the images that are asked about.
        tool_servers: Run while a session does, and give tools to runs.
        stopping: Ends the waits of calls that have not been sent, when the study stops.
        cache: Answers that are kept, where the study asks for it; there while a session runs.
        calls: Keeps the calls of the session.
    """

    def __init__(self, study: Study) -> None:
        self.prices = Prices(study.prices)
        self.clients = Clients(study, self.prices)
        self.images = ImageFiles(study.resolve)
        self.tool_servers = ToolServers(study.resolve("."), self.clients.filled)
        self.worst_cases = WorstCases(self.prices)
        self.refused_for_s = 0.0
        self.stopping = Stopping()
        self.cache: ResponseCache | None = None
        self.calls = KeptCalls()
        self._study = study
        self._spending = Spending(study.budget)
        self._out_of_budget: Callable[[str], None] = lambda _: None
        self._gates: dict[Account, Gate] = {}
        self._told: Counter[tuple[str, str, str, tuple[tuple[str, Any], ...]]] = Counter()

    def gate(self, client: EndpointClient) -> Gate:
        """Return the gate of a client's account."""
        return self._gates[client.account]

    def now(self) -> Iterator[EndpointNow]:
        """Yield where each gate stands."""
        for account, gate in self._gates.items():
            name = f"{account.base_url} ({account.model})" if account.model else account.base_url
            yield EndpointNow(
                name=name,
                in_flight=gate.in_flight,
                limit=gate.limit,
                waiting=gate.waiting,
                refused=gate.refusals.total,
            )

    def reserve_at_once(self, expected: Expected) -> Reservation | None:
        """Reserve what a call may spend, where that needs no waiting; see `reserve`."""
        return self._spending.reserve_at_once(expected.cost_usd or 0.0, expected.tokens)

    async def reserve(self, expected: Expected) -> Reservation:
        """Reserve what a call may spend; where the budget does not allow it, the study stops.

        Raises:
            BudgetExhaustedError: the budget does not allow the call.
        """
        try:
            return await self._spending.reserve_in_turn(expected.cost_usd or 0.0, expected.tokens)
        except BudgetExhaustedError as error:
            self._out_of_budget(str(error))
            raise

    def refuse_unbounded(self, base_url: str, request: CompletionRequest) -> None:
        """Refuse a call of which nobody knows whether the study's budget allows it.

        Raises:
            UnboundedCallError: its answer has no bound, or its price is not known.
        """
        budget = self._spending.budget
        if not budget.bounds_spending:
            return

        if request.most_output_tokens is None:
            raise UnboundedCallError(
                f"a call of model {request.model!r} has no max_tokens, so that nobody knows "
                "whether the study's budget allows it; give it in the call or with the model"
            )

        is_priced = self.prices.cost_usd(request.model, Usage(), base_url) is not None
        if budget.max_cost_usd is not None and not is_priced:
            raise UnboundedCallError(
                f"the price of model {request.model!r} is not known at {base_url}, and the study "
                "has budget.max_cost_usd; declare its price"
            )

    def tell_once(self, event: str, base_url: str, model: str, **said: Any) -> None:
        """Log a warning about a model, the first time that it is said in a session.

        How often an answer ended in an unknown word is logged at the end too.
        """
        told = (event, base_url, model, tuple(said.items()))
        self._told[told] += 1
        if self._told[told] == 1:
            log = structlog.get_logger("penstock.models")
            log.warning(event, model=model, endpoint=base_url, **said, what_to_do=_ADVICE[event])

    def _tell_counts(self) -> None:
        log = structlog.get_logger("penstock.models")
        for (event, base_url, model, said), times in self._told.items():
            if event == "model.unknown_ending" and times > 1:
                log.warning(event, model=model, endpoint=base_url, **dict(said), times=times)

    @asynccontextmanager
    async def open(self, session: Session) -> AsyncIterator[None]:
        """Be open inside ``async with``."""
        study = self._study
        self._out_of_budget = session.out_of_budget
        self.stopping = Stopping()
        session.on_stop(self.stopping.stop)
        self._spending = Spending(
            study.budget,
            spent_usd=session.spent_usd,
            spent_tokens=session.spent_tokens,
            on_risked=session.risked,
        )
        session.follow(self._follow)
        self._told.clear()
        self._gates.clear()
        shared = Endpoints() if session.endpoints is None else session.endpoints
        self.calls = KeptCalls(session.calls, session.keep_calls)
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.calls.open())
            await stack.enter_async_context(self.tool_servers.open())
            if study.response_cache is not None:
                cache = ResponseCache(study.resolve(study.response_cache))
                self.cache = await stack.enter_async_context(cache)

            accounts = {each.account for each in self.clients.all()}
            room = _room_of_each(len(accounts))
            for each in self.clients.all():
                await stack.enter_async_context(each.client)
                if each.account not in self._gates:
                    tell = partial(session.limit_changed, endpoint=each.account.base_url)
                    gate = shared.gate(each.account, each.limits, partial(Gate, room=room), tell)
                    self._gates[each.account] = stack.enter_context(gate)

            try:
                yield
            finally:
                self._tell_counts()

    def _follow(self, settings: Settings) -> None:
        self.refused_for_s = settings.execution.refused_for_s
        self._spending.budget = settings.budget


def _room_of_each(endpoints: int) -> float:
    """Return how many calls each endpoint may have in flight: each holds a connection open."""
    room = room_for_connections()
    return inf if room is None else max(1, room // max(1, endpoints))


_ADVICE = {
    "model.price_unknown": "its cost is not known; declare it under prices:",
    "model.unknown_ending": "its answers are kept; look at the attempts with this finish_reason",
    "model.billed_more": "more was billed than max_tokens allows; the budget expects that now",
    "model.prompt_cut": "the provider counted far fewer tokens than the prompt has; it may cut it",
}
