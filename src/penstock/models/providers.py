"""Providers beside the built-in ones: chat models that installed packages make.

A package registers under ``penstock.providers`` a function of the declared `ModelOptions` and of
the key, which returns a `ChatModel`. What a study says of gates, budgets, prices, the cache and
redaction holds for it as for any other.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, Self, TypeAlias

from penstock._base.entry_points import entry_point_names, load_entry_point
from penstock._base.suggestions import did_you_mean
from penstock.errors import BindingError, ValidationError
from penstock.models.chat_model import ChatModel, Completion, CompletionRequest
from penstock.study.model_options import BUILT_IN_PROVIDERS, ModelOptions

__all__ = ["PROVIDER_GROUP", "Client", "Provider", "make_client"]

PROVIDER_GROUP = "penstock.providers"
"""Where installed packages register providers: name -> a `Provider`."""

Provider: TypeAlias = Callable[[ModelOptions, str | None], ChatModel]
"""Makes a chat model of what a study declares of it and its key; it may be a context manager, which
is open while a session runs."""


class Client(ChatModel, AbstractAsyncContextManager[Any], Protocol):
    """A provider that is asked while it is open."""


def make_client(options: ModelOptions, key: str | None) -> Client:
    """Make the client of a provider that an installed package registers.

    Args:
        options: What the study declares of the model.
        key: The key, where it declares one.

    Raises:
        ValidationError: no package registers such a provider, or it cannot be made.
    """
    name = options.provider
    try:
        make = load_entry_point(PROVIDER_GROUP, name)
    except BindingError as error:
        raise ValidationError([f"provider: {error}"]) from error

    if make is None:
        known = [*BUILT_IN_PROVIDERS, *entry_point_names(PROVIDER_GROUP)]
        hint = did_you_mean(name, known, f"; there are {', '.join(known)}")
        raise ValidationError([f"provider: there is no provider {name!r}{hint}"])

    try:
        model: Any = make(options, key)
    except ValidationError:
        raise
    except Exception as error:
        raise ValidationError(
            [f"provider: {name} cannot be used: {type(error).__name__}: {error}"]
        ) from error

    is_opened = isinstance(model, AbstractAsyncContextManager)
    client: Client = model if is_opened else _AlwaysOpen(model)
    return client


class _AlwaysOpen:
    """A chat model that has nothing to open or to close."""

    def __init__(self, model: ChatModel) -> None:
        self._model = model

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def complete(self, request: CompletionRequest) -> Completion:
        """Ask once."""
        return await self._model.complete(request)
