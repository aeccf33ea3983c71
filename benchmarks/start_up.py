"""What starting costs: CPU time of whole processes that import penstock, or do something with it.

Measured beside a process that imports what penstock is built on. The interpreter's own start is in
every figure, and is shown for itself; modules are compiled beforehand, as they are once installed.

    python benchmarks/start_up.py [--rounds 9]
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from figures import Figure, options, report
from measure import in_turns, ratio

BASELINE = "import pydantic, anyio, numpy"
USED = "import penstock; penstock.StudyRunner, penstock.load_study, penstock.run_study"
MAIN = "from penstock.cli import main; main()"
PROCESSES = {
    "python": ("-c", ""),
    BASELINE: ("-c", BASELINE),
    "import penstock": ("-c", "import penstock"),
    "import penstock, and what runs studies": ("-c", USED),
    "penstock --help": ("-c", MAIN, "--help"),
    "penstock status": ("-c", MAIN, "status", "done"),
    "penstock run, until its agent is called": ("-c", MAIN, "run", "study.yaml"),
}
DONE = ("-c", MAIN, "run", "done.yaml", "--no-report")
TARGETS = {"import penstock": 1.3, "penstock --help": 1.3, "penstock status": 1.6}

STUDY = """
study_id: start
title: Start
factors: [{name: tone, levels: [plain]}]
agents: {agent: "agents.py:agent"}
problems: [{problem_id: problem}]
"""
AGENT = """
import os

async def agent(ctx):
    os._exit(0)


async def answering(ctx):
    return "done"
"""


def main() -> None:
    arguments = options(__doc__, rounds=9).parse_args()
    report("start_up", measure(arguments.rounds), arguments)


def measure(rounds: int) -> Iterator[Figure]:
    with TemporaryDirectory() as folder:
        Path(folder, "study.yaml").write_text(STUDY)
        Path(folder, "agents.py").write_text(AGENT)
        done = STUDY.replace(":agent", ":answering") + "output_dir: done\n"
        Path(folder, "done.yaml").write_text(done)
        subprocess.run([sys.executable, *DONE], check=True, cwd=folder, capture_output=True)
        for name in PROCESSES:
            cpu_ms(name, folder)  # compiles what it imports

        measured = in_turns(PROCESSES, lambda name: cpu_ms(name, folder), rounds)

    for name, spent_ms in measured.items():
        yield Figure(name, median(spent_ms), "ms")

    for name in PROCESSES:
        if name not in {"python", BASELINE}:
            to_baseline = ratio(measured, name, BASELINE)
            yield Figure(f"{name} : baseline", to_baseline, "x", at_most=TARGETS.get(name))


def cpu_ms(name: str, folder: str) -> float:
    """Give the CPU time of a process of its own, all of it."""
    begun_s = _children_s()
    command = [sys.executable, *PROCESSES[name]]
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": folder, "PYTHONDONTWRITEBYTECODE": ""}
    subprocess.run(command, check=True, cwd=folder, env=environment, capture_output=True)
    return (_children_s() - begun_s) * 1000


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
