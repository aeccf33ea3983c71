"""Runs one study for a long time, with faults on, and measures whether anything grows.

    python benchmarks/soak.py [--minutes 20 | --runs N] [--concurrency 500] [--answer-s 2]
                              [--json FILE]

Memory, blocks of memory, files, threads and tasks are counted now and then. Printed as JSON are
what is left of them when the study is over, their means over its second half, and how much each
grows there with every run (see `growth`). The faults are in `soak_faults`.
"""

from __future__ import annotations

import argparse
import asyncio  # noqa: TID251 - counts its tasks
import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, process_time

import anyio
import structlog
from growth import Sample, growth, held, sample
from soak_faults import Faults

import penstock as ps
from penstock.study.policies import RunBudget

MOST = 500_000
"""More runs than a soak gets through."""


class Soak:
    """One long study and what it is found to hold.

    Args:
        faults: What goes wrong in it.
        minutes: How long it takes.
        runs: After how many runs it ends, if they come first; twice as many are planned.
        concurrency: How many runs are in flight.
    """

    def __init__(self, faults: Faults, minutes: float, runs: int, concurrency: int) -> None:
        self.faults = faults
        self.minutes = minutes
        self.runs = runs
        self.concurrency = concurrency
        self.samples: list[Sample] = []

    def study(self, chat_url: str) -> ps.Study:
        chat = {"base_url": chat_url, "model": "simulated", "timeout_s": 2 * self.faults.answer_s}
        return ps.Study(
            study_id="soak",
            title="A long study",
            factors=[ps.Factor(name="tone", levels=["plain", "polite"])],
            problems=[ps.Problem(problem_id="p", brief="What is 6 x 7?")],
            agents={"chat": {"chat": chat}},
            agent_specs=["odd", "threaded", "chat"],
            limits={chat_url: {"max_in_flight": self.concurrency}},
            run_budget=RunBudget(replicates=self.runs // 3, parallelism=self.concurrency),
            run_order="as_designed",
        )

    async def run(self, chat_url: str, output_dir: Path) -> dict[str, float]:
        faults = self.faults
        runner = ps.StudyRunner(
            self.study(chat_url),
            agent_bindings={"odd": faults.odd, "threaded": faults.threaded},
            output_dir=output_dir,
            subscribers=[faults.fall_behind, faults.fail],
            timeout_s=faults.timeout_s,
            retry=ps.Retry(attempts=3, wait_s=faults.answer_s / 20),
            show_progress=False,
        )
        self.runner = runner  # what it keeps counts as left
        begun, begun_cpu = monotonic(), process_time()
        async with anyio.create_task_group() as group:
            for beside in (self.sample, faults.watch, faults.change_limit):
                group.start_soon(beside, runner)

            summary = await runner.run()
            group.cancel_scope.cancel()

        return {
            "concurrency": self.concurrency,
            "minutes": round((monotonic() - begun) / 60, 2),
            "cpu_s": round(process_time() - begun_cpu, 1),
            "store_mb": round((output_dir / "study.sqlite").stat().st_size / 1e6, 1),
            **summary.session.model_dump(
                include={"started", "succeeded", "failed", "skipped", "retried"}
            ),
            "tasks_left": len(asyncio.all_tasks()) - 1,
            **growth(self.samples),
        }

    async def sample(self, runner: ps.StudyRunner) -> None:
        begun = monotonic()
        done = 0
        while done < self.runs and monotonic() - begun < self.minutes * 60:
            await anyio.sleep(self.faults.answer_s)
            done = runner.summary.session.started
            self.samples.append(sample(done))

        runner.stop("soaked")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--runs", type=int, default=MOST)
    parser.add_argument("--concurrency", type=int, default=500)
    parser.add_argument("--answer-s", type=float, default=2.0)
    parser.add_argument("--json", type=Path, help="also write the figures there")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("critical"))
    faults = Faults(options.answer_s)
    soak = Soak(faults, options.minutes, options.runs, options.concurrency)
    print("soaking; the result comes at the end", file=sys.stderr)
    with TemporaryDirectory() as scratch, faults.provider() as chat_url:
        before = held()
        found = anyio.run(soak.run, chat_url, Path(scratch))
        soak.samples.clear()  # they are ours, and not the study's
        found |= {f"{name}_left": count - before[name] for name, count in held().items()}

    print(json.dumps(found))
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
