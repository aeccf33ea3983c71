"""What all agents and judges of a study share: connections, gates, money, and a response cache."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import NamedTuple
from urllib.parse import urlsplit

from penstock.models.cache import ResponseCache
from penstock.models.gate.budget import BudgetExhaustedError, Reservation, Spending
from penstock.models.gate.gate import Gate
from penstock.models.gate.prices import Prices
from penstock.models.keys import Keys
from penstock.models.openai.client import OpenAIChatModel
from penstock.models.session import Session
from penstock.study.chat import ChatOptions, EndpointLimits
from penstock.study.model import Study

__all__ = ["EndpointClient", "Endpoints"]

_Account = tuple[str, str | None]


class EndpointClient(NamedTuple):
    """A client of one endpoint, and the account that it uses there.

    Args:
        client: Asks; clients differ in their timeouts.
        account: The endpoint and the variable of its key, which share a gate.
        provider: The endpoint's host, as results name it.
    """

    client: OpenAIChatModel
    account: _Account
    provider: str


class Endpoints:
    """The endpoints of a study; open while a session runs.

    Args:
        study: The study, for its limits, prices, budget and response cache.

    Attributes:
        prices: What models cost.
        cache: Answers that are kept, where the study asks for it; there while a session runs.
    """

    def __init__(self, study: Study) -> None:
        self.prices = Prices(study.prices)
        self.cache: ResponseCache | None = None
        self._study = study
        self._spending = Spending(study.budget)
        self._out_of_budget: Callable[[str], None] = lambda _: None
        self._keys = Keys(study.resolve(".env"))
        self._limits = {name.rstrip("/"): limits for name, limits in study.limits.items()}
        self._clients: dict[tuple[str, str | None, float, float], EndpointClient] = {}
        self._gates: dict[_Account, Gate] = {}

    def client(self, options: ChatOptions) -> EndpointClient:
        """Return the client of an endpoint; those who ask for the same share it.

        Raises:
            ValidationError: there is no key, or the endpoint cannot be used.
        """
        name = options.api_key_env
        wanted = (options.base_url, name, options.timeout_s, options.connect_timeout_s)
        if wanted not in self._clients:
            limits = self._limits_of(options.base_url)
            client = OpenAIChatModel(
                options.base_url,
                api_key=None if name is None else self._keys.find(name),
                key_name=name,
                max_connections=limits.max_in_flight or 0,
                timeout_s=options.timeout_s,
                connect_timeout_s=options.connect_timeout_s,
                max_retry_after_s=limits.max_retry_after_s,
            )
            provider = urlsplit(options.base_url).hostname or options.base_url
            self._clients[wanted] = EndpointClient(client, (options.base_url, name), provider)

        return self._clients[wanted]

    def gate(self, client: EndpointClient) -> Gate:
        """Return the gate of a client's account."""
        return self._gates[client.account]

    def urls(self) -> list[str]:
        """List the endpoints that the study declares, first seen first."""
        chats = [agent.chat for agent in self._study.agents.values()]
        judges = [evaluator.judge for evaluator in self._study.evaluators.values()]
        return list(dict.fromkeys(each.base_url for each in (*chats, *judges) if each is not None))

    def unused_limits(self) -> list[str]:
        """List the limits of endpoints that nobody uses: a name is misspelt there."""
        known = self.urls()
        return [name for name in self._study.limits if name.rstrip("/") not in known]

    async def reserve(self, cost_usd: float, tokens: int) -> Reservation:
        """Reserve what a call may spend; where the budget does not allow it, the study stops.

        Raises:
            BudgetExhaustedError: the budget does not allow the call.
        """
        try:
            return await self._spending.reserve_in_turn(cost_usd, tokens)
        except BudgetExhaustedError as error:
            self._out_of_budget(str(error))
            raise

    @asynccontextmanager
    async def open(self, session: Session) -> AsyncIterator[None]:
        """Be open inside ``async with``."""
        study = self._study
        self._out_of_budget = session.out_of_budget
        self._spending = Spending(
            study.budget, spent_usd=session.spent_usd, spent_tokens=session.spent_tokens
        )
        async with AsyncExitStack() as stack:
            if study.response_cache is not None:
                cache = ResponseCache(study.resolve(study.response_cache))
                self.cache = await stack.enter_async_context(cache)

            for each in self._clients.values():
                await stack.enter_async_context(each.client)
                if each.account not in self._gates:
                    url, _ = each.account
                    changed = partial(session.limit_changed, endpoint=url)
                    self._gates[each.account] = Gate(
                        url, self._limits_of(url), on_limit_changed=changed
                    )

            yield

    def _limits_of(self, url: str) -> EndpointLimits:
        return self._limits.get(url, _NO_LIMITS)


_NO_LIMITS = EndpointLimits()
