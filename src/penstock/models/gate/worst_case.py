"""What a call may cost at most, and what providers have billed beyond that."""

from __future__ import annotations

from math import ceil
from typing import NamedTuple

from penstock.models.chat_model import CompletionRequest, Usage
from penstock.models.gate.prices import Prices
from penstock.models.prompts.tokens import prompt_tokens

__all__ = ["Expected", "WorstCases"]

_UNBOUNDED_ANSWER_TOKENS = 1000
"""What an answer without ``max_tokens`` is taken for at the gate, until it is there."""


class Expected(NamedTuple):
    """What a call may use at most.

    Args:
        input_tokens: Tokens of the prompt.
        output_tokens: Tokens of the answer.
        cost_usd: US dollars; None where the model's price is not known.
        prompt_tokens: What the prompt is estimated to have, whatever the model showed.
    """

    input_tokens: int
    output_tokens: int
    cost_usd: float | None
    prompt_tokens: int = 0

    @property
    def tokens(self) -> int:
        """All tokens."""
        return self.input_tokens + self.output_tokens


class _Excess(NamedTuple):
    """By how much a model has exceeded what was expected of it."""

    input_factor: float = 1.0
    output_tokens: int = 0
    cost_factor: float = 1.0
    cost_usd: float = 0.0
    """What a call was billed that was to cost nothing."""


_NO_EXCESS = _Excess()


class WorstCases:
    """Expects of each model the most that it may bill: its prompt and ``max_tokens``.

    Some bill more: reasoning that no limit bounds, prompts that are counted in another way,
    prices that have risen. The first answer that shows it sets what is expected from then on.

    Args:
        prices: What models cost.
    """

    def __init__(self, prices: Prices) -> None:
        self._prices = prices
        self._excess: dict[tuple[str, str], _Excess] = {}

    def expect(self, request: CompletionRequest, base_url: str) -> Expected:
        """Return the worst case of a call.

        Args:
            request: What will be asked.
            base_url: The endpoint.
        """
        excess = self._excess.get((base_url, request.model), _NO_EXCESS)
        estimated = prompt_tokens(request)
        asked = ceil(estimated * excess.input_factor)
        most = request.most_output_tokens
        answered = (_UNBOUNDED_ANSWER_TOKENS if most is None else most) + excess.output_tokens
        cost_usd = self._prices.worst_case_usd(
            request.model,
            asked,
            answered,
            base_url,
            writes_cache="cache_control" in request.extra,
        )
        return Expected(
            asked,
            answered,
            None if cost_usd is None else max(cost_usd * excess.cost_factor, excess.cost_usd),
            estimated,
        )

    def note(
        self,
        request: CompletionRequest,
        base_url: str,
        expected: Expected,
        usage: Usage,
        cost_usd: float | None,
    ) -> bool:
        """Correct what a call was expected to use; return whether it was more.

        Args:
            request: What was asked.
            base_url: The endpoint.
            expected: What was expected of it.
            usage: What it used.
            cost_usd: What it cost, where that is known.
        """
        key = base_url, request.model
        before = self._excess.get(key, _NO_EXCESS)
        most, tokens = request.most_output_tokens, usage.tokens
        beyond = 0 if most is None or usage.is_estimated else usage.output_tokens - most
        factor = usage.input_tokens / max(1, expected.prompt_tokens or prompt_tokens(request))
        cost_factor, most_usd = before.cost_factor, before.cost_usd
        if cost_usd and (before.cost_usd or expected.cost_usd == 0):  # no factor of 0 is more
            most_usd = max(most_usd, cost_usd)
        elif cost_usd is not None and expected.cost_usd:
            is_counted = tokens <= expected.tokens  # else more tokens are why
            cost_factor *= max(1.0, cost_usd / expected.cost_usd if is_counted else 1.0)

        after = (
            max(before.input_factor, factor),
            max(before.output_tokens, beyond),
            cost_factor,
            most_usd,
        )
        if after != before:
            self._excess[key] = _Excess(*after)

        return tokens > expected.tokens or after[2:] > before[2:]
