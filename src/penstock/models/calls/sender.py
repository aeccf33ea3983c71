"""One request of a run, sent: allowed by the budget and the gate, waited for, accounted for."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from random import Random
from time import perf_counter
from typing import Any

import anyio

from penstock._base.fact import changed
from penstock.agents.context import RunContext
from penstock.agents.metrics import AMOUNTS
from penstock.models.chat_model import Completion, CompletionRequest, Usage
from penstock.models.clients import EndpointClient
from penstock.models.endings import ending_of, fault_of
from penstock.models.endpoints import StudyEndpoints
from penstock.models.gate.passage import Passage
from penstock.models.model_errors import ModelConnectionError, ModelError, RetryAfterTooLongError
from penstock.study.execution import Retry

__all__ = ["Sender"]

_MOST_RESENT = 20
"""A pool may hold many connections that their server has closed or is about to close."""

_WAITS = Retry(wait_s=0.5, max_wait_s=30.0)
"""How long a call that was refused waits, where the provider does not say."""


class Sender:
    """Sends requests to one model, and records in each run what they cost and how long they took.

    Recorded are ``input_tokens``, ``output_tokens``, ``cost_usd``, ``provider_s`` and
    ``queued_s``, each with a prefix where one is given, also where the call fails. Where they are
    not 0, ``cached_input_tokens``, ``reasoning_tokens``, ``refusals``, ``refused_s`` and
    ``prompts_cut`` are too. ``cost_usd`` is None where the price of a model is not known; what is
    known is ``known_cost_usd`` then.

    Args:
        endpoints: What the study shares.
        client: The endpoint's client.
        prefix: Keeps the metrics of judges apart from the agent's.
    """

    def __init__(self, endpoints: StudyEndpoints, client: EndpointClient, prefix: str = "") -> None:
        self._provider = client.provider
        self._endpoints = endpoints
        self._client = client
        self._base_url = client.account.base_url
        self._prefix = prefix

    async def send(self, ctx: RunContext, request: CompletionRequest) -> Completion:
        """Ask, and return the answer with what it cost.

        A refusal ("not now": a rate, too much load) is waited for, up to ``refused_for_s``. A
        request that met a connection which its server had closed is sent once more.

        Raises:
            ModelError: there is no answer.
            BudgetExhaustedError: the study's budget does not allow the call.
            StopStudy: the study stopped before the call was sent.
        """
        refusals, resent, waited_s, jitter = 0, 0, 0.0, None
        while True:
            try:
                return await self._ask_once(ctx, request)
            except ModelError as error:
                if isinstance(error, ModelConnectionError) and error.is_unread:
                    resent += 1
                    if resent > _MOST_RESENT:
                        raise

                    continue

                if not error.is_refusal or isinstance(error, RetryAfterTooLongError):
                    raise

                refusals += 1
                jitter = jitter or Random(f"{ctx.spec.seed}:{ctx.attempt}")  # noqa: S311 - spreads waits
                wait_s = _WAITS.backoff_s(refusals, jitter.random(), error.retry_after_s)
                waited_s += wait_s
                self._record(ctx, {"refusals": 1, "refused_s": wait_s})
                self._check_patience(error, waited_s)

            with ctx.waiting(), self._until_stopped(ctx):
                await anyio.sleep(wait_s)

    def _until_stopped(self, ctx: RunContext) -> AbstractContextManager[None]:
        """Wait before a call; where the study stops, not for a run that has paid for nothing yet.

        Raises:
            StopStudy: the study stops, and this call would be the first of its run.
        """
        holds_something = self._prefix or any(ctx.metrics.get(name) for name in _BILLED)
        return nullcontext() if holds_something else self._endpoints.stopping.ending_the_wait()

    def _check_patience(self, error: ModelError, waited_s: float) -> None:
        """See whether a refusal may be waited for.

        Raises:
            ModelError: this call has waited long enough, or the endpoint refuses all of them.
        """
        gate, most_s = self._endpoints.gate(self._client), self._endpoints.refused_for_s
        if gate.refused_for_s >= most_s:
            gate.give_up(error)  # else each of them would have to find it out
            raise error

        if waited_s > most_s:
            raise error

    async def _ask_once(self, ctx: RunContext, request: CompletionRequest) -> Completion:
        """Enter, send, settle, record: what a call comes to is written down once, however it ends.

        Raises:
            ModelError: there is no answer.
            BudgetExhaustedError: the study's budget does not allow the call.
            StopStudy: the study stopped before the call was sent.
        """
        endpoints = self._endpoints
        expected = endpoints.worst_cases.expect(request, self._base_url)
        ticket = endpoints.gate(self._client).admit(ctx.spec.condition_id, expected.tokens)
        passage = Passage(expected, ticket)
        try:
            await self._enter(ctx, passage)
            completion = await self._sent(request, passage)
            cost_usd = self._settle(request, completion.usage, passage)
            self._look_at(completion, passage)
            return changed(completion, cost_usd=cost_usd)
        except ModelError as error:
            if passage.is_sent:
                self._settle_failure(request, error, passage)

            raise
        finally:
            passage.end()
            self._record(ctx, passage.metrics)

    async def _enter(self, ctx: RunContext, passage: Passage) -> None:
        """Take a part of the budget and a turn; wait only where both are not there now."""
        endpoints, expected, waited_s = self._endpoints, passage.expected, ctx.waited_s
        if not endpoints.stopping.is_begun:
            passage.reservation = endpoints.reserve_at_once(expected)

        if passage.reservation is None or not passage.ticket.enter_at_once():
            with ctx.waiting(), self._until_stopped(ctx):
                passage.reservation = passage.reservation or await endpoints.reserve(expected)
                await passage.ticket.enter()

        passage.metrics["queued_s"] = ctx.waited_s - waited_s

    async def _sent(self, request: CompletionRequest, passage: Passage) -> Completion:
        """Ask; from here on the provider may bill the call, whatever comes of it."""
        begun = perf_counter()
        passage.reserved.begin()
        try:
            completion = await self._completed(request)
        except BaseException:
            passage.metrics["provider_s"] = perf_counter() - begun
            raise

        passage.metrics["provider_s"] = completion.provider_s
        passage.ticket.succeeded(headers=completion.rate_limits)
        return completion

    async def _completed(self, request: CompletionRequest) -> Completion:
        """Ask, and see that what comes is an answer, whoever the provider is."""
        completion = with_ids(await self._client.client.complete(request), request)
        fault = fault_of(completion, request, self._provider)
        if fault is not None:
            raise fault

        return completion

    def _settle(self, request: CompletionRequest, usage: Usage, passage: Passage) -> float | None:
        """Account for what a provider has counted; return what it cost, where that is known."""
        endpoints, expected, metrics = self._endpoints, passage.expected, passage.metrics
        cost_usd = endpoints.prices.cost_usd(request.model, usage, self._base_url)
        passage.ticket.settle(usage.tokens)
        passage.reserved.settle(cost_usd or 0.0, usage.tokens)
        metrics["input_tokens"] = usage.input_tokens
        metrics["output_tokens"] = usage.output_tokens
        metrics["cost_usd"] = cost_usd
        if usage.cached_input_tokens:
            metrics["cached_input_tokens"] = usage.cached_input_tokens

        if usage.reasoning_tokens:
            metrics["reasoning_tokens"] = usage.reasoning_tokens

        if cost_usd is None:
            endpoints.tell_once("model.price_unknown", self._base_url, request.model)

        if _is_prompt_cut(expected.prompt_tokens, usage):
            metrics["prompts_cut"] = 1
            endpoints.tell_once("model.prompt_cut", self._base_url, request.model)

        if endpoints.worst_cases.note(request, self._base_url, expected, usage, cost_usd):
            endpoints.tell_once("model.billed_more", self._base_url, request.model)

        return cost_usd

    def _settle_failure(
        self, request: CompletionRequest, error: ModelError, passage: Passage
    ) -> None:
        """Account for a call that failed: what the provider counted, or that it bills nothing."""
        passage.ticket.rejected(error)
        if error.usage is not None:
            error.cost_usd = self._settle(request, error.usage, passage)
        elif not error.may_be_billed:
            passage.reserved.release()

    def _look_at(self, completion: Completion, passage: Passage) -> None:
        """Log once what is odd about an answer that is kept all the same."""
        if not ending_of(completion.finish_reason).is_known:
            passage.metrics["unknown_endings"] = 1
            self._endpoints.tell_once(
                "model.unknown_ending",
                self._base_url,
                completion.model,
                finish_reason=completion.finish_reason,
            )

    def _record(self, ctx: RunContext, metrics: dict[str, Any]) -> None:
        """Record what a call used and cost; where one's cost is not known, the run's is not either.

        What is known of it stays beside it, for it was spent.
        """
        if "cost_usd" in metrics:
            cost_usd = metrics["cost_usd"]
            before_usd = ctx.metrics.get(f"{self._prefix}cost_usd", 0.0)
            if cost_usd is None or before_usd is None:
                metrics["cost_usd"] = None
                if known_usd := (before_usd or 0.0) + (cost_usd or 0.0):
                    metrics["known_cost_usd"] = known_usd

        if self._prefix:
            ctx.record(**{self._prefix + name: value for name, value in metrics.items()})
            return

        ctx.record(**metrics)
        counted = ctx.calls.counted
        for name in AMOUNTS & metrics.keys():
            if metrics[name] is not None:
                counted[name] = counted.get(name, 0) + metrics[name]


def with_ids(completion: Completion, request: CompletionRequest) -> Completion:
    """Give each call of a tool an id of its own; some servers give none, or one to several."""
    if not completion.tool_calls:
        return completion

    given = [call.id for call in completion.tool_calls]
    if all(given) and len(set(given)) == len(given):
        return completion

    begun = len(request.messages)
    calls = tuple(
        call.model_copy(update={"id": f"call_{begun}_{place}"})
        for place, call in enumerate(completion.tool_calls)
    )
    return completion.model_copy(update={"tool_calls": calls})


_BILLED = ("input_tokens", "output_tokens", "uncounted_tokens", "replayed_calls")
"""What a run that has paid for a call has recorded, in this session or in one before."""


def _is_prompt_cut(asked: int, usage: Usage) -> bool:
    """Return whether the provider seems to have read only a part of the prompt, as Ollama does."""
    is_long = asked > _LONG_PROMPT_TOKENS and not usage.is_estimated
    return is_long and usage.input_tokens * _MOST_OVERESTIMATED < asked


_LONG_PROMPT_TOKENS = 4000
_MOST_OVERESTIMATED = 3
"""An estimate of a whole prompt is not so many times what is counted."""
