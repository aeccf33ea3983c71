"""Penstock's own names that the older runner has too, and a function that only it had."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

from penstock import designs
from penstock.agents.condition_runner import ConditionRunner, RunOutput
from penstock.designs import design_balance_report
from penstock.designs.fractions import fractional_factorial_2level
from penstock.designs.space import latin_hypercube
from penstock.errors import ValidationError
from penstock.export.bundle import bundle_results
from penstock.planning.validation import validate_study
from penstock.results import ObservationLevel, RunStatus
from penstock.study import conditions, model, policies
from penstock.study.factors import ConstraintSeverity, FactorKind
from penstock.study.hypotheses import HypothesisDirection, HypothesisKind
from penstock.study.identity import hash_identifier, stable_json_dumps
from penstock.study.policies import DesignKind

__all__ = [
    "ConditionRunner",
    "ConstraintSeverity",
    "DesignKind",
    "FactorKind",
    "HypothesisDirection",
    "HypothesisKind",
    "ObservationLevel",
    "RunOutput",
    "RunStatus",
    "ValidationError",
    "__version__",
    "build_design",
    "bundle_results",
    "design_balance_report",
    "fractional_factorial_2level",
    "hash_identifier",
    "latin_hypercube",
    "materialize_conditions",
    "stable_json_dumps",
    "validate_study",
]

__version__ = version("penstock")


def build_design(
    study: model.Study, design_spec: policies.DesignSpec | Mapping[str, Any] | None = None
) -> list[conditions.Condition]:
    """Make the conditions of a study: `penstock.build_design`, with a mapping for another design.

    Raises:
        ValidationError: the design cannot be built.
    """
    spec = policies.DesignSpec(**design_spec) if isinstance(design_spec, Mapping) else design_spec
    return designs.build_design(study, spec)


def materialize_conditions(
    factors: model.Study | Sequence[Any],
    blocks: Sequence[Any] | None = None,
    constraints: Sequence[Any] | None = None,
    *,
    seed: int | None = None,
    randomize: bool = False,
    counterbalance: bool = False,
) -> list[conditions.Condition]:
    """Combine all levels of factors and blocks, inadmissible combinations included.

    Args:
        factors: The factors, or a study, whose blocks, constraints and seed are meant where none
            are given.
        blocks: What every combination is crossed with.
        constraints: Which combinations are inadmissible.
        seed: Of a random order.
        randomize: Shuffle the conditions.
        counterbalance: Interleave the conditions with their reverse.

    Raises:
        ValidationError: the design cannot be built.
    """
    study = factors if isinstance(factors, model.Study) else None
    seed_policy = policies.SeedPolicy() if study is None else study.seed_policy
    crossed = model.Study(
        study_id="conditions",
        title="conditions",
        factors=tuple(factors) if study is None else study.factors,
        blocks=tuple(blocks or ()) if study is None or blocks else study.blocks,
        constraints=tuple(constraints or ()) if study is None or constraints else study.constraints,
        design_spec=policies.DesignSpec(randomize=randomize, counterbalance=counterbalance),
        seed_policy=seed_policy if seed is None else policies.SeedPolicy(base_seed=seed),
        base_dir=None if study is None else study.base_dir,
    )
    return designs.build_design(crossed)
