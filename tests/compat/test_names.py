from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import penstock as ps
from penstock import compat
from penstock.store.lock import hold_directory

ANALYSIS = "design_research_analysis"
THEIRS = """
AgentArchitectureComparisonConfig AnalysisPlan BenchmarkBundle BivariateComparisonConfig Block
ComparisonStudyConfig Condition ConditionRunner Constraint DesignKind DesignSpec
DiversityAndExplorationConfig Factor FactorKind GrammarScaffoldConfig HumanVsAgentProcessConfig
Hypothesis Level OptimizationBenchmarkConfig OutcomeSpec ProblemPacket PromptFramingConfig
RecipeStudyConfig RunBudget RunOutput RunResult RunSpec SeedPolicy StrategyComparisonConfig Study
UnivariateComparisonConfig __version__ agent_result build_agent_architecture_comparison_study
build_bivariate_comparison_study build_design build_diversity_and_exploration_study
build_grammar_scaffold_study build_human_vs_agent_process_study build_optimization_benchmark_study
build_prompt_framing_study build_strategy_comparison_study build_univariate_comparison_study
export_analysis_tables generate_doe grammar_problem_bundle human_vs_agent_bundle ideation_bundle
materialize_conditions optimization_bundle render_codebook render_markdown_summary
render_methods_scaffold render_significance_brief resolve_problem resume_study run_study
validate_study write_markdown_report
"""
NAMES = THEIRS.split()

TONE = ps.Factor(name="tone", levels=["warm", "cold"])
COHORT = ps.Block(name="cohort", levels=["novice", "expert"])
NO_COLD = ps.Constraint(constraint_id="c", description="no cold", expression="tone != 'cold'")


def study(**fields: Any) -> ps.Study:
    given = {"study_id": "moved", "title": "t", "factors": (TONE,), "problem_ids": ("p",)}
    return ps.Study(**{**given, "agent_specs": ("a",), **fields})


async def answer(ctx: ps.RunContext) -> dict[str, Any]:
    return compat.agent_result("42", metrics={"primary_outcome": 1.0, "cost_usd": 0.5})


@pytest.fixture
def ran(tmp_path: Path) -> ps.Study:
    made = study(output_dir=tmp_path / "out")
    ps.run_study(made, agent_bindings={"a": answer})
    return made


@pytest.mark.parametrize("name", NAMES)
def test_every_name_is_there(name: str) -> None:
    assert hasattr(compat, name)
    assert name in compat.__all__


def test_names_are_sorted_and_all_there() -> None:
    assert compat.__all__ == sorted(compat.__all__)
    assert all(hasattr(compat, name) for name in compat.__all__)


def test_a_name_that_penstock_has_is_penstock_s_own() -> None:
    for name in set(NAMES) & set(ps.__all__):
        assert getattr(compat, name) is getattr(ps, name)

    assert compat.ProblemPacket is ps.Problem
    assert compat.OutcomeSpec is ps.Outcome


def test_a_result_is_built_with_the_parts_that_agents_gave() -> None:
    full = compat.agent_result(
        {"x": 1},
        metrics={"m": 2},
        events=[{"event_type": "step"}],
        metadata={"model_name": "small"},
        trace_refs=["trace.json"],
    )
    assert full == {
        "output": {"x": 1},
        "metrics": {"m": 2},
        "events": [{"event_type": "step"}],
        "metadata": {"model_name": "small"},
        "trace_refs": ["trace.json"],
    }
    assert compat.agent_result()["output"] == {}
    assert compat.agent_result("yes")["output"] == {"text": "yes"}


def test_results_are_read_under_the_names_they_had(ran: ps.Study) -> None:
    result = compat.run_study(ran, agent_bindings={"a": answer}, resume=True)[0]
    assert (result.cost, result.latency) == (0.5, result.latency_s)
    assert result.provenance_info == {"problem_family": "unknown"}
    assert result.evaluator_outputs == []
    scored = ps.RunResult.model_validate(
        {**result.model_dump(), "evaluations": [{"run_id": result.run_id, "metric_value": 3}]}
    )
    assert scored.evaluator_outputs[0]["metric_value"] == 3


