from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import penstock as ps
from tests.builders import make_study

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("left", [{"observations": None}, {"metrics": "odd"}])
async def test_what_an_agent_leaves_in_its_context_ends_its_own_run_alone(
    left: dict[str, Any], tmp_path: Path
) -> None:
    async def agent(ctx: ps.RunContext) -> str:
        if ctx.condition["tone"] == "odd":
            for name, value in left.items():
                setattr(ctx, name, value)

        return "yes"

    async def judge(answer: str) -> float:  # it may take long, so the answer is kept before it
        return float(answer == "yes")

    study = make_study(("odd", "even"), evaluators={"judge": judge})
    results = await ps.arun_study(
        study, agent_bindings={"agent-a": agent}, output_dir=tmp_path, show_progress=False
    )

    assert (results.summary.succeeded, results.summary.failed) == (1, 1)
