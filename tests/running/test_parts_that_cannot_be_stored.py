from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import penstock as ps
from penstock.agents.context import RunContext
from penstock.results import RunStage
from tests.builders import make_study

WHEN = datetime(2026, 1, 1, tzinfo=UTC)


def recording(**metrics: Any) -> Any:
    def record(ctx: ps.RunContext) -> str:
        ctx.record(**metrics)
        return "42"

    return record


def observing(ctx: ps.RunContext) -> str:
    ctx.observe("tool", "x", obj=object())
    return "42"


def returning(**parts: Any) -> Any:
    return lambda ctx: {"text": "42", **parts}


def run(folder: Path, agent: Any) -> tuple[ps.StudyResult, list[str]]:
    called: list[str] = []

    def counted(ctx: ps.RunContext) -> Any:
        called.append(ctx.spec.run_id)
        return agent(ctx)

    study = make_study(("a",), evaluators={"exact": "exact"})
    bound = {"agent-a": counted}
    ps.run_study(study, agent_bindings=bound, output_dir=folder)
    return ps.run_study(study, agent_bindings=bound, output_dir=folder), called


@pytest.mark.field("studies-A7")
@pytest.mark.field("studies-C13")
@pytest.mark.parametrize(
    ("agent", "left_out"),
    [
        (recording(cost_usd="n/a"), "metrics.cost_usd"),
        (recording(cost_usd=float("nan")), "metrics.cost_usd"),
        (recording(cost_usd=-1.0), "metrics.cost_usd"),
        (recording(input_tokens="12"), "metrics.input_tokens"),
        (recording(when=WHEN), "metrics.when"),
        (observing, "event.meta_json.obj"),
        (returning(when=WHEN), "output.when"),
        (returning(metrics={"x": Decimal(1)}), "metrics.x"),
        (returning(metrics=[1]), "metrics"),
        (returning(events=3), "events"),
        (returning(events="abc"), "events"),
        (returning(trace_refs=3), "trace_refs"),
        (returning(metadata={"client": object()}), "metadata.client"),
    ],
)
def test_an_answer_is_kept_and_not_paid_for_again_where_a_part_beside_it_cannot_be_stored(
    tmp_path: Path, agent: Any, left_out: str
) -> None:
    (result,), called = run(tmp_path, agent)

    assert len(called) == 1
    assert (result.status, result.outputs["text"]) == ("success", "42")
    assert result.primary_outcome == 1.0
    assert result.error is not None
    assert (result.error.kind, result.error.stage) == ("OutputError", RunStage.OUTPUT)
    assert f"the value at {left_out} cannot be stored" in result.error.message


@pytest.mark.field("studies-A7")
@pytest.mark.parametrize(
    ("agent", "cost_usd"),
    [
        (recording(cost_usd=None, input_tokens=None), None),
        (recording(cost_usd=Decimal("0.5")), 0.5),
        (returning(metrics={"cost_usd": None}), None),
    ],
)
def test_an_amount_that_is_not_known_is_nothing_that_went_wrong(
    tmp_path: Path, agent: Any, cost_usd: float | None
) -> None:
    results, called = run(tmp_path, agent)

    assert len(called) == 1
    assert (results[0].status, results[0].error) == ("success", None)
    assert results[0].metrics["cost_usd"] == cost_usd
    assert results.summary.unpriced == (cost_usd is None)


@pytest.mark.parametrize("outputs", [{"text": "log", "answer": WHEN}, {"when": WHEN}])
def test_an_answer_that_cannot_be_stored_itself_is_a_failure(
    tmp_path: Path, outputs: dict[str, Any]
) -> None:
    (result,), _ = run(tmp_path, lambda ctx: outputs)

    assert (result.status, result.outputs) == ("failed", {})


def test_all_that_was_left_out_is_told_at_once(tmp_path: Path) -> None:
    (result,), _ = run(tmp_path, returning(metrics={"a": WHEN, "b": WHEN}, when=WHEN))

    told = str(result.error)
    assert [path in told for path in ("metrics.a", "metrics.b", "output.when")] == [True] * 3


PARTS = [name for name in RunContext.__slots__ if not name.startswith("_")]


@pytest.mark.parametrize("name", PARTS)
@pytest.mark.parametrize("value", [None, 3])
def test_whatever_an_agent_puts_in_the_place_of_a_part_of_its_context_is_its_own_failure_alone(
    tmp_path: Path, name: str, value: Any
) -> None:
    async def agent(ctx: ps.RunContext) -> str:
        if ctx.condition["tone"] == "a":
            setattr(ctx, name, value)
            raise ValueError("no")

        return "42"

    results = ps.run_study(
        make_study(("a", "b"), evaluators={"exact": "exact"}),
        agent_bindings={"agent-a": agent},
        output_dir=tmp_path,
        retry=ps.Retry(attempts=2, wait_s=0),
    )
    assert [each.attempt for each in results] == [2, 1]
    assert (results.summary.failed, results.summary.succeeded) == (1, 1)
