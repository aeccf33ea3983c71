"""What calls of chat models may take: an endpoint's limits, prices, and a study's budget."""

from __future__ import annotations

from typing import Any

from pydantic import SerializerFunctionWrapHandler, model_serializer

from penstock._base.fact import Declaration, NotNegative, Positive, PositiveWhole

__all__ = ["Budget", "EndpointLimits", "Price"]


class EndpointLimits(Declaration):
    """What an endpoint lets one account do; all agents and judges that use it share this.

    Args:
        max_in_flight: Calls at once; it adapts below that to what the endpoint bears.
        requests_per_minute: Calls begun in any 60 seconds.
        tokens_per_minute: Tokens, of prompts and answers, in any 60 seconds.
        max_retry_after_s: The longest wait that the endpoint may ask for, in seconds.
    """

    max_in_flight: PositiveWhole | None = None
    requests_per_minute: PositiveWhole | None = None
    tokens_per_minute: PositiveWhole | None = None
    max_retry_after_s: Positive = 300.0


class Price(Declaration):
    """What a model costs, in US dollars per million tokens.

    Args:
        input_usd_per_million: Tokens of prompts.
        output_usd_per_million: Tokens of answers, those of the reasoning included.
        cached_input_usd_per_million: Tokens of prompts that come from the provider's cache; as
            other tokens of prompts where not given.
        cache_write_usd_per_million: Tokens of prompts that are written to it; likewise.
        cache_write_1h_usd_per_million: Those that are written to it for an hour; as the others
            that are written where not given.
    """

    input_usd_per_million: NotNegative
    output_usd_per_million: NotNegative
    cached_input_usd_per_million: NotNegative | None = None
    cache_write_usd_per_million: NotNegative | None = None
    cache_write_1h_usd_per_million: NotNegative | None = None

    @model_serializer(mode="wrap")
    def _only_what_is_meant(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what older readers do not know."""
        written: dict[str, Any] = write(self)
        if self.cache_write_1h_usd_per_million is None:
            written.pop("cache_write_1h_usd_per_million", None)

        return written


class Budget(Declaration):
    """What a study may spend, over all its sessions; it stops before it would spend more.

    Args:
        max_cost_usd: US dollars.
        max_tokens: Tokens of prompts and answers.
        max_duration_s: Seconds of a session.
    """

    max_cost_usd: Positive | None = None
    max_tokens: PositiveWhole | None = None
    max_duration_s: Positive | None = None

    @property
    def bounds_spending(self) -> bool:
        """Whether what earlier sessions spent counts."""
        return self.max_cost_usd is not None or self.max_tokens is not None
