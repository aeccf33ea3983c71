"""What many conditions cost: CPU time of a run where each has a condition of its own.

Beside it stands the same number of runs of two conditions; the target is that there is no
difference. The second row is that of the files of such a study.

    python benchmarks/conditions.py [--conditions 10000] [--rounds 1]
"""

from __future__ import annotations

from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from figures import Figure, options, report
from measure import cpu_us, in_turns
from studies import ANSWER, Agent, until_durable_us

import penstock as ps
from penstock.export.artifacts import export_artifacts
from penstock.running.garbage import relaxed_gc
from penstock.study.policies import RunBudget


def main() -> None:
    arguments = options(__doc__, conditions=10_000, rounds=1).parse_args()
    runs = arguments.conditions
    files_us: dict[int, list[float]] = {}

    def durable_us(conditions: int) -> float:
        with TemporaryDirectory() as folder:
            place = Path(folder)
            spent_us = until_durable_us(runs, lambda: make_runner(runs, conditions, place))
            with relaxed_gc():
                spent = cpu_us(lambda: export_artifacts(place), runs)

            files_us.setdefault(conditions, []).append(spent)
            return spent_us

    durable_us(2)  # imports what it uses
    files_us.clear()
    measured = in_turns((2, runs), durable_us, arguments.rounds)
    figures = []
    for what, found in (("durable run", measured), ("files", files_us)):
        few_us, many_us = median(found[2]), median(found[runs])
        name = f"{what}, {runs:,} conditions beside 2"
        figures.append(Figure(name, many_us, "µs/run", few_us, at_most_x=1.1))

    report("conditions", figures, arguments)


def make_runner(runs: int, conditions: int, folder: Path) -> ps.StudyRunner:
    study = ps.Study(
        study_id="conditions",
        title="Conditions",
        factors=[ps.Factor(name="level", levels=[f"level {n}" for n in range(conditions)])],
        agent_specs=("agent",),
        problem_ids=("problem",),
        run_budget=RunBudget(replicates=runs // conditions, parallelism=1_000),
    )
    agents = {"agent": Agent(answer=ANSWER[:200])}
    return ps.StudyRunner(study, agent_bindings=agents, output_dir=folder, show_progress=False)


if __name__ == "__main__":
    main()
