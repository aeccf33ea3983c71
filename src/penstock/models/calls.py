"""One call of a chat model inside a run: allowed by the budget and the gate, and accounted for."""

from __future__ import annotations

from contextlib import AsyncExitStack
from time import perf_counter
from typing import NamedTuple

from penstock.agents.context import RunContext
from penstock.models.cache import cache_key
from penstock.models.chat_model import Completion, CompletionRequest, Usage
from penstock.models.endpoints import EndpointClient, Endpoints
from penstock.models.gate.budget import Reservation
from penstock.models.model_errors import (
    MalformedResponseError,
    ModelConnectionError,
    ModelError,
    ModelTimeoutError,
)
from penstock.models.tokens import prompt_tokens

__all__ = ["Caller"]

_UNBOUNDED_ANSWER_TOKENS = 1000
"""What an answer without ``max_tokens`` is taken for at the gate, until it is there."""


class _Estimate(NamedTuple):
    """What a call may use at most."""

    input_tokens: int
    tokens: int
    cost_usd: float


class Caller:
    """Calls one model of a study, and records in each run what it cost and how long it took.

    Recorded are ``input_tokens``, ``output_tokens``, ``cost_usd``, ``provider_s`` and
    ``queued_s``, each with a prefix where one is given, also where the call fails.

    Args:
        endpoints: What the study shares.
        client: The endpoint's client.
        prefix: Keeps the metrics of judges apart from the agent's.
    """

    def __init__(self, endpoints: Endpoints, client: EndpointClient, prefix: str = "") -> None:
        self.provider = client.provider
        self._endpoints = endpoints
        self._client = client
        self._prefix = prefix

    async def complete(
        self, ctx: RunContext, request: CompletionRequest, index: str = "0"
    ) -> Completion:
        """Ask, or take the answer from the response cache.

        Args:
            ctx: The run in which it is asked.
            request: What is asked.
            index: Which of the run's calls this is.

        Raises:
            ModelError: there is no answer.
            BudgetExhaustedError: the study's budget does not allow the call.
        """
        cache = self._endpoints.cache
        if cache is None:
            return await self._ask(ctx, request)

        key = cache_key(
            self._client.account[0],
            request,
            replicate=ctx.spec.replicate,
            attempt=ctx.attempt,
            call=index,
        )
        return await cache.complete(key, lambda: self._ask(ctx, request))

    async def _ask(self, ctx: RunContext, request: CompletionRequest) -> Completion:
        estimate = self._estimate(request)
        gate = self._endpoints.gate(self._client)
        waited_s = ctx.waited_s
        async with AsyncExitStack() as stack:
            with ctx.waiting():
                reservation = await self._endpoints.reserve(estimate.cost_usd, estimate.tokens)
                stack.callback(reservation.release)
                ticket = await stack.enter_async_context(
                    gate.admit(ctx.spec.condition_id, estimate.tokens)
                )

            self._record(ctx, queued_s=ctx.waited_s - waited_s)
            begun = perf_counter()
            try:
                completion = await self._client.client.complete(request)
            except ModelError as error:
                self._record(ctx, provider_s=perf_counter() - begun)
                ticket.rejected(error)
                if error.usage is not None:
                    ticket.settle(error.usage.input_tokens + error.usage.output_tokens)

                self._settle_failure(ctx, request, error, estimate, reservation)
                raise

            ticket.succeeded(headers=completion.rate_limits)
            ticket.settle(completion.usage.input_tokens + completion.usage.output_tokens)
            self._record(ctx, provider_s=completion.provider_s)
            self._settle(ctx, request, completion.usage, reservation)
            return completion

    def _estimate(self, request: CompletionRequest) -> _Estimate:
        asked, most = prompt_tokens(request), request.max_tokens
        prices, url = self._endpoints.prices, self._client.account[0]
        cost_usd = prices.worst_case_usd(request.model, asked, most or 0, url)
        return _Estimate(asked, asked + (most or _UNBOUNDED_ANSWER_TOKENS), cost_usd or 0.0)

    def _settle(
        self, ctx: RunContext, request: CompletionRequest, usage: Usage, reservation: Reservation
    ) -> None:
        cost_usd = self._endpoints.prices.cost_usd(request.model, usage, self._client.account[0])
        tokens = usage.input_tokens + usage.output_tokens
        reservation.settle(cost_usd or 0.0, tokens)
        self._record(
            ctx,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cost_usd=cost_usd or 0.0,
        )

    def _settle_failure(
        self,
        ctx: RunContext,
        request: CompletionRequest,
        error: ModelError,
        estimate: _Estimate,
        reservation: Reservation,
    ) -> None:
        """Account for a call that failed: what the provider counted, or may be billing unseen."""
        if error.usage is not None:
            self._settle(ctx, request, error.usage, reservation)
        elif _may_be_billed(error):
            reservation.settle(estimate.cost_usd, estimate.tokens)
            self._record(
                ctx, uncounted_cost_usd=estimate.cost_usd, uncounted_tokens=estimate.tokens
            )
        else:
            reservation.release()

    def _record(self, ctx: RunContext, **metrics: float) -> None:
        ctx.record(**{self._prefix + name: value for name, value in metrics.items()})


def _may_be_billed(error: ModelError) -> bool:
    """Tell whether the model may have answered although the answer has not arrived."""
    if isinstance(error, ModelTimeoutError):
        return error.phase != "connect"

    is_broken = isinstance(error, ModelConnectionError) and error.http_status is not None
    return is_broken or isinstance(error, MalformedResponseError)