def test_a_problem_is_found_by_itself_by_a_mapping_and_by_name() -> None:
    problem = ps.Problem(problem_id="p", brief="one")
    assert compat.resolve_problem(problem) is problem
    assert compat.resolve_problem("p", registry={"p": problem}) is problem
    assert compat.resolve_problem({"brief": "two"}).problem_id == "problem"
    assert compat.resolve_problem({"problem_id": "q"}).problem_id == "q"
    with pytest.raises(ps.BindingError, match="no problem is named 'q'"):
        compat.resolve_problem("q", registry={"p": problem})

    with pytest.raises(ps.BindingError, match="pass a Problem"):
        compat.resolve_problem(7)


def test_conditions_are_made_of_factors_blocks_and_constraints() -> None:
    made = compat.materialize_conditions([TONE], [COHORT], [NO_COLD])
    assert [condition.admissible for condition in made] == [True, True, False, False]
    assert made == ps.build_design(study(blocks=(COHORT,), constraints=(NO_COLD,)))
    assert made == compat.materialize_conditions(study(blocks=(COHORT,), constraints=(NO_COLD,)))


def test_conditions_are_ordered_as_asked() -> None:
    levels = ps.Factor(name="x", levels=list(range(8)))
    plain = compat.materialize_conditions([levels])
    shuffled = compat.materialize_conditions([levels], randomize=True, seed=3)
    policy = ps.SeedPolicy(base_seed=3)
    assert shuffled == compat.materialize_conditions(
        study(factors=(levels,), seed_policy=policy), randomize=True
    )
    assert shuffled != plain
    assert [each["x"] for each in compat.materialize_conditions([levels], counterbalance=True)] == [
        0, 2, 4, 6, 7, 5, 3, 1,
    ]  # fmt: skip


def test_tables_are_written_again_and_listed(ran: ps.Study) -> None:
    assert ran.output_dir is not None
    (ran.output_dir / "runs.csv").unlink()
    files = compat.export_analysis_tables(ran, conditions=[], run_results=[], include_sqlite=True)
    assert {"study.yaml", "manifest.json", "runs.csv", "events.csv"} <= files.keys()
    assert files["runs.csv"] == ran.output_dir / "runs.csv"
    assert files["runs.csv"].read_text().count("moved") == 2
    with (
        hold_directory(ran.output_dir),
        pytest.raises(ps.DirectoryInUseError, match="is in use"),
    ):
        compat.export_analysis_tables(ran)

    with pytest.raises(ps.StoreError, match="holds no study"):
        compat.export_analysis_tables(ran, output_dir=ran.output_dir / "nowhere")


def integration(monkeypatch: pytest.MonkeyPatch, **verdict: Any) -> list[Path]:
    """Put a fake of the package that analyses in place; give what it is asked about."""
    asked: list[Path] = []

    def validate(folder: Path) -> SimpleNamespace:
        asked.append(folder)
        return SimpleNamespace(**verdict)

    module = ModuleType(f"{ANALYSIS}.integration")
    vars(module)["validate_experiment_events"] = validate
    monkeypatch.setitem(sys.modules, ANALYSIS, ModuleType(ANALYSIS))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return asked


def test_the_package_that_analyses_may_check_the_tables(
    ran: ps.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = integration(monkeypatch, is_valid=True)
    compat.export_analysis_tables(ran, validate_with_analysis_package=True)
    assert asked == [Path(str(ran.output_dir)) / "analysis"]

    integration(monkeypatch, is_valid=False, errors=["no rows"])
    with pytest.raises(ps.ValidationError, match="no rows"):
        compat.export_analysis_tables(ran, validate_with_analysis_package=True)


def test_where_it_is_not_installed_that_is_said(
    ran: ps.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, ANALYSIS, None)
    monkeypatch.setitem(sys.modules, f"{ANALYSIS}.integration", None)
    with pytest.raises(ps.ValidationError, match="needs design-research-analysis, which cannot"):
        compat.export_analysis_tables(ran, validate_with_analysis_package=True)
