"""One request of a run, sent: allowed by the budget and the gate, waited for, accounted for."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from random import Random
from time import perf_counter

import anyio

from penstock._base.fact import EMPTY, changed
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
                self._record(ctx, refusals=1, refused_s=wait_s)
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
        expected = self._endpoints.worst_cases.expect(request, self._base_url)
        waited_s = ctx.waited_s
        gate = self._endpoints.gate(self._client)
        passage = Passage(expected, gate.admit(ctx.spec.condition_id, expected.tokens))
        try:
            with ctx.waiting():
                await self._enter(ctx, passage)

            return await self._sent(ctx, request, passage, ctx.waited_s - waited_s)
        finally:
            passage.end()

    async def _enter(self, ctx: RunContext, passage: Passage) -> None:
        """Wait for a part of the budget and a turn, but only where both are not there now."""
        endpoints, expected = self._endpoints, passage.expected
        if not endpoints.stopping.is_begun:
            passage.reservation = endpoints.reserve_at_once(expected)

        if passage.reservation is None or not passage.ticket.enter_at_once():
            with self._until_stopped(ctx):
                passage.reservation = passage.reservation or await endpoints.reserve(expected)
                await passage.ticket.enter()

    async def _sent(
        self, ctx: RunContext, request: CompletionRequest, passage: Passage, queued_s: float
    ) -> Completion:
        ticket = passage.ticket
        begun = perf_counter()
        passage.reserved.begin()
        try:
            completion = await self._completed(request)
        except ModelError as error:
            self._record(ctx, queued_s=queued_s, provider_s=perf_counter() - begun)
            ticket.rejected(error)
            if error.usage is not None:
                ticket.settle(error.usage.tokens)

            self._settle_failure(ctx, request, error, passage)
            raise
        except BaseException:
            # Cut off from outside, after it was sent: the provider may bill it all the same.
            self._record(ctx, queued_s=queued_s, provider_s=perf_counter() - begun)
            self._set_aside(ctx, passage)
            raise

        ticket.succeeded(headers=completion.rate_limits)
        ticket.settle(completion.usage.tokens)
        times = {"queued_s": queued_s, "provider_s": completion.provider_s}
        cost_usd = self._settle(ctx, request, completion.usage, passage, times)
        self._tell(ctx, completion)
        return changed(completion, cost_usd=cost_usd)

    async def _completed(self, request: CompletionRequest) -> Completion:
        """Ask, and see that what comes is an answer, whoever the provider is."""
        completion = with_ids(await self._client.client.complete(request), request)
        fault = fault_of(completion, request, self._provider)
        if fault is not None:
            raise fault

        return completion

    def _settle(
        self,
        ctx: RunContext,
        request: CompletionRequest,
        usage: Usage,
        passage: Passage,
        times: Mapping[str, float] = EMPTY,
    ) -> float | None:
        expected = passage.expected
        cost_usd = self._endpoints.prices.cost_usd(request.model, usage, self._base_url)
        passage.reserved.settle(cost_usd or 0.0, usage.tokens)
        used = {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens}
        self._record_all(ctx, {**times, **used}, cost_usd)
        for name in ("cached_input_tokens", "reasoning_tokens"):
            if tokens := getattr(usage, name):
                self._record(ctx, **{name: tokens})

        if cost_usd is None:
            self._endpoints.tell_once("model.price_unknown", self._base_url, request.model)

        if _is_prompt_cut(expected.prompt_tokens, usage):
            self._record(ctx, prompts_cut=1)
            self._endpoints.tell_once("model.prompt_cut", self._base_url, request.model)

        if self._endpoints.worst_cases.note(request, self._base_url, expected, usage, cost_usd):
            self._endpoints.tell_once("model.billed_more", self._base_url, request.model)

        return cost_usd

    def _settle_failure(
        self, ctx: RunContext, request: CompletionRequest, error: ModelError, passage: Passage
    ) -> None:
        """Account for a call that failed: what the provider counted, or may be billing unseen."""
        if error.usage is not None:
            error.cost_usd = self._settle(ctx, request, error.usage, passage)
        elif error.may_be_billed:
            self._set_aside(ctx, passage)
        else:
            passage.reserved.release()

    def _set_aside(self, ctx: RunContext, passage: Passage) -> None:
        expected = passage.expected
        passage.reserved.settle(expected.cost_usd or 0.0, expected.tokens)
        self._record(
            ctx,
            uncounted_cost_usd=expected.cost_usd or 0.0,
            uncounted_tokens=expected.tokens,
        )

    def _tell(self, ctx: RunContext, completion: Completion) -> None:
        """Log once what is odd about an answer that is kept all the same."""
        if not ending_of(completion.finish_reason).is_known:
            self._record(ctx, unknown_endings=1)
            self._endpoints.tell_once(
                "model.unknown_ending",
                self._base_url,
                completion.model,
                finish_reason=completion.finish_reason,
            )

    def _record(self, ctx: RunContext, **metrics: float) -> None:
        if self._prefix:
            ctx.record(**{self._prefix + name: value for name, value in metrics.items()})
            return

        ctx.record(**metrics)
        counted = ctx.calls.counted
        for name in AMOUNTS & metrics.keys():
            counted[name] = counted.get(name, 0) + metrics[name]

    def _record_all(
        self, ctx: RunContext, metrics: Mapping[str, float], cost_usd: float | None
    ) -> None:
        """Record what a call used and cost; where one's cost is not known, the run's is not either.

        What is known of it stays beside it, for it was spent.
        """
        name = f"{self._prefix}cost_usd"
        before = ctx.metrics.get(name, 0.0)
        if before is not None and cost_usd is not None:
            self._record(ctx, **metrics, cost_usd=cost_usd)
            return

        self._record(ctx, **metrics)
        ctx.record(**{name: None})
        if known_usd := (before or 0.0) + (cost_usd or 0.0):
            self._record(ctx, known_cost_usd=known_usd)


def with_ids(completion: Completion, request: CompletionRequest) -> Completion:
    """Give each call of a tool an id of its own; some servers give none, or one to several."""
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
