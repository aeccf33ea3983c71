from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

import penstock as ps
from penstock import compat
from penstock.errors import BindingError

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


def test_a_class_that_penstock_has_is_penstock_s_own_with_more_members() -> None:
    classes = {name for name in set(NAMES) & set(ps.__all__) if name[0].isupper()}
    pairs = {name: name for name in classes - {"ConditionRunner"}}
    for name, own in {**pairs, "ProblemPacket": "Problem", "OutcomeSpec": "Outcome"}.items():
        assert issubclass(getattr(compat, name), getattr(ps, own))


def test_a_module_that_a_name_stood_in_may_be_named() -> None:
    for module in ("study", "conditions", "runners", "schemas", "artifacts", "adapters.problems"):
        last = module.rpartition(".")[2]
        assert importlib.import_module(f"penstock.compat.{last}") is compat

    assert "main" not in vars(compat), "names are imported when they are used"


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
    result: Any = compat.run_study(ran, agent_bindings={"a": answer}, resume=True)[0]
    assert (result.cost, result.latency) == (0.5, result.latency_s)
    assert result.provenance_info == {
        "agent_id": "a",
        "problem_id": "p",
        "problem_family": "unknown",
    }
    assert (result.run_spec, result.error_info, result.artifact_refs) == (result.spec, None, [])
    assert result.evaluator_outputs == []
    scored = compat.RunResult.model_validate(
        {**result.model_dump(), "evaluations": [{"run_id": result.run_id, "metric_value": 3}]}
    )
    assert scored.evaluator_outputs[0]["metric_value"] == 3


def test_a_problem_is_found_by_itself_by_a_mapping_and_by_name() -> None:
    problem = ps.Problem(problem_id="p", brief="one")
    assert compat.resolve_problem(problem) is problem
    assert compat.resolve_problem("p", registry={"p": problem}) is problem
    assert compat.resolve_problem({"brief": "two"}).problem_id == "problem"
    assert compat.resolve_problem({"problem_id": "q"}).problem_id == "q"
    with pytest.raises(BindingError, match="no problem is named 'q'"):
        compat.resolve_problem("q", registry={"p": problem})

    with pytest.raises(BindingError, match="pass a Problem"):
        compat.resolve_problem(7)


@pytest.mark.field("studies-P8")
def test_a_name_that_stands_for_no_problem_is_not_made_up() -> None:
    for registry in (None, {}, {"p": ps.Problem(problem_id="p")}):
        with pytest.raises(ps.ValidationError, match="no problem is named 'nope'"):
            compat.resolve_problem("nope", registry=registry)


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
