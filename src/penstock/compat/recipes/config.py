"""What may be said in place of a recipe's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator

from penstock._base.fact import Declaration, JsonMapping, Name, Text
from penstock.compat.recipes.bundles import BenchmarkBundle
from penstock.compat.subclasses import Factor, as_older
from penstock.study.factors import Block, Constraint
from penstock.study.hypotheses import AnalysisPlan, Hypothesis, Outcome
from penstock.study.policies import DesignSpec, RunBudget, SeedPolicy

__all__ = ["ComparisonStudyConfig", "RecipeStudyConfig"]


_Factor = Annotated[Factor, BeforeValidator(as_older(Factor))]


class RecipeStudyConfig(Declaration):
    """What to put in place of a recipe's own; a field that is given replaces the whole section.

    Args:
        bundle: Gives the problems and agents, where ``problem_ids`` and ``agent_specs`` do not.
    """

    study_id: Name | None = None
    title: Name | None = None
    description: Text | None = None
    authors: tuple[Text, ...] | None = None
    rationale: Text | None = None
    tags: tuple[Text, ...] | None = None
    hypotheses: tuple[Hypothesis, ...] | None = None
    factors: tuple[_Factor, ...] | None = None
    blocks: tuple[Block, ...] | None = None
    constraints: tuple[Constraint, ...] | None = None
    design_spec: DesignSpec | None = None
    outcomes: tuple[Outcome, ...] | None = None
    analysis_plans: tuple[AnalysisPlan, ...] | None = None
    run_budget: RunBudget | None = None
    seed_policy: SeedPolicy | None = None
    output_dir: Path | None = None
    provenance_metadata: JsonMapping | None = None
    notes: Text | None = None
    problem_ids: tuple[Text, ...] | None = None
    agent_specs: tuple[Text, ...] | None = None
    bundle: BenchmarkBundle | None = None

    def sections(self) -> dict[str, Any]:
        """Return the sections of a study that are replaced."""
        bundled: dict[str, Any] = {}
        if self.bundle is not None:
            bundled["problem_ids"] = self.bundle.problem_ids
            bundled["agent_specs"] = self.bundle.agent_specs

        given = {name: getattr(self, name) for name in _SECTIONS}
        return bundled | {name: value for name, value in given.items() if value is not None}


_SECTIONS = [name for name in RecipeStudyConfig.model_fields if name != "bundle"]


class ComparisonStudyConfig(RecipeStudyConfig):
    """What to put in place of a comparison's own.

    Args:
        comparison_factor: Takes the place of the first factor.
        secondary_factor: Takes the place of the second factor, or is added as one.
    """

    comparison_factor: _Factor | None = None
    secondary_factor: _Factor | None = None
