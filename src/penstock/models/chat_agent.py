"""Chat agents: a declared chat model that answers the problem of each run."""

from __future__ import annotations

from typing import Any, NamedTuple

from penstock._base.json import decode
from penstock.agents.answers import AgentResult
from penstock.agents.context import RunContext
from penstock.models.calls.digests import digest_of
from penstock.models.chat_model import Completion, CompletionRequest
from penstock.models.endings import Ending, ending_of
from penstock.models.model_errors import (
    REFUSED_REQUEST,
    MalformedResponseError,
    ModelError,
    RefusalError,
    TruncatedError,
)
from penstock.models.prompts.asking import Asked, Asking
from penstock.models.prompts.images import ImageFile
from penstock.models.prompts.prompts import PromptError, scope_of
from penstock.models.prompts.request_template import RequestTemplate
from penstock.planning.plan import RunSpec
from penstock.study.conditions import Condition
from penstock.study.problem import Problem

__all__ = ["Answer", "ChatAgent", "checked", "describe"]


class Answer(NamedTuple):
    """The answer of a chat agent: the last that its model said, and what it is of the run."""

    completion: Completion
    outputs: dict[str, Any]


class ChatAgent:
    """Answers the problem of a run by one call of a chat model.

    The answer's outputs are its ``text`` and, where there are any, the fields of its JSON,
    ``reasoning``, ``tool_calls`` and ``logprobs``. The run's metadata say who answered and why
    the answer ended.

    Args:
        asking: What each run asks with.
    """

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    @property
    def fixed_model(self) -> str | None:
        """The model's name, where it is the same in every run."""
        return self._asking.requests.fixed_model

    def model_of(self, spec: RunSpec, problem: Problem, condition: Condition) -> str | None:
        """Return the name of the model that a run asks; None where it cannot be told."""
        return self._asking.requests.model(scope_of(spec, problem, condition))

    def digest_of(
        self, spec: RunSpec, problem: Problem, condition: Condition, attempt: int
    ) -> str | None:
        """Return what tells a run's request from others; None where it cannot be made."""
        scope = scope_of(spec, problem, condition, attempt)
        try:
            template, caller = self._asking.of(scope)
            return digest_of(caller.place, template.fill_in(scope, spec.seed))
        except PromptError:
            return None

    @property
    def shows_images(self) -> bool:
        """Whether any of its runs may show an image."""
        return self._asking.shows_images

    def images_of(
        self, spec: RunSpec, problem: Problem, condition: Condition
    ) -> tuple[ImageFile, ...]:
        """Return the files of images that a run shows; none where that cannot be told."""
        return self._asking.image_files(scope_of(spec, problem, condition))

    async def __call__(self, ctx: RunContext) -> AgentResult:
        """Answer.

        Raises:
            ModelError: there is no answer.
            BudgetExhaustedError: the study's budget does not allow the call.
        """
        scope = scope_of(ctx.spec, ctx.problem, ctx.condition, ctx.attempt)
        template, caller = asked = self._asking.of(scope)
        ctx.provenance.update(agent_kind="chat", model_provider=caller.provider)
        request = template.fill_in(scope, ctx.seed)
        ctx.provenance["model_name"] = request.model
        try:
            completion, outputs = await self._answer(ctx, asked, request)
        except ModelError as error:
            if error.completion is not None:
                describe(ctx, error.completion)
                ctx.provenance.update(_written(error.completion))

            if error.http_status is not None:
                ctx.record(http_status=error.http_status)

            if error.request_id is not None:
                ctx.provenance["request_id"] = error.request_id

            is_kept = template.options.on_refusal == "keep"
            if isinstance(error, RefusalError) and error.completion is not None and is_kept:
                refusal = error.completion.refusal or error.completion.text
                return AgentResult(outputs={"text": refusal, "is_refusal": True})

            if error.is_for_good:
                ctx.provenance[REFUSED_REQUEST] = digest_of(caller.place, request)

            raise

        if completion.http_status is not None:
            ctx.record(http_status=completion.http_status)

        if completion.first_token_s is not None:
            ctx.record(first_token_s=completion.first_token_s)

        return AgentResult(outputs={**outputs, **_outputs(completion)})

    async def _answer(self, ctx: RunContext, asked: Asked, request: CompletionRequest) -> Answer:
        """Return the answer to a request.

        Raises:
            ModelError: there is none.
        """
        completion = await asked.caller.complete(ctx, request, "0")
        describe(ctx, completion)
        fields = checked(asked.template, completion)
        return Answer(completion, {**fields, "text": completion.text})


def checked(template: RequestTemplate, completion: Completion) -> dict[str, Any]:
    """See that an answer is whole and of the form that was asked for; give its fields.

    Raises:
        TruncatedError: it was cut at ``max_tokens`` or paused, and the study does not keep such
            answers.
        MalformedResponseError: it does not follow the JSON schema.
    """
    options, ending = template.options, ending_of(completion.finish_reason)
    if options.on_truncated == "fail" and ending is Ending.PAUSED:
        raise TruncatedError(
            f"{template.who}: its provider paused the answer "
            f"(finish_reason={completion.finish_reason!r}); let its own tools do less, or keep "
            "such answers with on_truncated: keep",
            completion=completion,
        )

    if options.on_truncated == "fail" and ending is Ending.CUT:
        name = "max_tokens" if options.max_completion_tokens is None else "max_completion_tokens"
        raise TruncatedError(
            f"{template.who}: the answer was cut at {name}={getattr(options, name)}; "
            "raise it, or keep such answers with on_truncated: keep",
            completion=completion,
        )

    if template.answers is None or (completion.tool_calls and not completion.text):
        return {}

    try:
        return template.answers.read(completion.text)
    except MalformedResponseError as error:
        raise MalformedResponseError(f"{template.who}: {error}", completion=completion) from None


def _outputs(completion: Completion) -> dict[str, Any]:
    outputs: dict[str, Any] = {}
    if completion.reasoning:
        outputs["reasoning"] = completion.reasoning

    if completion.tool_calls:
        outputs["tool_calls"] = [
            {"id": call.id, "name": call.name, "arguments": _arguments(call.arguments)}
            for call in completion.tool_calls
        ]

    if completion.logprobs is not None:
        outputs["logprobs"] = completion.logprobs

    return outputs


def _arguments(written: str) -> Any:
    """Read the arguments of a call, which a model may have written badly."""
    try:
        return decode(written)
    except (ValueError, RecursionError):
        return written


def _written(completion: Completion) -> dict[str, str]:
    """Return what a model wrote although it is not an answer: it was paid for."""
    said = {
        "refusal": completion.refusal,
        "unused_text": completion.text,
        "reasoning": completion.reasoning,
    }
    return {name: text for name, text in said.items() if text}


def describe(ctx: RunContext, completion: Completion) -> None:
    """Record who answered; what the provider did not say is left out."""
    ending = ending_of(completion.finish_reason)
    told = {
        "model_name": completion.model or None,
        "request_id": completion.request_id,
        "system_fingerprint": completion.system_fingerprint,
        "finish_reason": completion.finish_reason,
        "is_ending_unknown": ending is Ending.UNKNOWN or None,
        "is_cached": completion.is_cached,
        "is_usage_estimated": completion.usage.is_estimated or None,
        "is_redacted": completion.is_redacted or None,
    }
    ctx.provenance.update({name: value for name, value in told.items() if value is not None})
