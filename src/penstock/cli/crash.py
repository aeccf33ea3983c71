"""A small study that is killed again and again, to see what this machine and its disk keep.

``python -m penstock.cli.crash DIR`` is the study: it prints the id of each run whose agent is
called, and of each that is said to be saved.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio

from penstock.agents.context import RunContext
from penstock.events.tree import RunsSaved
from penstock.runner import StudyRunner
from penstock.store.files.doctor import Finding
from penstock.store.reader import StoreReader
from penstock.study.execution import Execution
from penstock.study.factors import Factor
from penstock.study.model import Study
from penstock.study.problem import Problem

__all__ = ["crash_test"]

_RUNS = 400
_KILL_AFTER_LINES = (1, 90, 170, 250, 400)


def crash_test(directory: Path) -> Finding:
    """Kill a study five times on the disk of a directory, and see that it ends as it should."""
    saved: set[str] = set()
    repeated = 0
    with TemporaryDirectory(prefix=".crash-test-", dir=directory) as scratch:
        results = Path(scratch) / "results"
        for lines in (*_KILL_AFTER_LINES, None):
            called, said = _session(results, lines)
            repeated += len(saved.intersection(called))
            saved.update(said)

        with StoreReader(results) as store:
            kept = {each.run_id for each in store.results()}

    lost = len(saved - kept)
    counts = f"{lost} saved runs were lost, {repeated} were run twice, {_RUNS - len(kept)} missing"
    return Finding(
        is_wrong=bool(lost or repeated or len(kept) != _RUNS),
        what=f"crash test: killed {len(_KILL_AFTER_LINES)} times; {counts}",
    )


def _session(results: Path, kill_after_lines: int | None) -> tuple[list[str], list[str]]:
    """Run the study, kill it after so many lines, and give what it called and what it saved."""
    heard: dict[str, list[str]] = {"called": [], "saved": []}
    with subprocess.Popen(  # noqa: S603 - ourselves
        [sys.executable, "-m", __name__, str(results)],
        stdout=subprocess.PIPE,
        text=True,
    ) as study:
        for number, line in enumerate(study.stdout or (), start=1):
            what, _, run_id = line.strip().partition(" ")
            if line.endswith("\n"):  # the last one may be torn
                heard[what].append(run_id)

            if number == kill_after_lines:
                study.send_signal(signal.SIGKILL)

    return heard["called"], heard["saved"]


def _main(results: Path) -> None:
    async def agent(ctx: RunContext) -> str:
        sys.stdout.write(f"called {ctx.spec.run_id}\n")
        sys.stdout.flush()
        await anyio.sleep(0.005)
        return "answer"

    study = Study(
        study_id="crash-test",
        title="Killed again and again",
        factors=(Factor(name="tone", levels=("plain", "polite")),),
        problems=(Problem(problem_id="p"),),
        agent_specs=("agent",),
        replicates=_RUNS // 2,
        execution=Execution(concurrency=10),
    )
    runner = StudyRunner(
        study, agent_bindings={"agent": agent}, output_dir=results, show_progress=False
    )

    @runner.on(RunsSaved)
    def said(event: RunsSaved) -> None:
        sys.stdout.write("".join(f"saved {run_id}\n" for run_id in event.run_ids))
        sys.stdout.flush()

    anyio.run(runner.run)


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
