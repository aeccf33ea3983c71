"""A real notebook, executed in a kernel; `make notebook` installs what that takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.filterwarnings("ignore")  # those of Jupyter

CELLS = [
    """
import penstock as ps

async def agent(ctx):
    at = int(ctx.problem.problem_id[1:])
    ctx.record(score=at / 10 + (0.1 + at / 100) * (ctx.condition["tone"] == "polite"))
    return "x"

study = ps.Study(
    study_id="in-a-notebook",
    title="Does tone matter?",
    factors=(ps.Factor(name="tone", levels=("plain", "polite")),),
    problems=tuple(ps.Problem(problem_id=f"p{at}") for at in range(8)),
    agent_specs=("a",),
    outcomes=(ps.Outcome(name="score", source_table="runs", column="score", aggregation="mean",
                         primary=True),),
    replicates=2,
    output_dir="results",
)
study
""",
    "results = await ps.arun_study(study, agent_bindings={'a': agent})\nresults",
    "results.analyze()",
    "results.figures()['conditions']",
]


def test_a_notebook_runs_a_study_and_shows_what_came_of_it(tmp_path: Path) -> None:
    nbclient = pytest.importorskip("nbclient", reason="make notebook installs it")
    pytest.importorskip("ipykernel", reason="make notebook installs it")
    nbformat = pytest.importorskip("nbformat")
    notebook = nbformat.v4.new_notebook(cells=[*map(nbformat.v4.new_code_cell, CELLS)])

    resources = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=60, resources=resources).execute()

    study, results, analysis, figure = (_shown(cell) for cell in notebook.cells)
    assert "plain, polite" in study["text/html"]
    assert "polite-plain = 0.135" in results["text/html"]
    assert "polite-plain" in analysis["text/html"]
    spec = figure["application/vnd.vegalite.v6+json"]
    assert [row["name"] for row in spec["data"]["values"]] == ["plain", "polite"]


def _shown(cell: Any) -> Any:
    (shown,) = (each for each in cell.outputs if each.output_type == "execute_result")
    return shown.data
