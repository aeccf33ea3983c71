"""Chat agents: a declared chat model that answers the problem of each run."""

from __future__ import annotations

from typing import Any

from penstock.agents.answers import AgentResult
from penstock.agents.context import RunContext
from penstock.models.calls import Caller
from penstock.models.chat_model import Completion
from penstock.models.model_errors import MalformedResponseError, ModelError, TruncatedError
from penstock.models.prompts import scope_of
from penstock.models.request_template import RequestTemplate

__all__ = ["ChatAgent", "checked"]


class ChatAgent:
    """Answers the problem of a run by one call of a chat model.

    The answer's outputs are its ``text``, the fields of its JSON where a schema was given, and
    ``logprobs`` where they were asked for. The run's metadata say who answered.

    Args:
        template: Makes the request of each run.
        caller: Calls the model.
    """

    def __init__(self, template: RequestTemplate, caller: Caller) -> None:
        self._template = template
        self._caller = caller

    async def __call__(self, ctx: RunContext) -> AgentResult:
        """Answer.

        Raises:
            ModelError: there is no answer.
            BudgetExhaustedError: the study's budget does not allow the call.
        """
        ctx.provenance.update(agent_kind="chat", model_provider=self._caller.provider)
        scope = scope_of(ctx.spec, ctx.problem, ctx.condition, ctx.attempt)
        request = self._template.fill_in(scope, ctx.seed)
        ctx.provenance["model_name"] = request.model
        try:
            completion = await self._caller.complete(ctx, request)
            _describe(ctx, completion)
            fields = checked(self._template, completion)
        except ModelError as error:
            if error.http_status is not None:
                ctx.record(http_status=error.http_status)

            if error.request_id is not None:
                ctx.provenance["request_id"] = error.request_id

            raise

        if completion.http_status is not None:
            ctx.record(http_status=completion.http_status)

        if completion.first_token_s is not None:
            ctx.record(first_token_s=completion.first_token_s)

        outputs = {**fields, "text": completion.text}
        if completion.logprobs is not None:
            outputs["logprobs"] = completion.logprobs

        return AgentResult(outputs=outputs)


def checked(template: RequestTemplate, completion: Completion) -> dict[str, Any]:
    """See that an answer is whole and of the form that was asked for; give its fields.

    Raises:
        TruncatedError: it was cut at ``max_tokens``, and the study does not keep such answers.
        MalformedResponseError: it does not follow the JSON schema.
    """
    said: dict[str, Any] = {
        "http_status": completion.http_status,
        "request_id": completion.request_id,
        "usage": completion.usage,
    }
    options = template.options
    if completion.finish_reason == "length" and options.on_truncated == "fail":
        raise TruncatedError(
            f"{template.who}: the answer was cut at max_tokens={options.max_tokens}; "
            "raise it, or keep such answers with on_truncated: keep",
            **said,
        )

    if template.answers is None:
        return {}

    try:
        return template.answers.read(completion.text)
    except MalformedResponseError as error:
        raise MalformedResponseError(f"{template.who}: {error}", **said) from None


def _describe(ctx: RunContext, completion: Completion) -> None:
    """Say in the run who answered; what the provider did not say is left out."""
    told = {
        "model_name": completion.model,
        "request_id": completion.request_id,
        "system_fingerprint": completion.system_fingerprint,
        "finish_reason": completion.finish_reason,
        "is_cached": completion.is_cached,
        "is_usage_estimated": completion.usage.is_estimated or None,
    }
    ctx.provenance.update({name: value for name, value in told.items() if value is not None})
