"""Runs one study for a long time and measures whether anything grows that should not.

python benchmarks/soak.py [--minutes 20] [--concurrency 200]

Memory, file handles, threads and tasks are noted every few seconds; what is printed is the slope
of each over the second half, by least squares, as JSON on the last line.
"""

from __future__ import annotations

import argparse
import asyncio  # noqa: TID251 - counts its tasks
import gc
import json
import sys
import threading
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import NamedTuple

import anyio
import numpy as np
import structlog

import penstock as ps

PLANNED = 10_000_000
"""More than any soak gets through."""


class Sample(NamedTuple):
    """What the process holds at a moment."""

    at_s: float
    memory_mb: float
    files: int
    threads: int
    tasks: int
    objects: int


def sample(begun: float) -> Sample:
    status = Path("/proc/self/status").read_text()
    (resident,) = (line for line in status.splitlines() if line.startswith("VmRSS"))
    return Sample(
        at_s=monotonic() - begun,
        memory_mb=int(resident.split()[1]) / 1024,
        files=len([*Path("/proc/self/fd").iterdir()]),
        threads=threading.active_count(),
        tasks=len(asyncio.all_tasks()),
        objects=len(gc.get_objects()),
    )


async def agent(ctx: ps.RunContext) -> dict[str, object]:
    """Take its time, fail now and then, report something."""
    await anyio.sleep(0.05 + 0.1 * float(ctx.rng.random()))
    ctx.record(cost_usd=0.001, input_tokens=100, output_tokens=20)
    ctx.observe("tool_call", "looked it up")
    if ctx.attempt == 1 and ctx.seed % 20 == 0:
        raise ConnectionError("now and then")

    return {"text": "an answer " * 40}


async def soak(minutes: float, concurrency: int, output_dir: Path) -> dict[str, float]:
    study = ps.Study(
        study_id="soak",
        title="A long study",
        factors=[ps.Factor(name="tone", levels=["plain", "polite"])],
        problems=[ps.Problem(problem_id="p")],
        agent_specs=["agent"],
        run_budget=ps.RunBudget(replicates=PLANNED // 2, parallelism=concurrency),
        run_order="as_designed",
    )
    runner = ps.StudyRunner(
        study,
        agent_bindings={"agent": agent},
        output_dir=output_dir,
        retry=ps.Retry(attempts=3, wait_s=0.1),
        show_progress=False,
    )
    samples: list[Sample] = []
    begun = monotonic()

    async def watch() -> None:
        every_s = max(1.0, minutes * 60 / 200)
        while monotonic() - begun < minutes * 60:
            await anyio.sleep(every_s)
            samples.append(sample(begun))

        runner.stop("soaked")

    async with anyio.create_task_group() as group:
        group.start_soon(watch)
        summary = await runner.run()

    return {
        "minutes": minutes,
        "runs": summary.succeeded,
        "runs_per_s": round(summary.succeeded / (samples[-1].at_s), 1),
        "store_mb": round((output_dir / "study.sqlite").stat().st_size / 1e6, 1),
        **slopes(samples[len(samples) // 2 :]),
    }


def slopes(samples: list[Sample]) -> dict[str, float]:
    """Give the last value and the growth in a minute of each quantity."""
    minutes = [each.at_s / 60 for each in samples]
    found: dict[str, float] = {}
    for name in Sample._fields[1:]:
        values = [getattr(each, name) for each in samples]
        found[name] = round(values[-1], 1)
        found[f"{name}_per_minute"] = round(float(np.polyfit(minutes, values, 1)[0]), 3)

    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--concurrency", type=int, default=200)
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("error"))
    with TemporaryDirectory() as scratch:
        print("soaking; the result comes at the end", file=sys.stderr)
        found = anyio.run(soak, options.minutes, options.concurrency, Path(scratch))

    print(json.dumps(found))


if __name__ == "__main__":
    main()
