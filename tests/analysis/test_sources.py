from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

import penstock as ps
from penstock.analysis.analysis_facts import Analysis
from penstock.store.reader import StoreReader
from penstock.study.policies import RunBudget
from tests.analysis.test_analyze import SCORE, helped, hypothesis, study_of


def weighed(directory: Path, query: str) -> float:
    """Compute a number from the rows of its query: weights of conditions, means of problems."""
    cells: dict[tuple[str, str], list[float]] = defaultdict(list)
    weights: dict[str, float] = {}
    with StoreReader(directory) as store:
        for row in store.rows(query):
            cells[row["condition"], row["problem_id"]].append(row["value"])
            weights[row["condition"]] = row["weight"]

    by_condition: dict[str, list[float]] = defaultdict(list)
    for (condition, _), values in cells.items():
        by_condition[condition].append(fmean(values))

    return sum(weights[name] * fmean(means) for name, means in by_condition.items())


def analysed(tmp_path: Path, agents: int = 1, **fields: Any) -> tuple[Path, Analysis]:
    names = ("a", "b's")[:agents]
    study = study_of(tmp_path, agent_specs=names, **fields)
    results = ps.run_study(study, agent_bindings=dict.fromkeys(names, helped), show_progress=False)
    return results.output_dir, results.analyze()


SCORED = ps.Outcome(
    name="right", source_table="evaluations", column="it's", aggregation="mean", primary=True
)


@pytest.mark.parametrize("agents", [1, 2])
@pytest.mark.parametrize("outcome", [SCORE, SCORED])
def test_the_sql_beside_each_number_gives_the_rows_that_it_was_made_from(
    tmp_path: Path, agents: int, outcome: ps.Outcome
) -> None:
    def its(answer: Any) -> float:
        return len(answer["text"]) / 7

    directory, found = analysed(
        tmp_path,
        agents,
        outcomes=(outcome,),
        hypotheses=(hypothesis(dependent_vars=(outcome.name,)),),
        evaluators={"it's": its},
        factors=tuple(ps.Factor(name=name, levels=("plain", "polite")) for name in ("tone", "z")),
        run_budget=RunBudget(replicates=1),
    )

    (found_of,) = found.outcomes.values()
    contrasts = [*found_of.contrasts.values(), *found_of.effects.values()]
    contrasts += [each.contrast for each in found.hypotheses if each.contrast is not None]
    assert len(contrasts) > 4
    for contrast in contrasts:
        assert weighed(directory, contrast.rows) == pytest.approx(contrast.difference, abs=1e-5)

    for estimate in found_of.conditions:
        assert weighed(directory, estimate.rows) == pytest.approx(estimate.mean)


def test_the_python_beside_an_outcome_gives_the_means_of_problems(tmp_path: Path) -> None:
    directory, found = analysed(tmp_path)

    python = found.outcomes["score"].python
    rows = eval(python, {"penstock": ps, "DIRECTORY": directory})

    contrast = found.outcomes["score"].contrasts["polite-plain"]
    assert fmean(row["polite"] - row["plain"] for row in rows) == pytest.approx(contrast.difference)
