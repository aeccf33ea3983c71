"""One call of a chat model inside a run: given again, or from the cache, or sent; and kept."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from time import perf_counter

from penstock.agents.context import RunContext
from penstock.models.calls.cache import cache_key
from penstock.models.calls.digests import digest_of
from penstock.models.calls.kept_call import CallError, CallOrigin, KeptCall, LeftCall, Refusal
from penstock.models.calls.sender import Sender
from penstock.models.chat_model import Completion, CompletionRequest
from penstock.models.clients import EndpointClient
from penstock.models.endpoints import StudyEndpoints
from penstock.models.model_errors import FOR_GOOD, ModelError

__all__ = ["Caller"]


class Caller:
    """Calls one model of a study; every call is kept before its answer is given.

    Args:
        endpoints: What the study shares.
        client: The endpoint's client.
        model_name: The name under which the study declares the model; empty where it does not.
        evaluator_id: The judge that calls; empty where an agent does, or a function that scores.
    """

    def __init__(
        self,
        endpoints: StudyEndpoints,
        client: EndpointClient,
        model_name: str = "",
        evaluator_id: str = "",
    ) -> None:
        self.provider = client.provider
        self.base_url = client.account.base_url
        self._endpoints = endpoints
        self.place = client.place
        self._origin = CallOrigin(client.account.base_url, model_name, evaluator_id)
        self._senders = {
            "agent": Sender(endpoints, client),
            "judge": Sender(endpoints, client, "judge_"),
        }

    async def complete(
        self, ctx: RunContext, request: CompletionRequest, index: str | None = None
    ) -> Completion:
        """Ask, or take the answer that there is: of an attempt that was cut off, or of the cache.

        Args:
            ctx: The run in which it is asked.
            request: What is asked.
            index: Which of the attempt's calls this is; where it is not given, the request and
                how often it was made tell that, so that other attempts find its answer.

        Raises:
            ModelError: there is no answer.
            BudgetExhaustedError: the study's budget does not allow the call.
            StopStudy: the study stopped before the call was sent, or calls cannot be kept.
        """
        if index is None:
            self._endpoints.refuse_unbounded(self._origin.endpoint, request)

        calls = self._endpoints.calls
        ctx.calls.total += 1
        ctx.calls.has_failed_in_passing = False
        await calls.look_back(ctx)
        gives_again = self._origin_in(ctx).role == "agent" and calls.gives_again
        messages = calls.digests.of(request.messages) if calls.gives_again else None
        is_counted = gives_again or (index is None and self._endpoints.cache is not None)
        digest, before = "", 0
        if is_counted or ctx.calls.refused:
            digest = digest_of(self.place, request, messages)
            before = ctx.calls.note(digest) if is_counted else 0

        keep = self._keeper(ctx, request, messages or ())
        if digest in ctx.calls.refused:
            refusal: Refusal = ctx.calls.refused[digest]
            ctx.calls.refused_before += 1
            await keep(digest, refusal.completion, refusal.error, is_replayed=True)
            raise _again(refusal)

        left: LeftCall | None = (ctx.calls.left or {}).get((digest, before))
        if gives_again and left is not None:
            ctx.record(replayed_calls=1)
            await keep(digest, left.completion, None, is_replayed=True)
            return left.completion

        try:
            completion = await self._answer(ctx, request, index, digest, before)
        except ModelError as error:
            ctx.calls.has_failed_in_passing = error.is_passing
            if error.is_for_good:
                digest = digest or digest_of(self.place, request, messages)

            await keep(digest, error.completion, _error_of(error))
            raise

        ctx.calls.refused_before = 0  # what its attempt may still fail of is another thing
        await keep(digest, completion, None)
        return completion

    async def _answer(
        self,
        ctx: RunContext,
        request: CompletionRequest,
        index: str | None,
        digest: str,
        before: int,
    ) -> Completion:
        origin, cache = self._origin_in(ctx), self._endpoints.cache
        send = self._senders[origin.role].send
        if cache is None:
            return await send(ctx, request)

        if index is None and origin.evaluator_id:  # a function that scores is not an agent
            index = f"{origin.evaluator_id}:{before}"

        key = cache_key(
            self.place,
            request,
            replicate=ctx.spec.replicate,
            attempt=ctx.calls.first_attempt if index is None else ctx.attempt,
            call=before if index is None else index,
        )
        is_spoilt = index is None and (digest, before) in ctx.calls.spoilt
        completion = await cache.complete(key, lambda: send(ctx, request), anew=is_spoilt)
        return completion.model_copy(update=_FREE) if completion.is_cached else completion

    def _origin_in(self, ctx: RunContext) -> CallOrigin:
        """Return who calls whom: a model in the hand of a run may be asked by what scores it."""
        if not ctx.calls.evaluator_id:
            return self._origin

        return self._origin._replace(evaluator_id=ctx.calls.evaluator_id)

    def _keeper(
        self,
        ctx: RunContext,
        request: CompletionRequest,
        messages: tuple[bytes, ...],
    ) -> Callable[..., Awaitable[None]]:
        """Begin a call; what is returned ends it, and keeps it where calls are kept."""
        calls = self._endpoints.calls
        if not calls.are_kept:
            return _forget

        number, started_at, begun = ctx.calls.total, datetime.now(UTC), perf_counter()
        origin = self._origin_in(ctx)

        async def keep(
            digest: str,
            completion: Completion | None,
            error: CallError | None,
            *,
            is_replayed: bool = False,
        ) -> None:
            has_waited = completion is not None and not (is_replayed or completion.is_cached)
            provider_s = completion.provider_s if completion is not None else 0.0
            call = KeptCall(
                ctx.spec.run_id,
                ctx.attempt,
                number,
                origin,
                digest,
                messages,
                request,
                completion,
                error,
                started_at,
                max(0.0, perf_counter() - begun - provider_s) if has_waited else 0.0,
                is_replayed,
            )
            await calls.keep(ctx, call)

        return keep


async def _forget(*_: object, **__: object) -> None:
    """Keep nothing of a call."""


_FREE = {"cost_usd": 0.0}


def _again(refusal: Refusal) -> ModelError:
    """Return what a provider would say again; it was not asked, and this costs nothing."""
    kind, message, http_status, request_id, *_ = refusal.error
    error = FOR_GOOD[kind](
        f"{message} (it was refused for good before and is not asked again, for the request is "
        "the same; --retry-failed asks it, in Python retry_failed=True)",
        http_status=http_status,
        request_id=request_id,
        completion=refusal.completion,
    )
    error.cost_usd = 0.0
    return error


def _error_of(error: ModelError) -> CallError:
    return CallError(
        type(error).__name__,
        str(error),
        error.http_status,
        error.request_id,
        error.usage,
        error.cost_usd,
    )
