"""What starting costs: CPU time of whole processes that import penstock, or do something with it.

Measured beside a process that imports what penstock is built on. The interpreter's own start is in
every figure, and is shown for itself; modules are compiled beforehand, as they are once installed.

What a worker process costs is the difference that a second and a third make to the whole command,
with all that it starts.

    python benchmarks/start_up.py [--rounds 3]
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from figures import Figure, options, report
from measure import in_turns

BASELINE = "import pydantic, anyio, numpy"
USED = "import penstock; penstock.StudyRunner, penstock.load_study, penstock.run_study"
MAIN = "from penstock.cli import main; main()"
STATUS, RUN = "penstock status of one run", "penstock run --no-report of one run"
PROCESSES = {
    "python": ("-c", ""),
    BASELINE: ("-c", BASELINE),
    "import penstock": ("-c", "import penstock"),
    "import penstock, and what runs studies": ("-c", USED),
    "penstock --help": ("-c", MAIN, "--help"),
    STATUS: ("-c", MAIN, "status", "done"),
    RUN: ("-c", MAIN, "run", "done.yaml", "--no-report", "--fresh"),
}
WORKERS = {
    count: ("-c", MAIN, "run", "done.yaml", "--no-report", "--fresh", "--workers", str(count))
    for count in (1, 3)
}
DONE = ("-c", MAIN, "run", "done.yaml", "--no-report")
TIMES = {"import penstock": 1.3, "penstock --help": 1.3}
MOST_MS = {STATUS: 200.0, RUN: 450.0}

STUDY = """
study_id: start
title: Start
factors: [{name: tone, levels: [plain]}]
agents: {agent: "agents.py:agent"}
problems: [{problem_id: problem}]
output_dir: done
"""
AGENT = """
async def agent(ctx):
    return "done"
"""


def main() -> None:
    arguments = options(__doc__, rounds=3).parse_args()
    report("start_up", measure(arguments.rounds), arguments)


def measure(rounds: int) -> Iterator[Figure]:
    with TemporaryDirectory() as folder:
        Path(folder, "done.yaml").write_text(STUDY)
        Path(folder, "agents.py").write_text(AGENT)
        cpu_ms(DONE, folder)
        for command in PROCESSES.values():
            cpu_ms(command, folder)  # compiles what it imports

        measured = in_turns(PROCESSES, lambda name: cpu_ms(PROCESSES[name], folder), rounds)
        workers = in_turns(WORKERS, lambda count: cpu_ms(WORKERS[count], folder), rounds)

    ms = {name: median(spent_ms) for name, spent_ms in measured.items()}
    yield Figure("python", ms["python"], "ms CPU")
    for name in PROCESSES:
        if name not in {"python", BASELINE}:
            most_ms, times = MOST_MS.get(name), TIMES.get(name)
            by_hand = ms[BASELINE]
            yield Figure(name, ms[name], "ms CPU", by_hand, at_most=most_ms, at_most_x=times)

    each_ms = (min(workers[3]) - min(workers[1])) / 2
    yield Figure("a worker process", each_ms, "ms CPU", at_most=250)


def cpu_ms(arguments: Sequence[str], folder: str) -> float:
    """Give the CPU time of a process of its own and of those it starts, all of it."""
    begun_s = _children_s()
    command = [sys.executable, *arguments]
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": folder, "PYTHONDONTWRITEBYTECODE": ""}
    subprocess.run(command, check=True, cwd=folder, env=environment, capture_output=True)
    return (_children_s() - begun_s) * 1000


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
