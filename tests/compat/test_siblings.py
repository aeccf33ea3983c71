from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from types import SimpleNamespace
from typing import Any

import pytest

import penstock as ps
from penstock._base.entry_points import entry_point_names
from penstock.agents.answers import as_agent_result
from penstock.compat.siblings import find
from penstock.study.policies import RunBudget
from tests.artifacts import assert_same_artifacts

AGENTS = "design_research_agents"
PROBLEMS = "design_research_problems"

FAKES = {
    f"{AGENTS}/__init__.py": """
        __all__ = ["Guesser", "Needy", "VERSION", "Broken"]
        VERSION = "1"


        class Guesser:
            def __init__(self):
                self.runs = 0

            def run(self, prompt, *, request_id=None, dependencies=None):
                self.runs += 1
                answer = {"candidate": {"x": dependencies["seed"]}, "runs": self.runs}
                return {**answer, "prompt": str(prompt), "request_id": request_id}


        class Needy:
            def __init__(self, llm_client):
                pass

            def run(self, prompt):
                pass


        class Private(Guesser):
            pass


        def __getattr__(name):
            raise ImportError("install the extra") if name == "Broken" else AttributeError(name)
    """,
    f"{PROBLEMS}/__init__.py": "",
    f"{PROBLEMS}/integration.py": """
        from types import SimpleNamespace


        class Native:
            def __str__(self):
                return "a native problem"


        def resolve_problem_binding(name):
            if name == "needs_extra":
                raise ImportError("install the extra")
            if name == "corrupt":
                raise KeyError("metadata")
            if name != "packaged":
                raise KeyError(f"Unknown problem id: {name}")
            return SimpleNamespace(
                problem_id=name,
                family="decision",
                brief="decide",
                metadata={"title": "Packaged"},
                problem_object=Native(),
            )


        def evaluate_problem_output(binding, outputs):
            assert str(binding.problem_object) == "a native problem"
            return [{"metric_name": "profit", "metric_value": outputs["candidate"]["x"]}]
    """,
}


def study(study_id: str = "siblings", **fields: Any) -> ps.Study:
    return ps.Study(
        study_id=study_id,
        title="A study of packaged things",
        run_budget=RunBudget(replicates=3),
        **{"problem_ids": ("packaged",), "agent_specs": ("Guesser",), **fields},
    )


def answer(ctx: ps.RunContext) -> dict[str, Any]:
    return {"brief": ctx.problem.brief, "candidate": {"x": ctx.seed}}


