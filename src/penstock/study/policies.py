"""How a study is carried out: its design, its budget of runs, its seeds, its order."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field, ValidationInfo, field_validator

from penstock._base.entry_points import entry_point_names
from penstock._base.fact import EMPTY, Declaration, Flag, JsonMapping, Text, Whole
from penstock.study.execution import Concurrency
from penstock.study.references import is_reference

__all__ = [
    "DESIGN_GROUP",
    "KEPT",
    "DesignKind",
    "DesignSpec",
    "RunBudget",
    "RunOrder",
    "SeedPolicy",
    "SeedStrategy",
]

KEPT = "kept"
"""The context in which what was kept with results is read: it was checked when they were made."""

DESIGN_GROUP = "penstock.designs"
"""The group of entry points in which packages register kinds of design."""

_DESIGN_ALIASES = {
    "full": "full_factorial",
    "lhs": "latin_hypercube",
    "frac2": "fractional_factorial_2level",
}


class DesignKind(StrEnum):
    """How factor levels are combined into conditions.

    Every combination: ``full_factorial`` (``full``), ``constrained_factorial``,
    ``randomized_block`` (in random order), ``repeated_measures`` (numbered, for one subject) and
    ``williams_square`` (an order for each subject, carry-over balanced). A balanced part:
    ``latin_square``, ``graeco_latin_square``, ``fractional_factorial_2level`` (``frac2``),
    ``plackett_burman``, ``definitive_screening``, ``pairwise``, ``d_optimal``. A sample of
    ranges: ``latin_hypercube`` (``lhs``), ``sobol``. A file of rows: ``custom_matrix``.
    """

    FULL_FACTORIAL = "full_factorial"
    CONSTRAINED_FACTORIAL = "constrained_factorial"
    RANDOMIZED_BLOCK = "randomized_block"
    REPEATED_MEASURES = "repeated_measures"
    WILLIAMS_SQUARE = "williams_square"
    LATIN_SQUARE = "latin_square"
    GRAECO_LATIN_SQUARE = "graeco_latin_square"
    CUSTOM_MATRIX = "custom_matrix"
    LATIN_HYPERCUBE = "latin_hypercube"
    SOBOL = "sobol"
    FRACTIONAL_FACTORIAL_2LEVEL = "fractional_factorial_2level"
    PLACKETT_BURMAN = "plackett_burman"
    DEFINITIVE_SCREENING = "definitive_screening"
    PAIRWISE = "pairwise"
    D_OPTIMAL = "d_optimal"


class DesignSpec(Declaration):
    """Which design combines the factors, and its options.

    Args:
        kind: The design; ``full`` is short for ``full_factorial``. A design that is not built in
            is named as the package that brings it registers it, or by a reference such as
            ``corners.py:corners``.
        replicates: How often the design is repeated; multiplies `RunBudget.replicates`.
        randomize: Shuffle the list of conditions (the order of execution is `Study.run_order`).
        counterbalance: Interleave the list of conditions with its reverse.
        matrix_path: The file of a custom matrix (``.json`` or ``.csv``), beside the study file.
        n_samples: How many points a sample or a D-optimal design has.
        center_points: How often the centre of the numeric factors is added, in every block.
        block_randomization_key: The block or factor within whose levels the list is shuffled.
        options: What the kind alone knows; a name that it does not know is an error.
    """

    kind: Annotated[DesignKind | Text, Field(union_mode="left_to_right")] = (
        DesignKind.FULL_FACTORIAL
    )
    replicates: Whole = 1
    randomize: Flag = False
    counterbalance: Flag = False
    matrix_path: Text | None = None
    n_samples: Whole | None = None
    center_points: Whole = 0
    block_randomization_key: Text | None = None
    options: JsonMapping = EMPTY

    @field_validator("kind", mode="before")
    @classmethod
    def _known_kind(cls, kind: Any, info: ValidationInfo) -> Any:
        name = _DESIGN_ALIASES.get(kind, kind) if isinstance(kind, str) else kind
        if name in tuple(DesignKind) or (isinstance(name, str) and _is_elsewhere(name)):
            return name

        if info.context == KEPT:  # the package that brought it may be gone since
            return kind

        known = [*DesignKind, *entry_point_names(DESIGN_GROUP)]
        raise ValueError(f"Unsupported design kind: {kind!r} (one of: {', '.join(known)})")

    @field_validator("replicates", "n_samples")
    @classmethod
    def _at_least_one(cls, value: int | None, info: ValidationInfo) -> int | None:
        if value is not None and value < 1:
            when = " when provided" if info.field_name == "n_samples" else ""
            raise ValueError(f"DesignSpec.{info.field_name} must be >= 1{when}.")

        return value

    @field_validator("center_points")
    @classmethod
    def _not_negative(cls, value: int) -> int:
        if value < 0:
            raise ValueError("DesignSpec.center_points must be >= 0.")

        return value


def _is_elsewhere(kind: str) -> bool:
    """Return whether a design that is not built in has this name; it is not imported."""
    return is_reference(kind) or kind in entry_point_names(DESIGN_GROUP)


class RunBudget(Declaration):
    """How many runs, how many at once, and when to give up: the older place of four fields.

    `Study` holds each under its newer name too, with the same value.

    Args:
        replicates: The older place of `Study.replicates`.
        max_runs: The older place of `Study.max_runs`.
        parallelism: The older name of `Execution.concurrency`.
        fail_fast: The older place of `Execution.fail_fast`.
    """

    replicates: Whole = 1
    max_runs: Whole | None = None
    parallelism: Concurrency = 1
    fail_fast: Flag = False

    @field_validator("replicates", "parallelism", "max_runs")
    @classmethod
    def _at_least_one(cls, value: int | str | None, info: ValidationInfo) -> int | str | None:
        if isinstance(value, int) and value < 1:
            when = " when provided" if info.field_name == "max_runs" else ""
            raise ValueError(f"RunBudget.{info.field_name} must be >= 1{when}.")

        return value


class SeedStrategy(StrEnum):
    """What a run's seed is derived from."""

    CONDITION_REPLICATE = "condition_replicate"
    """Everything that the run is: each run has a seed of its own."""

    PAIRED = "paired"
    """The problem and the replicate alone: common random numbers for every condition and agent,
    so that differences between them are not drowned by differences between random numbers."""


class SeedPolicy(Declaration):
    """How each run gets its own seed; all three fields enter the hash.

    Args:
        base_seed: The study's seed.
        strategy: What else a seed is made from.
        per_run_offset: A number that only enters the hash, as studies of older tools have it.
    """

    base_seed: Whole = 0
    strategy: SeedStrategy = SeedStrategy.CONDITION_REPLICATE
    per_run_offset: Whole = 9973


class RunOrder(StrEnum):
    """In which order runs are started; artifacts are in plan order whatever it is.

    ``blocked``: randomised complete blocks in time, a block being one problem x one replicate
    holding every condition and agent, each block with its own permutation. A provider that
    drifts while the study runs then touches all conditions alike. ``shuffled``: one permutation
    of the whole plan. ``as_designed``: the order of the plan.
    """

    BLOCKED = "blocked"
    SHUFFLED = "shuffled"
    AS_DESIGNED = "as_designed"
