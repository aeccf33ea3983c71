"""A study of code in files, as workers load it, and what is compared of two of its runs."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import penstock as ps

AGENTS = """
import random

import anyio

anyio_gate = None


async def solve(ctx):
    ctx.observe("step", "thinking", n=ctx.attempt)
    await anyio.sleep(0)
    ctx.record(drawn=random.random(), cost_usd=0.25)
    return f"{ctx.rng.integers(10**6)} {random.randint(0, 10**6)}"


def plain(ctx):
    return {"text": str(ctx.rng.normal()), "nan": float("nan"), "odd": "\\ud800", "big": 10**30}


async def waits(ctx):
    await anyio.sleep(1)
    return "at last"


async def for_ever(ctx):
    await anyio.sleep_forever()


async def fails(ctx):
    raise ValueError("no")


def grade(answer, ctx):
    return len(str(answer))


async def slow_grade(answer, ctx):
    await anyio.sleep(1)
    return 1.0
"""

STUDY = """
study_id: moved
title: A study whose runs move
factors: [{{name: tone, description: how, levels: [{{name: a, value: a}}, {{name: b, value: b}}]}}]
agents: {{{agents}}}
problems: [{{problem_id: p1, brief: hi}}, {{problem_id: p2, brief: ho}}]
replicates: {replicates}
evaluators: {{grade: {{call: "agents.py:{grade}"}}}}
execution: {{concurrency: 100}}
"""

TIMES = {"start_time", "end_time", "latency_s", "timestamp", "run_start_time"}


def write_study(
    folder: Path, *agents: str, replicates: int = 1, grade: str = "grade", code: str = AGENTS
) -> ps.Study:
    """Write a study and its code into a folder, and load it."""
    folder.mkdir(exist_ok=True)
    (folder / "agents.py").write_text(code)
    named = ", ".join(f'{name}: "agents.py:{name}"' for name in agents)
    file = folder / "study.yaml"
    file.write_text(STUDY.format(agents=named, replicates=replicates, grade=grade))
    return ps.load_study(file)


def tables(directory: Path) -> dict[str, list[dict[str, Any]]]:
    """Read the tables of a study, without the moments at which things happened."""
    read = {}
    for name in ("conditions", "runs", "events", "evaluations"):
        with (directory / f"{name}.csv").open(newline="") as file:
            read[name] = [
                {column: value for column, value in row.items() if column not in TIMES}
                for row in csv.DictReader(file)
            ]

    return read
