from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import penstock as ps
from penstock.analysis.resources import Left, ResourceForecast, forecast_resources
from penstock.store.reader import StoreReader
from tests.analysis.test_analyze import study_of


async def spends(ctx: Any) -> str:
    """An agent that uses more on later problems, and twice as much where it is polite."""
    at = int(ctx.problem.problem_id[1:])
    ctx.record(
        input_tokens=100 + at,
        output_tokens=10,
        score=1.0,
        cost_usd=0.01 * (at + 1) * (2 if ctx.condition["tone"] == "polite" else 1),
    )
    return "x"


def piloted(tmp_path: Path, agent: Any = spends, **options: Any) -> ResourceForecast:
    study = study_of(tmp_path)
    ps.run_study(study, agent_bindings={"a": agent}, show_progress=False, report=False)
    with StoreReader(tmp_path / "results") as store:
        left = [Left(each.condition_id, "a", 1000) for each in store.conditions()]
        stated: dict[str, Any] = {"problems": 100, "source": "a pilot", "concurrency": 4}
        return forecast_resources(store, left, **stated | options)


def test_what_runs_take_is_what_those_of_the_pilot_took_with_a_range(tmp_path: Path) -> None:
    found = piloted(tmp_path)

    assert found.runs == 2000
    assert found.cost_usd is not None
    assert found.cost_usd.value == pytest.approx(2000 * 0.045 * 1.5)
    assert found.cost_usd.low is not None
    assert found.cost_usd.high is not None
    assert found.cost_usd.low < found.cost_usd.value < found.cost_usd.high
    # Problems whose outputs are alike leave no range.
    assert found.output_tokens is not None
    assert found.output_tokens.low == found.output_tokens.high == 20_000
    assert found.input_tokens is not None
    assert found.input_tokens.value == pytest.approx(2000 * 103.5)


def test_conditions_weigh_as_in_what_is_left(tmp_path: Path) -> None:
    ps.run_study(
        study_of(tmp_path), agent_bindings={"a": spends}, show_progress=False, report=False
    )
    with StoreReader(tmp_path / "results") as store:
        polite = next(each for each in store.conditions() if each["tone"] == "polite")
        left = [Left(polite.condition_id, "a", 10)]
        found = forecast_resources(store, left, problems=8, source="", concurrency=1)

    assert found.cost_usd is not None
    assert found.cost_usd.value == pytest.approx(10 * 0.09)


def test_attempts_that_are_made_again_count(tmp_path: Path) -> None:
    async def fails_once(ctx: Any) -> str:
        if ctx.attempt == 1 and ctx.spec.replicate == 1:
            raise ValueError("again")

        ctx.record(score=1.0)
        return "x"

    study = study_of(tmp_path)
    retry = ps.Retry(attempts=2, wait_s=0.0)
    ps.run_study(
        study, agent_bindings={"a": fails_once}, retry=retry, show_progress=False, report=False
    )
    with StoreReader(tmp_path / "results") as store:
        left = [Left(each.condition_id, "a", 50) for each in store.conditions()]
        found = forecast_resources(store, left, problems=8, source="", concurrency=1)

    assert found.attempts is not None
    assert found.attempts.value == pytest.approx(150)
    assert found.undefined == {}


def test_declared_limits_make_it_take_longer(tmp_path: Path) -> None:
    def least_s(attempts: Any, tokens: float) -> float:
        assert attempts == {"a": 2000}
        assert tokens == pytest.approx(113.5)
        return 3600.0

    found = piloted(tmp_path, least_s=least_s)

    assert found.wall_time_s is not None
    assert found.wall_time_s.value == 3600.0


def test_a_cost_that_is_not_known_is_not_forecast(tmp_path: Path) -> None:
    async def unpriced(ctx: Any) -> str:
        ctx.record(cost_usd=None, score=1.0)
        return "x"

    found = piloted(tmp_path, unpriced)

    assert found.cost_usd is None
    assert found.undefined["cost_usd"] == "the cost of 32 of the pilot's runs is not known."


def test_conditions_that_the_pilot_has_not_are_told(tmp_path: Path) -> None:
    ps.run_study(
        study_of(tmp_path), agent_bindings={"a": spends}, show_progress=False, report=False
    )
    with StoreReader(tmp_path / "results") as store:
        left = [Left("cond-elsewhere", "a", 10)]
        found = forecast_resources(store, left, problems=8, source="", concurrency=1)

    assert "1 of 1 combinations" in found.notes[0]
