"""The same study gives the same bytes at any concurrency."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

import penstock as ps
from penstock.study.policies import RunBudget, RunOrder
from tests.artifacts import assert_same_artifacts
from tests.proof.counting_study import build_study

pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time]


async def agent(ctx: ps.RunContext) -> dict[str, float]:
    await anyio.sleep(ctx.seed % 3 / 1000)
    ctx.observe("tool_call", f"drew {ctx.rng.random()}")
    await anyio.sleep(ctx.seed % 2 / 1000)
    return {"x": float(ctx.rng.random())}


async def test_a_study_writes_the_same_bytes_at_concurrency_1_and_500(tmp_path: Path) -> None:
    study = build_study()
    for concurrency in (1, 500):
        await ps.arun_study(
            study,
            agent_bindings={"one": agent, "two": agent},
            output_dir=tmp_path / str(concurrency),
            parallelism=concurrency,
        )

    assert_same_artifacts(tmp_path / "1", tmp_path / "500")


@pytest.mark.parametrize("order", list(RunOrder))
async def test_the_order_of_execution_changes_no_artifact(tmp_path: Path, order: RunOrder) -> None:
    study = build_study().model_copy(update={"run_budget": RunBudget(replicates=1)})
    for name, run_order in (("plan", RunOrder.AS_DESIGNED), ("other", order)):
        await ps.arun_study(
            study.model_copy(update={"run_order": run_order}),
            agent_bindings={"one": agent, "two": agent},
            output_dir=tmp_path / name,
            parallelism=50,
        )

    first, second = (tmp_path / name / "study.yaml" for name in ("plan", "other"))
    second.write_text(second.read_text().replace(order.value, RunOrder.AS_DESIGNED.value))
    assert first.read_text() == second.read_text()
    assert_same_artifacts(tmp_path / "plan", tmp_path / "other")


async def test_a_study_that_was_run_can_be_opened_again(tmp_path: Path) -> None:
    ran = await ps.arun_study(
        build_study().model_copy(update={"run_budget": RunBudget(replicates=1)}),
        agent_bindings={"one": agent, "two": agent},
        output_dir=tmp_path,
        parallelism=50,
    )

    opened = ps.StudyResult.open(tmp_path)

    assert list(opened) == list(ran)
    assert (opened.summary.planned, opened.summary.remaining) == (len(ran), 0)
