"""Agents that answer from the record, after as long as a quick model might take."""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path

import anyio

import penstock as ps


async def finetuning(ctx: ps.RunContext) -> ps.AgentResult:
    """Answer as the fine-tuned model did."""
    return await _answer(ctx, "6b_finetuning")


async def verification(ctx: ps.RunContext) -> ps.AgentResult:
    """Answer as the model with a verifier did."""
    return await _answer(ctx, "6b_verification")


async def _answer(ctx: ps.RunContext, model: str) -> ps.AgentResult:
    await anyio.sleep(ctx.rng.uniform(0.002, 0.008))
    solution = _recorded()[ctx.problem.problem_id, model]
    return ps.AgentResult(outputs={"text": solution}, metadata={"model_name": model})


@cache
def _recorded() -> dict[tuple[str, str], str]:
    path = Path(os.environ["GSM8K_DIR"]) / "recorded_answers.jsonl"
    with path.open(encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]

    return {(row["problem_id"], row["model"]): row["solution"] for row in rows}
