"""What a call used, in all the forms in which endpoints count it.

Facts, as the providers' documentation states them or as they were seen:

- OpenAI counts reasoning within ``completion_tokens``; xAI and Gemini's OpenAI endpoint beside it,
  so that ``total_tokens`` is more than the two together. All of it is billed as output.
- Anthropic's ``input_tokens`` leave out what was read from and written to its cache.
- DeepSeek says ``prompt_cache_hit_tokens``, Moonshot ``cached_tokens``.
- Moonshot's streams carry the usage in the choice, Groq's in ``x_groq``.
- OpenRouter charges ``usage.cost``, and beside it the provider whose key one brought charges
  ``cost_details.upstream_inference_cost`` where ``is_byok`` says so; Perplexity says
  ``usage.cost.total_cost``, DeepInfra ``estimated_cost``, xAI ``cost_in_usd_ticks``, of which 10^10
  are a dollar (docs.x.ai/developers/cost-tracking); LiteLLM's proxy says it in the header
  ``x-litellm-response-cost``.
- Bedrock, Gemini and Ollama have names of their own, which some gateways pass on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

from penstock._base.fact import unchecked
from penstock.models.chat_model import CompletionRequest, Usage
from penstock.models.prompts.tokens import estimate_tokens, prompt_tokens

__all__ = ["counted_in", "usage_of"]

_MOST_TOKENS = 10**8
"""No model takes or writes as much; a larger number is not a count."""

_MOST_USD = 10_000.0
"""No call costs as much; a larger number is not a charge."""

_TICK_USD = 1e-10

_ASKED = (
    *("prompt_tokens", "input_tokens"),
    *("inputTokens", "promptTokenCount", "input_token_count", "prompt_eval_count"),
)
_ANSWERED = (
    *("completion_tokens", "output_tokens"),
    *("outputTokens", "candidatesTokenCount", "generated_token_count", "eval_count"),
)
_TOTAL = ("total_tokens", "totalTokens", "totalTokenCount")
_CACHED = (
    *("prompt_cache_hit_tokens", "cached_tokens"),
    *("cacheReadInputTokens", "cachedContentTokenCount"),
)
_REASONED = ("reasoning_tokens", "thinking_tokens", "thoughtsTokenCount")

_DETAILS = tuple(f"{part}_tokens_details" for part in ("prompt", "input", "completion", "output"))
_WRITTEN = ("cache_read_input_tokens", "cache_creation_input_tokens", "cache_write_tokens")
_CHARGED = ("cost", "total_cost", "estimated_cost", "cost_in_usd_ticks")
_READ = {*_ASKED, *_ANSWERED, *_TOTAL, *_CACHED, *_REASONED, *_WRITTEN, *_CHARGED, "cache_creation"}
_FURTHER = _READ - {"prompt_tokens", "completion_tokens", "total_tokens"}
_FURTHER_DETAILS = _READ - {"cached_tokens", "reasoning_tokens"}
"""Whatever is read of a usage, and of its details, but for what most answers say."""

_WHOLE = {int}
_NO_COUNTS: Mapping[str, Any] = {}
_usage = unchecked(Usage)
"""Every number of it is one that `_count` or `_amount` has let pass."""


def counted_in(payload: Any) -> Any:
    """Find the usage in a body, or in a piece of a stream, wherever an endpoint puts it."""
    if not isinstance(payload, dict):
        return None

    if usage := payload.get("usage"):
        return usage

    choices = payload.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    places = (payload.get("x_groq"), first)
    found = (place.get("usage") for place in places if isinstance(place, dict))
    return next((usage for usage in found if usage), None)


def usage_of(
    counted: Any,
    request: CompletionRequest,
    texts: tuple[str, ...],
    header_cost: str | None = None,
) -> Usage:
    """Read what a provider counted; what it did not count is estimated, and said to be.

    Zero is not a count where there was something to count.

    Args:
        counted: What the provider says.
        request: What was asked.
        texts: All that the model wrote: answer, reasoning, arguments of tools.
        header_cost: What a header says that the call cost.
    """
    said = counted if isinstance(counted, dict) else _NO_COUNTS
    details = _details(said)
    plain = _plain(said, details) if header_cost is None else None
    if plain is not None:
        return plain

    reasoning = _count(details, _REASONED) or _count(said, _REASONED) or 0
    asked, answered, total = (_count(said, names) for names in (_ASKED, _ANSWERED, _TOTAL))
    if not asked and answered and total:
        asked = max(0, total - answered)

    asked, cached, written = _input(said, details, asked, answered, total)
    answered = _output(asked, answered, total, reasoning)
    is_counted = bool(asked) and (bool(answered) or (answered == 0 and not any(texts)))
    if not asked:
        asked = prompt_tokens(request)

    if not answered:  # a total alone tells at least how many they are together
        answered = max(sum(map(estimate_tokens, texts)), (total or 0) - asked)

    return _usage(
        input_tokens=asked,
        output_tokens=answered,
        cached_input_tokens=min(cached, asked),
        cache_write_tokens=min(written, asked),
        cache_write_1h_tokens=min(_long_lived(said), written, asked),
        reasoning_tokens=min(reasoning, answered),
        is_estimated=not is_counted,
        cost_usd=_cost_usd(said, header_cost),
    )


def _plain(said: Mapping[str, Any], details: Mapping[str, Any]) -> Usage | None:
    """Read counts that say all there is to say, as those of most answers do; None where not.

    What follows is the same, for a fifth of the work.
    """
    if not _FURTHER.isdisjoint(said) or not _FURTHER_DETAILS.isdisjoint(details):
        return None

    asked, answered = said.get("prompt_tokens"), said.get("completion_tokens")
    total, cached = said.get("total_tokens", 0), details.get("cached_tokens", 0)
    reasoning = details.get("reasoning_tokens", 0)
    counts = (asked, answered, total, cached, reasoning)
    if set(map(type, counts)) != _WHOLE or min(counts) < 0 or max(counts) >= _MOST_TOKENS:
        return None

    if not asked or not answered or reasoning > answered:
        return None

    return _usage(
        input_tokens=asked,
        output_tokens=max(answered, total - asked),
        cached_input_tokens=min(cached, asked),
        reasoning_tokens=reasoning,
    )


def _input(
    said: Mapping[str, Any],
    details: Mapping[str, Any],
    asked: int | None,
    answered: int | None,
    total: int | None,
) -> tuple[int | None, int, int]:
    """Read the tokens of the prompt, of them those from the cache, and those written to it."""
    cached = _count(details, ("cached_tokens",))
    if cached is None:
        cached = _count(said, _CACHED)

    read = _count(said, ("cache_read_input_tokens",)) or 0
    written = _count(said, ("cache_creation_input_tokens",)) or 0
    if asked is None or not read + written:
        return asked, cached or read, written or _count(details, ("cache_write_tokens",)) or 0

    apart = asked + read + written
    is_apart = read + written > asked  # so it cannot be counted within
    if total is None or answered is None:
        is_apart = is_apart or "prompt_tokens" not in said
    else:
        is_apart = is_apart or total - answered >= apart

    return (apart if is_apart else asked), read, written


def _long_lived(said: Mapping[str, Any]) -> int:
    """Read how many of the tokens written to a cache stay there for an hour, and cost more."""
    created = said.get("cache_creation")
    return _count(created, ("ephemeral_1h_input_tokens",)) or 0 if isinstance(created, dict) else 0


def _output(
    asked: int | None, answered: int | None, total: int | None, reasoning: int
) -> int | None:
    """Return the tokens of the answer: whatever of the total is not the prompt is billed so."""
    if answered is None:
        return None if total is None or asked is None else max(0, total - asked)

    if reasoning > answered:  # so it cannot be counted within
        answered += reasoning

    return answered if total is None or asked is None else max(answered, total - asked)


def _details(said: Mapping[str, Any]) -> dict[str, Any]:
    """Put together what the details of prompt and answer say."""
    found: dict[str, Any] = {}
    for name in _DETAILS:
        details = said.get(name)
        if isinstance(details, dict):
            found.update(details)

    return found


def _cost_usd(said: Mapping[str, Any], header_cost: str | None) -> float | None:
    cost = said.get("cost")
    if isinstance(cost, dict):
        cost = cost.get("total_cost")

    charged_usd = None
    for stated in (cost, said.get("total_cost"), said.get("estimated_cost"), header_cost):
        if stated is not None and charged_usd is None:
            charged_usd = _amount(stated)

    ticks = said.get("cost_in_usd_ticks")
    if charged_usd is None and ticks is not None and (charged := _amount(ticks)) is not None:
        charged_usd = charged * _TICK_USD

    details = said.get("cost_details")
    if charged_usd is not None and said.get("is_byok") is True and isinstance(details, dict):
        charged_usd += _amount(details.get("upstream_inference_cost")) or 0.0

    if charged_usd is None or charged_usd >= _MOST_USD:
        return None

    return float(charged_usd)


def _count(said: Mapping[str, Any], names: Sequence[str]) -> int | None:
    """Read the first of these that is not 0; gateways write zeros for what they leave out."""
    found = None
    for name in names:
        given = said.get(name)
        if given is None:
            continue

        value = _amount(given)
        if value is not None and value < _MOST_TOKENS:
            found = int(value)
            if found:
                break

    return found


def _amount(value: Any) -> float | None:
    """Read a number that is not negative, also where it is written as text."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None

    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return value if is_number and isfinite(value) and value >= 0 else None
