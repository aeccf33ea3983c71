"""A chat model that answers within the session: a simulated provider of its own, on loopback."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Self

import pydantic

from penstock._base.pydantic_errors import sentences_of
from penstock.errors import ValidationError
from penstock.models.chat_model import Completion, CompletionRequest
from penstock.models.model_errors import ModelError
from penstock.models.openai.client import OpenAIChatModel
from penstock.simulator.provider import SimulatedProvider
from penstock.simulator.simulator_options import SimulatorOptions

__all__ = ["SimulatedModel", "simulator_options"]


class SimulatedModel:
    """Completes conversations at a provider that is there while this is open.

    It is asked over HTTP as any other is, so that a rehearsal takes the way of the study.

    Args:
        options: How the provider behaves.
        **client: Options of the client that asks it.
    """

    def __init__(self, options: SimulatorOptions, **client: Any) -> None:
        self.provider = SimulatedProvider(options)
        self._client = client
        self._model: OpenAIChatModel | None = None
        self._exits = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as opening:
            await opening.enter_async_context(self.provider)
            model = OpenAIChatModel(
                self.provider.url, name="the simulated provider", **self._client
            )
            self._model = await opening.enter_async_context(model)
            self._exits = opening.pop_all()

        return self

    async def __aexit__(self, *error: object) -> None:
        self._model = None
        await self._exits.aclose()

    async def complete(self, request: CompletionRequest) -> Completion:
        """Ask once.

        Raises:
            ModelError: why there is no answer.
        """
        if self._model is None:
            raise ModelError(f"{_NAME} is not open; it is while a session runs")

        return await self._model.complete(request)


def simulator_options(
    declared: Mapping[str, Any], resolve: Callable[[str], Path]
) -> SimulatorOptions:
    """Read how a simulated provider behaves, as a study declares it.

    Args:
        declared: The options that are given.
        resolve: Makes a path of the study absolute.

    Raises:
        ValidationError: everything that is wrong with them.
    """
    given = {
        name: resolve(value) if name in _PATHS and isinstance(value, str) else value
        for name, value in declared.items()
    }
    try:
        return SimulatorOptions(**given)
    except pydantic.ValidationError as error:
        raise ValidationError([*sentences_of(error, SimulatorOptions, "simulator")]) from None


_NAME = "the simulated provider"
_PATHS = ("replay", "replay_problems", "log")