@pytest.fixture
def absent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither package is there, whatever is installed."""
    for package in (AGENTS, PROBLEMS):
        monkeypatch.setitem(sys.modules, package, None)


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """Install small packages with the names of the siblings, whatever is installed."""
    for name, source in FAKES.items():
        path = tmp_path / "packages" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(source), encoding="utf-8")

    for module in siblings_imported():
        monkeypatch.delitem(sys.modules, module)

    monkeypatch.syspath_prepend(tmp_path / "packages")
    yield tmp_path / "packages"
    for module in siblings_imported():
        del sys.modules[module]


def siblings_imported() -> list[str]:
    return [name for name in sys.modules if name.partition(".")[0] in (AGENTS, PROBLEMS)]


def test_they_are_registered_as_this_project_says() -> None:
    assert "design-research" in entry_point_names("penstock.resolvers"), (
        "the installed package is older than pyproject.toml: pip install --no-deps -e ."
    )


def errors_of(made: ps.Study, **options: Any) -> str:
    with pytest.raises(ps.ValidationError) as caught:
        ps.run_study(made, dry_run=True, **options)

    return str(caught.value)


@pytest.mark.usefixtures("installed")
def test_undeclared_names_stand_for_packaged_agents_and_problems(tmp_path: Path) -> None:
    results = ps.run_study(study(), output_dir=tmp_path / "out")

    assert [result.status for result in results] == ["success"] * 3
    for result in results:
        assert result.outputs["prompt"] == "a native problem"
        assert result.outputs["request_id"] == result.run_id
        assert result.outputs["runs"] == 1, "each run gets an instance of its own"
        assert [row.metric_name for row in result.evaluations] == ["profit"]
        assert result.primary_outcome == result.spec.seed
        assert result.provenance["problem_family"] == "decision"


@pytest.mark.usefixtures("installed")
def test_a_packaged_problem_carries_its_object_and_its_bindings(tmp_path: Path) -> None:
    seen = []

    def look(problem: Any, problem_packet: ps.Problem, brief: str) -> dict[str, Any]:
        seen.append((problem, problem_packet))
        return {"candidate": {"x": 1}, "brief": brief}

    packaged = study(agent_specs=("look",))
    ps.run_study(packaged, agent_bindings={"look": look}, output_dir=tmp_path / "out")

    problem, packet = seen[0]
    integration = sys.modules[f"{PROBLEMS}.integration"]
    assert isinstance(problem, integration.Native)
    assert packet.payload["problem_object"] is problem
    assert packet.payload["_owner_problem_binding"].problem_object is problem
    assert packet.payload["_owner_problem_integration"] is integration
    assert (packet.brief, packet.metadata) == ("decide", {"title": "Packaged"})


@pytest.mark.usefixtures("installed")
def test_what_a_study_declares_comes_before_what_is_packaged(tmp_path: Path) -> None:
    declared = ps.Problem(problem_id="packaged", brief="our own")
    results = ps.run_study(
        study(),
        agent_bindings={"Guesser": answer},
        problem_registry={"packaged": declared},
        output_dir=tmp_path / "out",
    )

    assert {result.outputs["brief"] for result in results} == {"our own"}
    assert siblings_imported() == [], "nothing was looked up"


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("Nobody", f"{AGENTS} is installed and has no agent of that name either"),
        ("Private", f"{AGENTS} is installed and has no agent of that name either"),
        ("VERSION", f"{AGENTS} is installed and has no agent of that name either"),
        ("Needy", "the class Needy, which needs llm_client; bind an instance"),
        ("Broken", "ImportError: install the extra; mend its installation"),
    ],
)
@pytest.mark.usefixtures("installed")
def test_a_name_that_is_no_packaged_agent_is_refused(name: str, error: str) -> None:
    assert error in errors_of(study(agent_specs=(name,)))


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("nothing", f"{PROBLEMS} is installed and has no problem of that name either"),
        ("needs_extra", f"{PROBLEMS}, which failed with ImportError: install the extra; mend"),
        ("corrupt", f"{PROBLEMS}, which failed with KeyError: 'metadata'; mend"),
    ],
)
@pytest.mark.usefixtures("installed")
def test_a_name_that_is_no_packaged_problem_is_refused(name: str, error: str) -> None:
    known = {"other": ps.Problem(problem_id="other")}

    assert error in errors_of(study(problem_ids=(name,)), problem_registry=known)


@pytest.mark.usefixtures("absent")
def test_where_nothing_is_installed_the_error_says_what_to_install() -> None:
    errors = errors_of(study(), problem_registry={"other": ps.Problem(problem_id="other")})

    assert "no agent is named 'Guesser'" in errors
    assert "if it is one of the packaged agents, install design-research-agents" in errors
    assert "no problem is named 'packaged'" in errors
    assert "if it is one of the packaged problems, install design-research-problems" in errors


def test_a_package_that_cannot_be_imported_is_named_with_its_reason(installed: Path) -> None:
    (installed / AGENTS / "__init__.py").write_text("import nowhere_to_be_found", encoding="utf-8")

    assert "No module named 'nowhere_to_be_found'; mend" in errors_of(study())


def test_a_problem_of_the_wrong_shape_is_not_looked_up() -> None:
    errors = errors_of(study(agent_specs=("a",)), problem_registry={"packaged": 3})

    assert "problem 'packaged' is 3; pass a Problem, or a mapping" in errors


def test_a_study_of_its_own_runs_the_same_whether_siblings_are_installed_or_not(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    def reports(ctx: ps.RunContext) -> dict[str, Any]:
        ctx.observe("tool_call", "looked", source="memory")
        return {"text": f"{ctx.problem.problem_id} {ctx.rng.integers(10)}"}

    own = study(agent_specs=("a",), problem_ids=("mine",))
    request.getfixturevalue("absent")
    ps.run_study(own, agent_bindings={"a": reports}, output_dir=tmp_path / "absent")
    request.getfixturevalue("installed")
    ps.run_study(own, agent_bindings={"a": reports}, output_dir=tmp_path / "installed")

    assert_same_artifacts(tmp_path / "absent", tmp_path / "installed")


def workflow_result(*, success: bool, **steps: Any) -> SimpleNamespace:
    """Make what a workflow of the agents package returns: it says most things of its steps."""
    return SimpleNamespace(
        success=success, output={"final_output": {}}, metadata={}, step_results=steps
    )


def step(model: str, tokens: int) -> SimpleNamespace:
    usage = SimpleNamespace(prompt_tokens=tokens, completion_tokens=2 * tokens)
    response = SimpleNamespace(model=model, provider="local", usage=usage)
    return SimpleNamespace(output={"model_response": response}, error=None)


def test_a_workflow_s_tokens_are_those_of_its_steps_and_its_model_the_last() -> None:
    result = as_agent_result(
        workflow_result(success=True, plan=step("small", 10), write=step("large", 1), log=None)
    )

    assert result.metrics == {"input_tokens": 11, "output_tokens": 22}
    assert result.metadata == {"model_name": "large", "model_provider": "local"}


def test_a_workflow_fails_with_what_went_wrong_in_its_steps() -> None:
    broken = SimpleNamespace(output={}, error="503 provider down")
    result = as_agent_result(workflow_result(success=False, plan=step("small", 10), write=broken))

    assert (result.success, result.error) == (False, "write: 503 provider down")
    assert result.metrics["input_tokens"] == 10, "what the first step cost is kept"


def test_a_package_of_an_older_release_is_said_to_be_too_old(installed: Path) -> None:
    (installed / PROBLEMS / "integration.py").unlink()
    with pytest.raises(ps.errors.BindingError, match="does not expose the package-owned") as e:
        find("problem", "any")

    assert "pip install --upgrade design-research-problems" in str(e.value)
