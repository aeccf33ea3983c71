"""What a chat completion's JSON says, and what is wrong with it where it says nothing."""

from __future__ import annotations

from typing import Any

import orjson

from penstock._base.fact import unchecked
from penstock._base.json import decode, encode
from penstock.models.chat_model import Completion, CompletionRequest, Usage
from penstock.models.endings import fault_of, said_word
from penstock.models.model_errors import MalformedResponseError
from penstock.models.openai.complaints import complaint_in
from penstock.models.openai.endpoint import Endpoint, ResponseHead
from penstock.models.openai.error_response import failure_of_complaint
from penstock.models.openai.message import Message, read_message
from penstock.models.openai.returned import sealed_in
from penstock.models.openai.usage import counted_in, usage_of

__all__ = ["completion_of", "payload_of"]

_MARK = b"\xef\xbb\xbf"
_COST_HEADER = "x-litellm-response-cost"
_completion = unchecked(Completion)
"""Every field of it is looked at as it is read."""


def payload_of(endpoint: Endpoint, head: ResponseHead, body: bytes) -> tuple[Any, bool]:
    """Read a body of JSON without the key; say whether the key was in it.

    Raises:
        MalformedResponseError: it is not JSON, or it is cut off.
    """
    body = body.removeprefix(_MARK)
    try:
        return endpoint.hidden.payload(orjson.loads(body), body)
    except ValueError:
        pass

    try:  # NaN among log-probabilities, half a character, long numbers
        return endpoint.hidden.payload(decode(body.decode()), body)
    except (ValueError, RecursionError) as error:
        reason = endpoint.hidden.excerpt(str(error), 80)

    begins = body.lstrip()[:1]
    is_cut = begins == b"{" and not body.rstrip().endswith(b"}")
    what = "something that is not JSON" if body.strip() else "an empty body"
    excerpt = endpoint.hidden.excerpt(body.decode("utf-8", "replace"))
    said = f"{'truncated JSON' if is_cut else what} ({reason}): {excerpt}"
    # A page of a proxy or a portal is not an answer that anybody was charged for.
    raise _malformed(endpoint, head, said, may_be_billed=begins != b"<")


def completion_of(
    endpoint: Endpoint,
    head: ResponseHead,
    request: CompletionRequest,
    payload: Any,
    *,
    provider_s: float,
    first_token_s: float | None = None,
    is_redacted: bool = False,
) -> Completion:
    """Make the completion that a payload holds.

    Args:
        endpoint: Who answered.
        head: The head of its response.
        request: What it was asked.
        payload: The JSON of its body.
        provider_s: How long it took, in seconds.
        first_token_s: How long until the first token, in seconds.
        is_redacted: Whether the key was taken out of it.

    Raises:
        ContentFilteredError: the answer was filtered.
        RefusalError: the model declined.
        TruncatedError: it was cut before its answer began.
        MalformedResponseError: it is not a completion, or an empty one.
        ModelError: the payload holds an error, although the status says success.
    """
    complaint = complaint_in(payload)
    if complaint is not None:
        usage = _usage_beside(payload, request)
        raise failure_of_complaint(endpoint, head, complaint, usage=usage, may_be_billed=False)

    choice, message = _first_choice(endpoint, head, request, payload)
    text, reasoning = map(endpoint.hidden.answer, (message.text, message.reasoning))
    said = [message.text, message.reasoning, *(call.arguments for call in message.tool_calls)]
    if request.is_embedding:
        said = []  # vectors are not tokens
    cost = head.headers.get(_COST_HEADER)
    completion = _completion(
        text=text,
        reasoning=reasoning or None,
        sealed_reasoning=_string(choice["message"].get("sealed_reasoning"))
        or sealed_in(choice["message"]),
        tool_calls=message.tool_calls,
        refusal=message.refusal or None,
        model=_string(payload.get("model")) or request.model,
        finish_reason=said_word(choice.get("finish_reason")),
        usage=usage_of(counted_in(payload), request, tuple(said), cost),
        system_fingerprint=_string(payload.get("system_fingerprint")),
        request_id=head.request_id or _string(payload.get("id")),
        logprobs=choice.get("logprobs"),
        provider_s=provider_s,
        first_token_s=first_token_s,
        http_status=head.status,
        is_redacted=is_redacted or text != message.text,
        rate_limits=head.rate_limits,
    )
    fault = fault_of(completion, request, endpoint.name)
    if fault is not None:
        raise fault

    return completion


def _first_choice(
    endpoint: Endpoint, head: ResponseHead, request: CompletionRequest, payload: Any
) -> tuple[dict[str, Any], Message]:
    fields = payload if isinstance(payload, dict) else {}
    choices = fields.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get("message") if isinstance(choice, dict) else None
    if isinstance(choice, dict) and isinstance(message, dict):
        return choice, read_message(message, has_marks=endpoint.has_marks)

    usage = _usage_beside(fields, request)
    found = endpoint.hidden.excerpt(encode(payload, "response"))
    said = f"JSON that has no choices[0].message: {found}"
    raise _malformed(endpoint, head, said, may_be_billed=False, usage=usage)


def _usage_beside(payload: Any, request: CompletionRequest) -> Usage | None:
    """Read what was counted although there is no answer."""
    counted = counted_in(payload)
    return usage_of(counted, request, ()) if counted else None


def _string(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _malformed(
    endpoint: Endpoint, head: ResponseHead, what: str, **fields: Any
) -> MalformedResponseError:
    return MalformedResponseError(
        f"{endpoint.name} answered {head.status} with {what}",
        http_status=head.status,
        request_id=head.request_id,
        rate_limits=head.rate_limits,
        **fields,
    )
