"""A study with a webhook, in a process that its receiver kills; it begins again until it is done.

python -m tests.faults.delivering OUTPUT_DIR RUNS

Each session is a child of this process, which has imported everything already.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from functools import partial
from pathlib import Path
from types import ModuleType

import anyio

import penstock as ps
from penstock.replay import adeliver
from penstock.study.policies import RunBudget

WEBHOOK = Path(__file__).parents[2] / "docs" / "examples" / "webhook.py"


def study_of(runs: int) -> ps.Study:
    return ps.Study(
        study_id="delivered",
        title="A study whose runs are posted",
        problems=(ps.Problem(problem_id="p"),),
        agent_specs=("agent",),
        run_budget=RunBudget(replicates=runs),
    )


async def agent(ctx: ps.RunContext) -> str:
    return f"answer {ctx.spec.replicate}"


def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("webhook", WEBHOOK)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def session(webhook: ModuleType, results: Path, runs: int) -> None:
    os.environ["WEBHOOK_URL"] += f"/{os.getpid()}"
    runner = webhook.runner_with_webhook(
        study_of(runs),
        agent_bindings={"agent": agent},
        output_dir=results,
        show_progress=False,
        concurrency=3,
    )
    anyio.run(runner.run)
    named = partial(adeliver, results, webhook.webhook, ["RunFinished"], name="webhook")
    anyio.run(named)  # what a study that ends does not wait for


def main(results: Path, runs: int) -> None:
    webhook = example()
    while True:
        child = os.fork()
        if child == 0:
            session(webhook, results, runs)
            os._exit(0)

        _, status = os.waitpid(child, 0)
        if status == 0:
            return

        if not os.WIFSIGNALED(status):
            sys.exit(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
