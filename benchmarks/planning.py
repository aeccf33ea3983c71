"""What planning costs: CPU seconds for one factor of many levels, and for a plan of many runs.

python benchmarks/planning.py
"""

from __future__ import annotations

from time import process_time

import penstock as ps
from penstock.study.policies import RunBudget


def main() -> None:
    print(f"{'planned':36}{'CPU s':>8}")
    for levels in (1_000, 10_000, 100_000):
        begun = process_time()
        ps.plan(_study(levels=levels))
        print(f"{f'one factor of {levels:,} levels':36}{process_time() - begun:8.2f}")

    begun = process_time()
    plan = ps.plan(_study(replicates=1_000_000))
    print(f"{'1,000,000 runs, ids checked':36}{process_time() - begun:8.2f}")
    begun = process_time()
    for _ in plan:
        pass

    print(f"{'  each of them made':36}{process_time() - begun:8.2f}")


def _study(levels: int = 1, replicates: int = 1) -> ps.Study:
    return ps.Study(
        study_id="planning",
        title="Planning",
        factors=[ps.Factor(name="level", levels=list(range(levels)))],
        agent_specs=("agent",),
        problem_ids=("problem",),
        run_budget=RunBudget(replicates=replicates),
    )


if __name__ == "__main__":
    main()
