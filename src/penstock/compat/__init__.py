"""The names that the runner before this one had, for scripts that move over (floor 7).

``from penstock.compat import ...`` gives every one of them, whichever of its modules it stood in.
Most are penstock's own; those that penstock calls otherwise, or that did what it does elsewhere,
are made here. The page "Moving over" tells what differs. No other room imports this one.
"""

import sys

import lazy_loader

# The names stand in __init__.pyi. The command line and the resolver of the sibling packages, which
# are found through entry points, import this room too, and need none of them.
__getattr__, __dir__, _ = lazy_loader.attach_stub(__name__, __file__)

__all__ = [
    "AgentArchitectureComparisonConfig",
    "AnalysisPlan",
    "BenchmarkBundle",
    "BivariateComparisonConfig",
    "Block",
    "ComparisonStudyConfig",
    "Condition",
    "ConditionRunner",
    "Constraint",
    "DesignKind",
    "DesignSpec",
    "DiversityAndExplorationConfig",
    "Factor",
    "FactorKind",
    "GrammarScaffoldConfig",
    "HumanVsAgentProcessConfig",
    "Hypothesis",
    "Level",
    "OptimizationBenchmarkConfig",
    "OutcomeSpec",
    "ProblemPacket",
    "PromptFramingConfig",
    "RecipeStudyConfig",
    "RunBudget",
    "RunOutput",
    "RunResult",
    "RunSpec",
    "SeedPolicy",
    "StrategyComparisonConfig",
    "Study",
    "UnivariateComparisonConfig",
    "__version__",
    "agent_result",
    "build_agent_architecture_comparison_study",
    "build_bivariate_comparison_study",
    "build_design",
    "build_diversity_and_exploration_study",
    "build_grammar_scaffold_study",
    "build_human_vs_agent_process_study",
    "build_optimization_benchmark_study",
    "build_prompt_framing_study",
    "build_strategy_comparison_study",
    "build_univariate_comparison_study",
    "export_analysis_tables",
    "generate_doe",
    "grammar_problem_bundle",
    "human_vs_agent_bundle",
    "ideation_bundle",
    "materialize_conditions",
    "optimization_bundle",
    "render_codebook",
    "render_markdown_summary",
    "render_methods_scaffold",
    "render_significance_brief",
    "resolve_problem",
    "resume_study",
    "run_study",
    "validate_study",
    "write_markdown_report",
]

# A script may name the module that a name stood in: each of them is this one.
for _module in (
    *("artifacts", "bundles", "cli", "conditions", "designs", "hypotheses", "metrics", "reporting"),
    *("runners", "schemas", "study", "adapters", "io"),
    *("agents", "analysis", "problems", "csv_io", "json_io", "sqlite_io", "yaml_io"),
):
    sys.modules[f"{__name__}.{_module}"] = sys.modules[__name__]
