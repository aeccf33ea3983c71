"""What calls cost: prices that a study declares, else those of genai-prices; all of it offline.

genai-prices carries its table in the package. It fetches a newer one only for a program that
starts its ``UpdatePrices``, which nothing here does.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from penstock._base.fact import unchecked
from penstock.models.chat_model import Usage
from penstock.study.model_options import SIMULATED
from penstock.study.spending import Price

__all__ = ["Prices"]

_PER_MILLION = 1e-6
_usage = unchecked(Usage)
_FREE = Price(input_usd_per_million=0.0, output_usd_per_million=0.0)


class Prices:
    """What models cost.

    Args:
        declared: Prices by the model's name; they come before what is published.
    """

    def __init__(self, declared: Mapping[str, Price]) -> None:
        self._declared = declared
        self._of_models: dict[tuple[str, str | None], Price] = {}
        self._published: dict[tuple[str, str | None], Price | None] = {}

    def declare(self, model: str, base_url: str, price: Price) -> None:
        """Set the price of a model at one endpoint; it comes before all others."""
        self._of_models[model, base_url] = price

    def cost_usd(self, model: str, usage: Usage, base_url: str | None = None) -> float | None:
        """Return what a call cost, in US dollars; None where the model's price is not known.

        What the provider says that it charged comes first; where it says 0 and a price is known,
        it has not counted.

        Args:
            model: The model's name.
            usage: Its tokens; the input tokens include the cached ones.
            base_url: The endpoint. A model's name alone says what its maker charges; at an
                endpoint of another the price is that one's, or not known.
        """
        if usage.cost_usd:
            return usage.cost_usd

        cost_usd = self._listed_usd(model, usage, base_url)
        return usage.cost_usd if cost_usd is None else cost_usd

    def _listed_usd(self, model: str, usage: Usage, base_url: str | None) -> float | None:
        price = self._of_models.get((model, base_url)) or self._declared.get(model)
        if price is None and base_url == SIMULATED:
            price = _FREE

        if price is not None:
            return _cost_usd(price, usage)

        if (model, base_url) not in self._published:
            self._published[model, base_url] = _find_flat(model, base_url)

        price = self._published[model, base_url]
        return _look_up_usd(model, usage, base_url) if price is None else _cost_usd(price, usage)

    def worst_case_usd(
        self,
        model: str,
        input_tokens: int,
        max_tokens: int,
        base_url: str | None = None,
        *,
        writes_cache: bool = False,
    ) -> float | None:
        """Return what a call costs at most: nothing is cached, the answer is as long as it may be.

        Args:
            model: The model's name.
            input_tokens: Tokens of the prompt.
            max_tokens: The most tokens of the answer.
            base_url: The endpoint, as in `cost_usd`.
            writes_cache: Whether the prompt is written to the provider's cache, for an hour.
        """
        usage = _usage(input_tokens=input_tokens, output_tokens=max_tokens)
        plain_usd = self.cost_usd(model, usage, base_url)
        if plain_usd is None or not writes_cache:
            return plain_usd

        written = {"cache_write_tokens": input_tokens, "cache_write_1h_tokens": input_tokens}
        written_usd = self.cost_usd(model, usage.model_copy(update=written), base_url)
        return max(plain_usd, written_usd or 0.0)


def _cost_usd(price: Price, usage: Usage) -> float:
    plain_usd = price.input_usd_per_million
    if not (usage.cached_input_tokens or usage.cache_write_tokens):
        asked_usd = usage.input_tokens * plain_usd
        return _PER_MILLION * (asked_usd + usage.output_tokens * price.output_usd_per_million)

    cached_usd = price.cached_input_usd_per_million
    written_usd = price.cache_write_usd_per_million
    cached_tokens = min(usage.cached_input_tokens, usage.input_tokens)
    written_tokens = min(usage.cache_write_tokens, usage.input_tokens - cached_tokens)
    kept_tokens = min(usage.cache_write_1h_tokens, written_tokens)
    written_usd = plain_usd if written_usd is None else written_usd
    kept_usd = price.cache_write_1h_usd_per_million
    return _PER_MILLION * (
        (usage.input_tokens - cached_tokens - written_tokens) * plain_usd
        + cached_tokens * (plain_usd if cached_usd is None else cached_usd)
        + (written_tokens - kept_tokens) * written_usd
        + kept_tokens * (written_usd if kept_usd is None else kept_usd)
        + usage.output_tokens * price.output_usd_per_million
    )


_FLAT = frozenset(
    {
        "cache_read_mtok",
        "cache_write_1h_mtok",
        "cache_write_mtok",
        "input_mtok",
        "output_mtok",
        "storage_searches_kcount",  # we make no searches
        "web_searches_kcount",
    }
)


def _find_flat(model: str, base_url: str | None) -> Price | None:
    """Find a published price that is the same for each token at any time.

    A sum of three products is then the price, for which genai-prices takes 80 µs. None where
    the price has steps or hours, or there is none.
    """
    found = _look_up(model, Usage(), base_url)
    if found is None:
        return None

    prices = found.model.prices  # a list where they depend on the time
    stated = (
        {} if isinstance(prices, list) else {k: v for k, v in vars(prices).items() if v is not None}
    )
    is_flat = stated.keys() <= _FLAT and all(isinstance(v, Decimal) for v in stated.values())
    if not is_flat or not {"input_mtok", "output_mtok"} <= stated.keys():
        return None

    cached, written = prices.cache_read_mtok, prices.cache_write_mtok
    kept = getattr(prices, "cache_write_1h_mtok", None)
    return Price(
        input_usd_per_million=float(prices.input_mtok),
        output_usd_per_million=float(prices.output_mtok),
        cached_input_usd_per_million=None if cached is None else float(cached),
        cache_write_usd_per_million=None if written is None else float(written),
        cache_write_1h_usd_per_million=None if kept is None else float(kept),
    )


def _look_up_usd(model: str, usage: Usage, base_url: str | None) -> float | None:
    found = _look_up(model, usage, base_url)
    return None if found is None else float(found.total_price)


def _look_up(model: str, usage: Usage, base_url: str | None) -> Any:
    try:
        import genai_prices  # noqa: PLC0415 - an extra, and 170 ms that `--help` need not wait
    except ImportError:
        return None

    counted = genai_prices.Usage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=min(usage.cached_input_tokens, usage.input_tokens),
        cache_write_tokens=min(usage.cache_write_tokens, usage.input_tokens),
        cache_write_1h_tokens=min(usage.cache_write_1h_tokens, usage.input_tokens),
    )
    try:
        return genai_prices.calc_price(counted, model, provider_api_url=base_url)
    except LookupError:  # neither the endpoint nor the model is in its table
        return None
