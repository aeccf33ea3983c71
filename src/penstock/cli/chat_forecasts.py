"""What a plan's chat models may cost, for `plan` and dry runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from penstock._base.extras import load_extra
from penstock.cli.output import listed
from penstock.cli.records import Forecast
from penstock.planning.plan import Plan
from penstock.store.continuing.restored import Restored

__all__ = ["call_in_words", "forecast_lines", "forecasts_of"]


def forecasts_of(plan: Plan, kept: Restored | None = None) -> tuple[Forecast, ...]:
    """Forecast a plan's chat agents and judges; a plan without any needs no extra.

    Args:
        plan: The plan.
        kept: What is done of it, and not forecast; nothing where not given.

    Raises:
        ValidationError: there is one, and what it needs is not installed.
    """
    study = plan.study
    if not any(agent.chat for agent in study.agents.values()) and not any(
        evaluator.judge for evaluator in study.evaluators.values()
    ):
        return ()

    module = load_extra("penstock.models.prompts.forecast", extra="models", what="a chat model")
    done = () if kept is None else (kept.done, kept.answered)
    return tuple(Forecast(**each._asdict()) for each in module.forecasts(plan, *done))


def forecast_lines(found: Iterable[Forecast], *, is_rest: bool) -> Iterator[str]:
    """Lay forecasts out for a person."""
    what = "what is left" if is_rest else "the plan"
    yield f"chat models in {what}: prompts alone, to the longest answers (without retries)"
    yield from listed(
        [
            (
                each.who,
                f"{each.calls:,} calls",
                _tokens(each),
                _cost(each),
            )
            for each in found
        ]
    )


def call_in_words(found: Forecast) -> str:
    """Return what one call uses: ``12 to 212 tokens, $0.0001 to $0.0020``."""
    return f"{_tokens(found)}, {_cost(found)}"


def _tokens(found: Forecast) -> str:
    return f"{_range(found.low_tokens, found.high_tokens, '{:,}')} tokens"


def _cost(found: Forecast) -> str:
    if found.low_usd is None:
        return "price not known"

    return _range(found.low_usd, found.high_usd, "${:,.4f}")


def _range(low: float, high: float | None, form: str) -> str:
    most = "no bound (max_tokens is not set)" if high is None else form.format(high)
    return f"{form.format(low)} to {most}"
