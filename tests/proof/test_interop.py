"""The sibling packages themselves: their agents, their problems, and what reads our directories.

Skipped where they are not installed; they need Python 3.12.
"""

from __future__ import annotations

import csv
import math
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import penstock as ps
from penstock.errors import SkipRun
from penstock.study.policies import RunBudget

AGENTS = "design_research_agents"
PROBLEMS = "design_research_problems"
ANALYSIS = "design_research_analysis.integration"
LAPTOP = "decision_laptop_design_profit_maximization"
JSON_LEVELS = (None, "", True, 1, 2.5, "text", [1, 2], {"key": "value"})


def study(**fields: Any) -> ps.Study:
    return ps.Study(
        study_id="interop",
        title="A study with the sibling packages",
        run_budget=RunBudget(replicates=3),
        **{"problem_ids": ("ours",), "agent_specs": ("a",), **fields},
    )


class Client:
    """A model that answers without a network, or says that its provider is down."""

    def __init__(self, agents: Any, *, is_down: bool = False) -> None:
        self.agents = agents
        self.is_down = is_down

    def default_model(self) -> str:
        return "fake-1"

    def generate(self, request: Any) -> Any:
        if self.is_down:
            raise RuntimeError("503 provider down")

        usage = {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}
        said = request.messages[-1].content
        return self.agents.LLMResponse(text=said, model="fake-1", provider="fake", usage=usage)


def prompt_workflow(agents: Any, client: Client) -> Any:
    def ask(context: Any) -> Any:
        message = agents.LLMMessage(role="user", content=str(context["prompt"]))
        return agents.LLMRequest(messages=[message], model="fake-1")

    step = agents.ModelStep(step_id="ask", llm_client=client, request_builder=ask)
    return agents.PromptWorkflowAgent(
        workflow=agents.Workflow(input_schema=None, steps=[step]),
        prompt_builder=lambda problem, spec, condition: f"{problem.brief} {spec.run_id}",
    )


def direct_call(agents: Any, client: Client) -> Any:
    return agents.DirectLLMCall(llm_client=client)


def run_real(agent: Any, tmp_path: Path, problem: str = "ours") -> ps.StudyResult:
    return ps.run_study(
        study(problem_ids=(problem,)), agent_bindings={"a": agent}, output_dir=tmp_path / "out"
    )


@pytest.mark.parametrize("build", [prompt_workflow, direct_call])
def test_their_agents_answer_and_their_tokens_are_counted(
    build: Callable[[Any, Client], Any], tmp_path: Path
) -> None:
    agents = pytest.importorskip(AGENTS)
    results = run_real(build(agents, Client(agents)), tmp_path)

    assert [result.error_info for result in results] == [None] * 3
    for result in results:
        assert (result.metrics["input_tokens"], result.metrics["output_tokens"]) == (3, 5)
        assert result.provenance["model_name"] == "fake-1"
        assert result.outputs


@pytest.mark.parametrize("build", [prompt_workflow, direct_call])
def test_their_agents_fail_with_what_the_provider_said(
    build: Callable[[Any, Client], Any], tmp_path: Path
) -> None:
    agents = pytest.importorskip(AGENTS)
    results = run_real(build(agents, Client(agents, is_down=True)), tmp_path)

    assert [result.status for result in results] == ["failed"] * 3
    assert all("503 provider down" in str(result.error_info) for result in results)


def test_their_baseline_solves_their_problems_by_name(tmp_path: Path) -> None:
    pytest.importorskip(AGENTS)
    pytest.importorskip(PROBLEMS)
    named = study(
        agent_specs=("SeededRandomBaselineAgent",),
        problem_ids=(LAPTOP, "battery_18650_t1_rectangular_surrogate_opt"),
    )
    one = ps.run_study(named, output_dir=tmp_path / "one")
    other = ps.run_study(named, output_dir=tmp_path / "other", parallelism=6)

    assert [result.error_info for result in one] == [None] * 6
    assert all(result.evaluations and result.primary_outcome is not None for result in one)
    assert [result.outputs for result in one] == [result.outputs for result in other]


def test_their_native_options_are_stored_and_what_cannot_be_names_its_path(
    tmp_path: Path,
) -> None:
    pytest.importorskip(PROBLEMS)

    def decide(ctx: ps.RunContext, problem: Any) -> dict[str, Any]:
        option = next(iter(problem.iter_candidates()))
        held = threading.Lock() if ctx.spec.replicate == 2 else None
        return {"candidate": option, "notes": [{"held": held}]}

    stored, refused, last = run_real(decide, tmp_path, LAPTOP)

    assert stored.outputs["candidate"]["values"].keys() == {"z1", "z2", "z3", "z4", "z5"}
    assert stored.evaluations
    assert refused.error is not None
    assert refused.error.kind == "OutputError"
    assert "output.notes[0].held cannot be stored" in refused.error.message
    assert last.status == "success"


