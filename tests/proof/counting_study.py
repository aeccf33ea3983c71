"""A study whose agents count their calls in a file: run as a child process that is interrupted.

python counting_study.py OUTPUT_DIR CALLS_FILE CONCURRENCY
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import anyio

import penstock as ps
from penstock.study.policies import RunBudget

RUNS = 1000


def main() -> None:
    output_dir, calls, concurrency, moment = sys.argv[1:]
    calls_file = os.open(calls, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    moment_bytes = int(moment) * len("run-0123456789ab\n")

    async def agent(ctx: ps.RunContext) -> dict[str, float]:
        before = os.fstat(calls_file).st_size
        written = os.write(calls_file, f"{ctx.spec.run_id}\n".encode())
        if before < moment_bytes <= before + written:
            print("now", flush=True)

        await anyio.sleep(0.005)
        ctx.record(cost_usd=0.001, input_tokens=3)
        ctx.observe("tool_call", "looked it up")
        return {"x": float(ctx.rng.random())}

    ps.run_study(
        build_study(), agent_bindings={"one": agent, "two": agent}, output_dir=Path(output_dir),
        parallelism=int(concurrency), show_progress=False,
    )  # fmt: skip


def build_study() -> ps.Study:
    return ps.Study(
        study_id="counting",
        title="Counting calls",
        factors=[ps.Factor(name="tone", levels=["terse", "polite", "long", "short", "plain"])],
        agent_specs=["one", "two"],
        problems=[
            ps.Problem(problem_id=f"p{number}", family="f", evaluator=score) for number in range(20)
        ],
        run_budget=RunBudget(replicates=5),
    )


def score(answer: float) -> dict[str, float]:
    return {"score": answer * 2}


if __name__ == "__main__":
    main()
