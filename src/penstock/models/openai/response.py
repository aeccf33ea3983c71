"""What a chat completion's JSON says, and what is wrong with it where it says nothing."""

from __future__ import annotations

from typing import Any

import orjson

from penstock._base.json import decode
from penstock.models.chat_model import Completion, CompletionRequest, Usage
from penstock.models.model_errors import ContentFilteredError, MalformedResponseError, RefusalError
from penstock.models.openai.endpoint import Endpoint, ResponseHead
from penstock.models.openai.error_response import failure_in_payload
from penstock.models.tokens import estimate_tokens, prompt_tokens

__all__ = ["completion_of", "estimated_usage", "payload_of"]


def payload_of(endpoint: Endpoint, head: ResponseHead, body: bytes) -> Any:
    """Read a body of JSON.

    Raises:
        MalformedResponseError: it is none, or it is cut off.
    """
    body = endpoint.hidden.body(body)
    try:
        return orjson.loads(body)
    except ValueError:
        pass

    try:  # NaN among log-probabilities, half a character, long numbers
        return decode(body.decode())
    except (ValueError, RecursionError) as error:
        reason = endpoint.hidden.excerpt(str(error), 80)

    is_begun = body.lstrip()[:1] == b"{" and not body.rstrip().endswith(b"}")
    what = "no JSON" if body.strip() else "an empty body"
    excerpt = endpoint.hidden.excerpt(body.decode("utf-8", "replace"))
    raise _malformed(
        endpoint, head, f"{'truncated JSON' if is_begun else what} ({reason}): {excerpt}"
    )


def completion_of(
    endpoint: Endpoint,
    head: ResponseHead,
    request: CompletionRequest,
    payload: Any,
    *,
    provider_s: float,
    first_token_s: float | None = None,
) -> Completion:
    """Make the completion that a payload holds.

    Args:
        endpoint: Who answered.
        head: The head of its response.
        request: What it was asked.
        payload: The JSON of its body.
        provider_s: How long it took, in seconds.
        first_token_s: How long until the first token, in seconds.

    Raises:
        ContentFilteredError: the answer was filtered.
        RefusalError: the model declined.
        MalformedResponseError: it is no completion, or an empty one.
        ModelError: the payload holds an error, although the status says success.
    """
    if isinstance(payload, dict) and payload.get("error"):
        raise failure_in_payload(endpoint, head, payload)

    choice = _first_choice(endpoint, head, payload)
    message = choice["message"]
    text = endpoint.hidden.text(_text_of(message.get("content")))
    usage = _usage_of(payload.get("usage")) or estimated_usage(request, text, payload.get("usage"))
    finish_reason = _string(choice.get("finish_reason"))
    request_id = head.request_id or _string(payload.get("id"))
    said: dict[str, Any] = {
        "http_status": head.status,
        "request_id": request_id,
        "rate_limits": head.rate_limits,
        "usage": usage,
    }
    if finish_reason == "content_filter":
        raise ContentFilteredError(f"{endpoint.name} filtered the answer", **said)

    refusal = message.get("refusal")
    if refusal or finish_reason == "refusal":
        excerpt = endpoint.hidden.excerpt(str(refusal or text))
        raise RefusalError(f"the model at {endpoint.name} declined: {excerpt}", **said)

    # An answer may be cut, or stopped, before its first word; otherwise an empty one is a fault.
    if not text and finish_reason != "length" and not request.stop:
        sentence = f"an empty answer (finish_reason={finish_reason!r})"
        raise MalformedResponseError(f"{endpoint.name} gave {sentence}", **said)

    return Completion(
        text=text,
        model=_string(payload.get("model")) or request.model,
        finish_reason=finish_reason,
        usage=usage,
        system_fingerprint=_string(payload.get("system_fingerprint")),
        request_id=request_id,
        logprobs=choice.get("logprobs"),
        provider_s=provider_s,
        first_token_s=first_token_s,
        http_status=head.status,
        rate_limits=head.rate_limits,
    )


def estimated_usage(request: CompletionRequest, text: str, partial: Any = None) -> Usage:
    """Guess the tokens of a call whose provider did not count them.

    Args:
        request: What was asked.
        text: What was answered.
        partial: The provider's counts, where it gave some; those that can be read are kept.
    """
    counted = partial if isinstance(partial, dict) else {}
    input_tokens = _count(counted, "prompt_tokens", "input_tokens")
    output_tokens = _count(counted, "completion_tokens", "output_tokens")
    if input_tokens is None:
        input_tokens = prompt_tokens(request)

    if output_tokens is None:
        output_tokens = estimate_tokens(text)

    return Usage(input_tokens=input_tokens, output_tokens=output_tokens, is_estimated=True)


def _usage_of(counted: Any) -> Usage | None:
    if not isinstance(counted, dict):
        return None

    input_tokens = _count(counted, "prompt_tokens", "input_tokens")
    output_tokens = _count(counted, "completion_tokens", "output_tokens")
    if input_tokens is None or output_tokens is None:
        return None

    details = counted.get("prompt_tokens_details") or counted.get("input_tokens_details")
    cached = _count(details if isinstance(details, dict) else {}, "cached_tokens")
    if cached is None:
        cached = _count(counted, "prompt_cache_hit_tokens", "cached_tokens")

    return Usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cached_input_tokens=min(cached or 0, input_tokens),
    )


def _count(counted: dict[str, Any], *names: str) -> int | None:
    for name in names:
        value = counted.get(name)
        if isinstance(value, int | float) and 0 <= value < _MOST_TOKENS:
            return int(value)

    return None


_MOST_TOKENS = 2**53


def _first_choice(endpoint: Endpoint, head: ResponseHead, payload: Any) -> dict[str, Any]:
    choices = payload.get("choices") if isinstance(payload, dict) else None
    choice = choices[0] if isinstance(choices, list) and choices else None
    if isinstance(choice, dict) and choice.get("error"):
        raise failure_in_payload(endpoint, head, choice)

    if not isinstance(choice, dict) or not isinstance(choice.get("message"), dict):
        found = ", ".join(map(str, payload)) if isinstance(payload, dict) else repr(payload)
        excerpt = endpoint.hidden.excerpt(found)
        raise _malformed(endpoint, head, f"JSON that has no choices[0].message: {excerpt}")

    return choice


def _text_of(content: Any) -> str:
    """Read a message's content: text, or a list of parts of which those of text are joined."""
    if isinstance(content, str):
        return content

    if isinstance(content, list):
        parts = (part.get("text") for part in content if isinstance(part, dict))
        return "".join(part for part in parts if isinstance(part, str))

    return ""


def _string(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _malformed(endpoint: Endpoint, head: ResponseHead, what: str) -> MalformedResponseError:
    return MalformedResponseError(
        f"{endpoint.name} answered {head.status} with {what}",
        http_status=head.status,
        request_id=head.request_id,
        rate_limits=head.rate_limits,
    )
