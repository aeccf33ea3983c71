"""Names that a study leaves open are found in what is installed, and only those."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import penstock as ps
from penstock.errors import BindingError
from penstock.study.resolvers import find_agent, find_problem, where_else
from tests.packages import install_package

MODULE = "a_lab_s_package"
SOURCE = """
    import penstock as ps

    SUM = ps.Problem(problem_id="lab-sum", brief="17 + 25")


    async def lab_agent(ctx):
        return f"{ctx.problem.brief} = 42"


    def lab_product():
        return ps.Problem(problem_id="lab-product", brief="6 * 7")


    def find(kind, name):
        if kind == "problem" and name.startswith("many/"):
            return ps.Problem(problem_id=name, brief=name)


    def where_else(kind):
        return "a lab has many problems" if kind == "problem" else ""
"""


@pytest.fixture(autouse=True)
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(tmp_path / "packages")
    install_package(
        tmp_path / "packages",
        "lab",
        entry_points={
            "penstock.agents": {"lab-agent": f"{MODULE}:lab_agent"},
            "penstock.problems": {
                "lab-sum": f"{MODULE}:SUM",
                "lab-product": f"{MODULE}:lab_product",
                "lab-wrong": "os:sep",
            },
            "penstock.resolvers": {"lab": MODULE},
        },
        modules={MODULE: SOURCE},
    )
    yield
    sys.modules.pop(MODULE, None)


def study(**fields: Any) -> ps.Study:
    named = {"agent_specs": ("lab-agent",), "problem_ids": ("lab-sum", "lab-product", "many/1")}
    return ps.Study(study_id="lab", title="t", **{**named, **fields})


def test_a_study_runs_agents_and_problems_that_packages_register(tmp_path: Path) -> None:
    results = ps.run_study(study(), output_dir=tmp_path / "out")

    answers = {result.spec.problem_id: result.outputs["text"] for result in results}
    assert answers == {
        "lab-sum": "17 + 25 = 42",
        "lab-product": "6 * 7 = 42",
        "many/1": "many/1 = 42",
    }


def test_what_a_study_declares_itself_is_not_looked_up(tmp_path: Path) -> None:
    async def own(ctx: ps.RunContext) -> str:
        return "own"

    declared = study(problem_ids=("lab-sum",), problems=(ps.Problem(problem_id="lab-sum"),))
    results = ps.run_study(declared, agent_bindings={"lab-agent": own}, output_dir=tmp_path / "out")

    assert results[0].outputs["text"] == "own"
    assert MODULE not in sys.modules, "the package was not imported"


def test_a_name_that_nobody_knows_is_told_with_what_there_is() -> None:
    with pytest.raises(ps.ValidationError) as refused:
        ps.run_study(study(agent_specs=("nobody",)), problem_registry={"other": {}}, dry_run=True)

    assert "installed packages register the agents lab-agent" in str(refused.value)


def test_what_is_registered_as_a_problem_and_is_none_is_refused() -> None:
    with pytest.raises(BindingError, match="'lab-wrong' is registered by an installed package"):
        find_problem("lab-wrong")


def test_names_are_found_by_kind() -> None:
    assert find_agent("lab-sum") is None
    assert find_agent("many/1") is None
    assert find_problem("few/1") is None
    assert "a lab has many problems" in where_else("problem", "few/1")
    assert "a lab has many problems" not in where_else("agent", "few/1")


def test_where_nothing_is_installed_the_error_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [])
    assert where_else("agent", "x") == "no installed package registers agent 'x'"
