"""The clients of a study's endpoints: those who ask an endpoint in one way share one."""

from __future__ import annotations

import re
from collections.abc import Mapping, ValuesView
from hashlib import sha256
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from penstock._base.extras import load_extra
from penstock._base.json import encode
from penstock.errors import ValidationError
from penstock.models.anthropic.messages_client import AnthropicChatModel
from penstock.models.gate.prices import Prices
from penstock.models.gate.shared import Account
from penstock.models.keys import CommandKey, FileKey, Keys, KeySource
from penstock.models.openai.client import OpenAIChatModel
from penstock.models.providers import Client, make_client
from penstock.study.chat import ChatOptions
from penstock.study.declarations import declared_chats
from penstock.study.model import Study
from penstock.study.model_options import (
    ANTHROPIC,
    BUILT_IN_PROVIDERS,
    OF_HTTP,
    SIMULATED,
    ModelOptions,
)
from penstock.study.request_fields import http_address
from penstock.study.spending import EndpointLimits

__all__ = ["Clients", "EndpointClient"]


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


class Clients:
    """Makes the clients of a study.

    Args:
        study: The study, for its limits, and for what it names beside its file.
        prices: What models cost; told what a model itself says of that.
    """

    def __init__(self, study: Study, prices: Prices) -> None:
        self._study = study
        self._prices = prices
        self._keys = Keys(study.resolve(".env"))
        self._limits = {self.address(name): limits for name, limits in study.limits.items()}
        self._made: dict[str, EndpointClient] = {}

    def all(self) -> ValuesView[EndpointClient]:
        """Return all clients that were made."""
        return self._made.values()

    def address(self, base_url: str) -> str:
        """Return the address that a declaration stands for.

        Raises:
            ValidationError: a variable in it is set nowhere, or what it holds is not an address.
        """
        base_url = _ADDRESSES.get(base_url, base_url)
        if "/" not in base_url and "$" not in base_url:
            return base_url  # a provider that needs no address

        try:
            return http_address(self.filled("base_url", base_url))
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
            self._prices.declare(model, address, options.price)

        return address

    def of(self, options: ChatOptions) -> EndpointClient:
        """Return the client of an endpoint; those who ask for the same share it.

        Raises:
            ValidationError: there is no key, or the endpoint cannot be used.
        """
        address = self.locate(options, options.model)
        fields = _OF_THE_WAY | ({"model", "limits"} if options.limits else set())
        wanted = options.model_dump_json(include=fields)
        found = self._made.get(wanted)
        if found is None:
            found = self._made[wanted] = self._make(options, address)

        return found

    def _make(self, options: ChatOptions, address: str) -> EndpointClient:
        limits = options.limits or self._limits.get(address, _NO_LIMITS)
        if options.provider == SIMULATED:
            client, place, told = *self._simulated(options, limits), None
        elif options.provider in BUILT_IN_PROVIDERS:
            client, place, told = self._over_http(options, limits, address)
        else:
            client, place, told = self._of_a_package(options, address)

        account = Account(address, told, options.model if options.limits else None)
        host = (urlsplit(address).hostname or address) if options.base_url else options.provider
        return EndpointClient(client, account, host, limits, place)

    def _simulated(self, options: ChatOptions, limits: EndpointLimits) -> tuple[Client, str]:
        module = load_extra("penstock.models.simulated", extra="models", what="a chat model")
        behaviour = module.simulator_options(options.simulator, self._study.resolve)
        place = f"{SIMULATED} {behaviour.model_dump_json(exclude_defaults=True)}"
        return module.SimulatedModel(behaviour, **_way(options, limits)), place

    def _of_a_package(self, options: ChatOptions, address: str) -> tuple[Client, str, str | None]:
        name = options.api_key_env
        key = None if name is None else self._keys.find(name)
        named = options.model_copy(update={"base_url": options.base_url and address})
        place = f"{options.provider} {address} {encode(options.provider_options)}"
        return make_client(named, key), place, _digest(key)

    def _over_http(
        self, options: ChatOptions, limits: EndpointLimits, address: str
    ) -> tuple[Client, str, str | None]:
        source, name = self._source(options), options.api_key_env
        ca_file = options.ca_file and self.filled("ca_file", options.ca_file)
        key = None if name is None else self._keys.find(name)
        speaks = AnthropicChatModel if options.provider == ANTHROPIC else OpenAIChatModel
        client = speaks(
            address,
            api_key=key,
            key_name=name,
            key_source=source,
            key_header=options.api_key_header,
            headers=self._all_filled("headers", options.headers),
            query=self._all_filled("query", options.query),
            proxy=options.proxy and self.filled("proxy", options.proxy),
            ca_file=ca_file and str(self._study.resolve(ca_file)),
            verify_tls=options.verify_tls,
            **_way(options, limits),
        )
        return client, address, _digest(key) if source is None else source.place

    def _source(self, options: ChatOptions) -> KeySource | None:
        if options.api_key_file is not None:
            path = self.filled("api_key_file", options.api_key_file)
            return FileKey(self._study.resolve(path))

        return CommandKey(options.api_key_command) if options.api_key_command else None

    def _all_filled(self, field: str, texts: Mapping[str, str]) -> dict[str, str]:
        return {name: self.filled(f"{field}.{name}", text) for name, text in texts.items()}

    def filled(self, field: str, text: str) -> str:
        """Put in what the environment, or the ``.env`` file, holds for ``${NAME}``."""
        return _VARIABLE.sub(lambda found: self._keys.find(found[1], field), text)

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


def _way(options: ChatOptions, limits: EndpointLimits) -> dict[str, Any]:
    """Return how our own client asks."""
    return {
        "max_connections": limits.max_in_flight or 0,
        "timeout_s": options.timeout_s,
        "connect_timeout_s": options.connect_timeout_s,
        "max_retry_after_s": limits.max_retry_after_s,
        "think_tags": options.think_tags,
    }


def _digest(key: str | None) -> str | None:
    """Return what tells a key from others and does not give it away."""
    return None if key is None else sha256(key.encode()).hexdigest()


_OF_THE_WAY = {
    "provider",
    "provider_options",
    "simulator",
    "base_url",
    "api_key_env",
    "timeout_s",
    *OF_HTTP,
}
"""What makes two clients the same: all that is said of how an endpoint is asked."""

_ADDRESSES = {ANTHROPIC: "https://api.anthropic.com/v1"}
"""Of providers that have one of their own."""

_VARIABLE = re.compile(r"\$\{(\w+)\}")
_NO_LIMITS = EndpointLimits()
