"""Print the mean best value of every condition on every function, with its standard error.

Run the study first: `penstock run study.yaml`.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from pathlib import Path

import penstock as ps


def main() -> None:
    study = ps.load_study(Path(__file__).with_name("study.yaml"))
    results = ps.StudyResult.open(study.resolve(study.output_dir or "."))

    values: dict[tuple[str, int, str], list[float]] = defaultdict(list)
    for row in results.to_rows():
        values[row["problem_id"], row["budget"], row["agent"]].append(row["primary_outcome"])

    strategy, budget = study.factors
    print(f"Mean best value ± standard error of {study.replicates} runs; the optimum")
    print("is 0, less is better.\n")
    print(f"{'function':<12}{'budget':>8}" + "".join(f"{name:>26}" for name in strategy.values()))
    for problem_id in study.problem_ids:
        for evaluations in budget.values():
            cells = (values[problem_id, evaluations, name] for name in strategy.values())
            line = "".join(f"{mean_and_error(cell):>26}" for cell in cells)
            print(f"{problem_id:<12}{evaluations:>8}{line}")

    print(f"\n{len(results):,} runs. The results are in {results.output_dir}")
    print("  runs.csv, conditions.csv, evaluations.csv, events.csv: tables for any tool")
    print("  study.sqlite: everything, for SQL; also while a study runs")


def mean_and_error(values: list[float]) -> str:
    error = statistics.stdev(values) / len(values) ** 0.5
    return f"{statistics.mean(values):.3g} ± {error:.2g}"


if __name__ == "__main__":
    main()
