"""What all agents and judges of a study share: connections, gates, money, and a response cache."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from hashlib import sha256
from math import inf
from typing import Any, NamedTuple, Protocol
from urllib.parse import urlsplit

import structlog

from penstock._base.extras import load_extra
from penstock._base.open_files import room_for_connections
from penstock.errors import ValidationError
from penstock.models.cache import ResponseCache
from penstock.models.chat_model import ChatModel, CompletionRequest, Usage
from penstock.models.gate.budget import BudgetExhaustedError, Reservation, Spending
from penstock.models.gate.gate import Gate
from penstock.models.gate.prices import Prices
from penstock.models.gate.shared import Account, Endpoints
from penstock.models.gate.stopping import Stopping
from penstock.models.gate.worst_case import Expected, WorstCases
from penstock.models.kept_calls import KeptCalls
from penstock.models.keys import CommandKey, FileKey, Keys, KeySource
from penstock.models.model_errors import UnboundedCallError
from penstock.models.openai.client import OpenAIChatModel
from penstock.models.session import Session
from penstock.study.chat import ChatOptions
from penstock.study.declarations import declared_chats
from penstock.study.model import Study
from penstock.study.model_options import SIMULATED, ModelOptions
from penstock.study.request_fields import http_address
from penstock.study.spending import EndpointLimits

__all__ = ["EndpointClient", "StudyEndpoints"]


class Client(ChatModel, AbstractAsyncContextManager[Any], Protocol):
    """A provider that is asked while it is open."""


class EndpointClient(NamedTuple):
    """A client of one endpoint, and the account that it uses there.

    Args:
        client: Asks; clients differ in how they connect and how long they wait.
        account: Whom the endpoint knows.
        provider: The endpoint's host, as results name it.
        limits: What it lets the account do.
        place: What tells its answers from those of other endpoints.
    """

    client: Client
    account: Account
    provider: str
    limits: EndpointLimits
    place: str


class StudyEndpoints:
    """The endpoints of a study; open while a session runs.

    Args:
        study: The study, for its limits, prices, budget and response cache.

    Attributes:
        prices: What models cost.
        stopping: Ends the waits of calls that have not been sent, when the study stops.
        cache: Answers that are kept, where the study asks for it; there while a session runs.
        calls: Keeps the calls of the session.
    """

    def __init__(self, study: Study) -> None:
        self.prices = Prices(study.prices)
        self.worst_cases = WorstCases(self.prices)
        self.refused_for_s = 0.0
        self.stopping = Stopping()
        self.cache: ResponseCache | None = None
        self.calls = KeptCalls()
        self._study = study
        self._spending = Spending(study.budget)
        self._out_of_budget: Callable[[str], None] = lambda _: None
        self._keys = Keys(study.resolve(".env"))
        self._limits = {self.address(name): limits for name, limits in study.limits.items()}
        self._clients: dict[str, EndpointClient] = {}
        self._gates: dict[Account, Gate] = {}
        self._told: set[tuple[str, ...]] = set()

    def address(self, base_url: str) -> str:
        """Return the address that a declaration stands for.

        Raises:
            ValidationError: a variable in it is set nowhere, or what it holds is not an address.
        """
        if base_url == SIMULATED:
            return SIMULATED

        try:
            return http_address(self._filled("base_url", base_url))
        except ValueError as error:
            raise ValidationError([f"base_url: {base_url}: {error}"]) from None

    def locate(self, options: ModelOptions, model: str) -> str:
        """Return the address of a model, and take note of its price where it says one.

        Args:
            options: What is declared of it, with its endpoint.
            model: Its name there.

        Raises:
            ValidationError: see `address`.
        """
        address = self.address(options.base_url or options.provider)
        if options.price is not None:
            self.prices.declare(model, address, options.price)

        return address

    def client(self, options: ChatOptions) -> EndpointClient:
        """Return the client of an endpoint; those who ask for the same share it.

        Raises:
            ValidationError: there is no key, or the endpoint cannot be used.
        """
        address = self.locate(options, options.model)
        fields = _OF_THE_WAY | ({"model", "limits"} if options.limits else set())
        wanted = options.model_dump_json(include=fields)
        found = self._clients.get(wanted)
        if found is None:
            found = self._clients[wanted] = self._made(options, address)

        return found

    def _made(self, options: ChatOptions, address: str) -> EndpointClient:
        limits = options.limits or self._limits.get(address, _NO_LIMITS)
        model = options.model if options.limits else None
        way: dict[str, Any] = {
            "max_connections": limits.max_in_flight or 0,
            "timeout_s": options.timeout_s,
            "connect_timeout_s": options.connect_timeout_s,
            "max_retry_after_s": limits.max_retry_after_s,
            "think_tags": options.think_tags,
        }
        if options.provider == SIMULATED:
            module = load_extra("penstock.models.simulated", extra="models", what="a chat model")
            behaviour = module.simulator_options(options.simulator, self._study.resolve)
            simulated = module.SimulatedModel(behaviour, **way)
            place = f"{SIMULATED} {behaviour.model_dump_json(exclude_defaults=True)}"
            account = Account(SIMULATED, None, model)
            return EndpointClient(simulated, account, SIMULATED, limits, place)

        source, name = self._source(options), options.api_key_env
        ca_file = options.ca_file and self._filled("ca_file", options.ca_file)
        key = None if name is None else self._keys.find(name)
        client = OpenAIChatModel(
            address,
            api_key=key,
            key_name=name,
            key_source=source,
            key_header=options.api_key_header,
            headers=self._all_filled("headers", options.headers),
            query=self._all_filled("query", options.query),
            proxy=options.proxy and self._filled("proxy", options.proxy),
            ca_file=ca_file and str(self._study.resolve(ca_file)),
            verify_tls=options.verify_tls,
            **way,
        )
        told = _digest(key) if source is None else source.place
        account = Account(address, told, model)
        host = urlsplit(address).hostname or address
        return EndpointClient(client, account, host, limits, address)

    def _source(self, options: ChatOptions) -> KeySource | None:
        if options.api_key_file is not None:
            path = self._filled("api_key_file", options.api_key_file)
            return FileKey(self._study.resolve(path))

        return CommandKey(options.api_key_command) if options.api_key_command else None

    def _all_filled(self, field: str, texts: Mapping[str, str]) -> dict[str, str]:
        return {name: self._filled(f"{field}.{name}", text) for name, text in texts.items()}

    def _filled(self, field: str, text: str) -> str:
        """Put in what the environment, or the ``.env`` file, holds for ``${NAME}``."""
        return _VARIABLE.sub(lambda found: self._keys.find(found[1], field), text)

    def gate(self, client: EndpointClient) -> Gate:
        """Return the gate of a client's account."""
        return self._gates[client.account]

    def urls(self) -> list[str]:
        """List the endpoints that the study declares, first seen first."""
        study = self._study
        chats = [options for _, options in declared_chats(study.agents, study.evaluators)]
        named = [(model, model.model or name) for name, model in study.models.items()]
        in_place = [(options, options.model) for options in chats if options.has_endpoint]
        return list(dict.fromkeys(self.locate(*each) for each in [*in_place, *named]))

    def unused_limits(self) -> list[str]:
        """List the limits of endpoints that nobody uses: a name is misspelt there."""
        known = self.urls()
        return [name for name in self._study.limits if self.address(name) not in known]

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
        budget = self._study.budget
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
        """Log a warning about a model, the first time that it is said in a session."""
        told = (event, base_url, model, *map(str, said.values()))
        if told not in self._told:
            self._told.add(told)
            log = structlog.get_logger("penstock.models")
            log.warning(event, model=model, endpoint=base_url, **said, what_to_do=_ADVICE[event])

    @asynccontextmanager
    async def open(self, session: Session) -> AsyncIterator[None]:
        """Be open inside ``async with``."""
        study = self._study
        self._out_of_budget = session.out_of_budget
        self.refused_for_s = session.refused_for_s
        self.stopping = Stopping()
        session.on_stop(self.stopping.stop)
        self._spending = Spending(
            study.budget,
            spent_usd=session.spent_usd,
            spent_tokens=session.spent_tokens,
            on_risked=session.risked,
        )
        self._told.clear()
        self._gates.clear()
        shared = Endpoints() if session.endpoints is None else session.endpoints
        self.calls = KeptCalls(session.calls, session.keep_calls)
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.calls.open())
            if study.response_cache is not None:
                cache = ResponseCache(study.resolve(study.response_cache))
                self.cache = await stack.enter_async_context(cache)

            accounts = {each.account for each in self._clients.values()}
            room = _room_of_each(len(accounts))
            for each in self._clients.values():
                await stack.enter_async_context(each.client)
                if each.account not in self._gates:
                    tell = partial(session.limit_changed, endpoint=each.account.base_url)
                    gate = shared.gate(each.account, each.limits, partial(Gate, room=room), tell)
                    self._gates[each.account] = stack.enter_context(gate)

            yield


def _digest(key: str | None) -> str | None:
    """Return what tells a key from others and does not give it away."""
    return None if key is None else sha256(key.encode()).hexdigest()


def _room_of_each(endpoints: int) -> float:
    """Return how many calls each endpoint may have in flight: each holds a connection open."""
    room = room_for_connections()
    return inf if room is None else max(1, room // max(1, endpoints))


_OF_THE_WAY = {
    "provider",
    "simulator",
    "base_url",
    "api_key_env",
    "api_key_file",
    "api_key_command",
    "api_key_header",
    "headers",
    "query",
    "proxy",
    "ca_file",
    "verify_tls",
    "timeout_s",
    "connect_timeout_s",
    "think_tags",
}
"""What makes two clients the same: all that is said of how an endpoint is asked."""

_VARIABLE = re.compile(r"\$\{(\w+)\}")
_NO_LIMITS = EndpointLimits()
_ADVICE = {
    "model.price_unknown": "its cost is not known; declare it under prices:",
    "model.unknown_ending": "its answers are kept; look at the attempts with this finish_reason",
    "model.billed_more": "more was billed than max_tokens allows; the budget expects that now",
    "model.prompt_cut": "the provider counted far fewer tokens than the prompt has; it may cut it",
}
