"""What a plan's chat models may cost, for ``penstock plan``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from penstock._base.extras import load_extra
from penstock.planning.plan import Plan

if TYPE_CHECKING:
    from penstock.models.forecast import Forecast

__all__ = ["forecast_rows", "forecasts_of"]


def forecasts_of(plan: Plan) -> list[Forecast]:
    """Forecast a plan's chat agents and judges; a plan without any needs no extra.

    Raises:
        ValidationError: there is one, and what it needs is not installed.
    """
    study = plan.study
    if not any(agent.chat for agent in study.agents.values()) and not any(
        evaluator.judge for evaluator in study.evaluators.values()
    ):
        return []

    module = load_extra("penstock.models.forecast", extra="models", what="a chat model")
    found: list[Forecast] = module.forecasts(plan)
    return found


def forecast_rows(found: Iterable[Forecast]) -> list[tuple[str, ...]]:
    """Lay forecasts out for a person."""
    return [
        (
            each.who,
            f"{each.calls:,} calls",
            f"{_range(each.low_tokens, each.high_tokens, '{:,}')} tokens",
            "price not known"
            if each.low_usd is None
            else _range(each.low_usd, each.high_usd, "${:,.4f}"),
        )
        for each in found
    ]


def _range(low: float, high: float | None, form: str) -> str:
    most = "no bound (max_tokens is not set)" if high is None else form.format(high)
    return f"{form.format(low)} to {most}"
