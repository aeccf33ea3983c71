"""Building the studies of recipes from their data."""

from __future__ import annotations

import re
from typing import Any

from penstock.compat.recipes.bundles import BenchmarkBundle, benchmark_bundle, read_data
from penstock.compat.recipes.config import ComparisonStudyConfig, RecipeStudyConfig
from penstock.compat.subclasses import Factor, Level, Study
from penstock.planning.plan import AGENT_FACTORS, PROBLEM_FACTORS

__all__ = ["build_comparison", "build_strategy_comparison", "build_study"]


def build_study(recipe: str, config: RecipeStudyConfig | None) -> Study:
    """Build the study of a recipe, with what a config puts in place of its own."""
    declared = read_data("common") | read_data(recipe)
    if bundle := declared.pop("bundle", None):
        declared |= _named_by(benchmark_bundle(bundle))

    return Study(**declared | (config or RecipeStudyConfig()).sections())


def build_comparison(recipe: str, config: ComparisonStudyConfig | None) -> Study:
    """Build a comparison: one agent, the first of the bundle, under each level of its factors."""
    declared = read_data("common") | read_data(recipe)
    bundle = _bundle(declared.pop("bundle"), config)
    factors = tuple(Factor(**factor) for factor in declared.pop("factors"))
    named = _named_by(bundle) | {"agent_specs": bundle.agent_specs[:1]}
    return _compared(declared | named, factors, config)


def build_strategy_comparison(recipe: str, config: ComparisonStudyConfig | None) -> Study:
    """Build a comparison of the agents of a bundle, which are the levels of its factor."""
    declared = read_data("common") | read_data(recipe)
    bundle = _bundle(declared.pop("bundle"), config)
    return _compared(declared | _named_by(bundle), (_strategies(bundle),), config)


def _compared(
    declared: dict[str, Any], own: tuple[Factor, ...], config: ComparisonStudyConfig | None
) -> Study:
    config = config or ComparisonStudyConfig()
    factors = _factors(own, config)
    names = {factor.name for factor in factors}
    (hypothesis,) = declared["hypotheses"]
    hypothesis["independent_vars"] = [factor.name for factor in factors]
    given = config.model_copy(update={"bundle": None}).sections()
    study = declared | given | {"factors": factors}
    # A factor that says which agent or problem takes part would be multiplied by all of them.
    if names & {*AGENT_FACTORS}:
        study["agent_specs"] = ()

    if names & {*PROBLEM_FACTORS}:
        study["problem_ids"] = ()

    return Study(**study)


def _factors(own: tuple[Factor, ...], config: ComparisonStudyConfig) -> tuple[Factor, ...]:
    if config.factors is not None:
        return config.factors

    first, *others = own
    if config.secondary_factor is not None:
        others = [config.secondary_factor, *others[1:]]

    return (config.comparison_factor or first, *others)


def _bundle(own: str, config: ComparisonStudyConfig | None) -> BenchmarkBundle:
    given = None if config is None else config.bundle
    return given or benchmark_bundle(own)


def _named_by(bundle: BenchmarkBundle) -> dict[str, Any]:
    return {"problem_ids": bundle.problem_ids, "agent_specs": bundle.agent_specs}


def _strategies(bundle: BenchmarkBundle) -> Factor:
    """Make the agents of a bundle levels, the first baseline or random one the baseline."""
    agents = bundle.agent_specs
    baseline = next(
        (name for name in agents if re.search("baseline|random", name, re.I)), agents[0]
    )
    return Factor(
        name="agent_id",
        description="Agent strategy or runtime binding under comparison.",
        metadata={"comparison_axis": True},
        levels=tuple(
            Level(
                name=name,
                value=agent,
                label=re.sub("[-_]", " ", agent).title(),
                metadata={
                    "role": "baseline" if agent == baseline else "treatment",
                    "is_baseline": agent == baseline,
                },
            )
            for name, agent in zip(_level_names(agents), agents, strict=True)
        ),
    )


def _level_names(agents: tuple[str, ...]) -> list[str]:
    """Write agents as plain words; those that come out alike are numbered from the second on."""
    names: list[str] = []
    for index, agent in enumerate(agents):
        word = re.sub("[^a-z0-9]+", "_", agent.lower()).strip("_") or f"level_{index}"
        alike = [word, *(f"{word}_{number}" for number in range(2, len(agents) + 1))]
        names.append(next(name for name in alike if name not in names))

    return names