def answer(ctx: ps.RunContext) -> dict[str, Any]:
    return {"answer": float(ctx.rng.random()), "text": "done"}


def answer_mostly(ctx: ps.RunContext) -> dict[str, Any]:
    if ctx.spec.replicate == 3:
        raise RuntimeError("boom")

    return answer(ctx)


def answer_never(ctx: ps.RunContext) -> dict[str, Any]:
    raise RuntimeError("boom")


def answer_or_skip(ctx: ps.RunContext) -> dict[str, Any]:
    if ctx.spec.replicate == 3:
        raise SkipRun("does not apply")

    return answer(ctx)


def answer_without_number(ctx: ps.RunContext) -> dict[str, Any]:
    return {"answer": (0.5, math.nan, math.inf)[ctx.spec.replicate - 1], "text": "done"}


def answer_at_length(ctx: ps.RunContext) -> dict[str, Any]:
    return {"answer": 1.0, "text": "word " * 40_000}


def answer_with_odd_events(ctx: ps.RunContext) -> dict[str, Any]:
    events = [{"event_type": "look", "timestamp": said} for said in ("yesterday", "1722.5", None)]
    return {"output": answer(ctx), "events": events}


def is_large(answer: float) -> bool:
    return answer > 0.5


def run_with_levels(agent: Any, evaluator: Any, tmp_path: Path) -> Path:
    levels = tuple(ps.Level(name=str(i), value=value) for i, value in enumerate(JSON_LEVELS))
    declared = study(factors=(ps.Factor(name="level", description="any JSON", levels=levels),))
    ps.run_study(
        declared,
        agent_bindings={"a": agent},
        problem_registry={"ours": ps.Problem(problem_id="ours", evaluator=evaluator)},
        output_dir=tmp_path / "out",
    )
    return tmp_path / "out"


@pytest.mark.parametrize("evaluator", [float, is_large])
@pytest.mark.parametrize(
    "agent",
    [
        answer,
        answer_mostly,
        answer_or_skip,
        answer_without_number,
        answer_at_length,
        answer_with_odd_events,
    ],
)
def test_their_analysis_reads_what_can_be_analysed(
    agent: Any, evaluator: Any, tmp_path: Path
) -> None:
    analysis = pytest.importorskip(ANALYSIS)
    folder = run_with_levels(agent, evaluator, tmp_path) / "analysis"

    tables = analysis.load_experiment_artifacts(folder)
    rows = analysis.build_condition_metric_table_from_artifacts(
        folder, metric="primary_outcome", condition_column="level"
    )
    compared = analysis.compare_condition_pairs_from_artifacts(
        folder, metric="score", condition_column="level"
    )
    measured = analysis.build_run_metric_table_from_artifacts(
        folder, metrics=["primary_outcome", "score", "latency_s"]
    )

    assert analysis.validate_experiment_events(folder).is_valid
    assert len(analysis.build_event_table_from_artifacts(folder)) >= len(rows)
    assert len({row["condition"] for row in rows}) == len(JSON_LEVELS)
    assert len(rows) == len(measured) == tables["manifest.json"]["run_count"]
    assert len(rows) + tables["manifest.json"]["excluded_count"] == 3 * len(JSON_LEVELS)
    assert compared.comparisons
    analysis.fit_regression_from_artifacts(
        folder, outcome="score", predictors=["level"], categorical_predictors=["level"]
    )


@pytest.mark.parametrize("agent", [answer, answer_mostly])
def test_their_analysis_reads_runs_that_nobody_scored(agent: Any, tmp_path: Path) -> None:
    analysis = pytest.importorskip(ANALYSIS)
    folder = run_with_levels(agent, None, tmp_path) / "analysis"

    assert analysis.validate_experiment_events(folder).is_valid
    assert analysis.build_condition_metric_table_from_artifacts(
        folder, metric="latency_s", condition_column="level"
    )


def test_their_analysis_reads_a_study_whose_every_run_failed(tmp_path: Path) -> None:
    analysis = pytest.importorskip(ANALYSIS)
    folder = run_with_levels(answer_never, float, tmp_path)

    assert analysis.validate_experiment_events(folder).is_valid
    assert len(analysis.build_event_table_from_artifacts(folder)) == 3 * len(JSON_LEVELS)
    assert analysis.load_experiment_artifacts(folder / "analysis")["runs.csv"] == []
    assert analysis.build_event_table_from_artifacts(folder / "analysis") == []
    with pytest.raises(ValueError, match="runs table must contain at least one row"):
        analysis.build_condition_metric_table_from_artifacts(
            folder / "analysis", metric="primary_outcome", condition_column="level"
        )

    with (folder / "analysis" / "excluded.csv").open(newline="", encoding="utf-8") as file:
        assert {row["reason"] for row in csv.DictReader(file)} == {"RuntimeError: boom"}
