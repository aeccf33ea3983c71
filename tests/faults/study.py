"""A small study of agents that count their calls, for the faults that are put to a real study."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio

import penstock as ps
from penstock.run import run_study
from penstock.study.policies import RunBudget

RUNS = 40


def build_study(**fields: Any) -> ps.Study:
    given: dict[str, Any] = {
        "study_id": "faulty",
        "title": "A study that something happens to",
        "factors": [ps.Factor(name="tone", levels=["terse", "polite"])],
        "agent_specs": ["agent"],
        "problems": [ps.Problem(problem_id="p1"), ps.Problem(problem_id="p2")],
        "run_budget": RunBudget(replicates=10, parallelism=8),
    }
    return ps.Study(**(given | fields))


class Calls:
    """An agent that notes each of its calls and answers with ``size`` characters."""

    def __init__(self, size: int = 10) -> None:
        self.run_ids: list[str] = []
        self.size = size

    async def agent(self, ctx: ps.RunContext) -> str:
        self.run_ids.append(ctx.spec.run_id)
        ctx.record(cost_usd=0.01)
        await anyio.sleep(0.001)
        return "x" * self.size


def run(output_dir: Path, agent: Callable[..., Any], **options: Any) -> ps.StudyResult:
    study = options.pop("study", None) or build_study()
    options = {"show_progress": False} | options
    return run_study(study, agent_bindings={"agent": agent}, output_dir=output_dir, **options)


def saved(output_dir: Path) -> int:
    """How many runs have succeeded, as any SQL tool counts them."""
    uri = f"file:{output_dir}/study.sqlite?mode=ro"
    with closing(sqlite3.connect(uri, uri=True)) as store:
        ((count,),) = store.execute("SELECT count(*) FROM runs WHERE status = 'success'")
        return int(count)


def is_root() -> bool:
    return os.geteuid() == 0
