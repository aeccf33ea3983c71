"""Studies that many groups run, ready to be changed where yours differs.

Each function builds a `Study`; what a config gives takes the place of the recipe's own::

    config = PromptFramingConfig(study_id="mine", bundle=ideation_bundle())
    study = build_prompt_framing_study(config)

Agents and problems are named, not made: bind them when running the study.
"""

from __future__ import annotations

from penstock.compat.recipes.builders import (
    build_comparison,
    build_strategy_comparison,
    build_study,
)
from penstock.compat.recipes.bundles import (
    BenchmarkBundle,
    grammar_problem_bundle,
    human_vs_agent_bundle,
    ideation_bundle,
    optimization_bundle,
)
from penstock.compat.recipes.config import ComparisonStudyConfig, RecipeStudyConfig
from penstock.compat.subclasses import Study

__all__ = [
    "AgentArchitectureComparisonConfig",
    "BenchmarkBundle",
    "BivariateComparisonConfig",
    "ComparisonStudyConfig",
    "DiversityAndExplorationConfig",
    "GrammarScaffoldConfig",
    "HumanVsAgentProcessConfig",
    "OptimizationBenchmarkConfig",
    "PromptFramingConfig",
    "RecipeStudyConfig",
    "StrategyComparisonConfig",
    "UnivariateComparisonConfig",
    "build_agent_architecture_comparison_study",
    "build_bivariate_comparison_study",
    "build_diversity_and_exploration_study",
    "build_grammar_scaffold_study",
    "build_human_vs_agent_process_study",
    "build_optimization_benchmark_study",
    "build_prompt_framing_study",
    "build_strategy_comparison_study",
    "build_univariate_comparison_study",
    "grammar_problem_bundle",
    "human_vs_agent_bundle",
    "ideation_bundle",
    "optimization_bundle",
]

AgentArchitectureComparisonConfig = RecipeStudyConfig
PromptFramingConfig = RecipeStudyConfig
GrammarScaffoldConfig = RecipeStudyConfig
HumanVsAgentProcessConfig = RecipeStudyConfig
DiversityAndExplorationConfig = RecipeStudyConfig
OptimizationBenchmarkConfig = RecipeStudyConfig
UnivariateComparisonConfig = ComparisonStudyConfig
BivariateComparisonConfig = ComparisonStudyConfig
StrategyComparisonConfig = ComparisonStudyConfig


def build_agent_architecture_comparison_study(config: RecipeStudyConfig | None = None) -> Study:
    """Compare architectures of agents under prompts of three difficulties."""
    return build_study("agent_architecture_comparison", config)


def build_prompt_framing_study(config: RecipeStudyConfig | None = None) -> Study:
    """Compare framings of a prompt in ideation, in two domains."""
    return build_study("prompt_framing", config)


def build_grammar_scaffold_study(config: RecipeStudyConfig | None = None) -> Study:
    """Compare free generation with one that a grammar or a tool guides."""
    return build_study("grammar_scaffold", config)


def build_human_vs_agent_process_study(config: RecipeStudyConfig | None = None) -> Study:
    """Compare humans alone, humans with an assistant, and hybrid teams, as repeated measures."""
    return build_study("human_vs_agent_process", config)


def build_diversity_and_exploration_study(config: RecipeStudyConfig | None = None) -> Study:
    """Compare strategies of exploration in three families of benchmarks."""
    return build_study("diversity_and_exploration", config)


def build_optimization_benchmark_study(config: RecipeStudyConfig | None = None) -> Study:
    """Compare learning strategies and tuning regimes in optimization problems of three sizes."""
    return build_study("optimization_benchmark", config)


def build_univariate_comparison_study(config: ComparisonStudyConfig | None = None) -> Study:
    """Compare the levels of one factor with its baseline."""
    return build_comparison("univariate_comparison", config)


def build_bivariate_comparison_study(config: ComparisonStudyConfig | None = None) -> Study:
    """Compare the levels of two factors with their baselines, and how they interact."""
    return build_comparison("bivariate_comparison", config)


def build_strategy_comparison_study(config: ComparisonStudyConfig | None = None) -> Study:
    """Compare the agents of a bundle, with the baseline among them."""
    return build_strategy_comparison("strategy_comparison", config)
