"""Build a design: the rows of its kind, turned into conditions."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from penstock.designs.covering import pairwise_rows
from penstock.designs.design_options import spec_errors
from penstock.designs.factorial import (
    full_factorial_rows,
    randomized_block_rows,
    repeated_measures_rows,
)
from penstock.designs.fractions import (
    definitive_screening_rows,
    fractional_factorial_rows,
    plackett_burman_rows,
)
from penstock.designs.matrix import custom_matrix_rows
from penstock.designs.optimal import d_optimal_rows
from penstock.designs.space import latin_hypercube_rows, sobol_rows
from penstock.designs.squares import graeco_latin_square_rows, latin_square_rows
from penstock.designs.williams import williams_rows
from penstock.errors import ValidationError
from penstock.study.conditions import Condition, DesignRow, make_conditions
from penstock.study.model import Study
from penstock.study.policies import DesignKind, DesignSpec

__all__ = ["DESIGNS", "build_design"]

DESIGNS: dict[DesignKind, Callable[[Study, DesignSpec], Iterable[DesignRow]]] = {
    DesignKind.FULL_FACTORIAL: full_factorial_rows,
    DesignKind.CONSTRAINED_FACTORIAL: full_factorial_rows,
    DesignKind.RANDOMIZED_BLOCK: randomized_block_rows,
    DesignKind.REPEATED_MEASURES: repeated_measures_rows,
    DesignKind.WILLIAMS_SQUARE: williams_rows,
    DesignKind.LATIN_SQUARE: latin_square_rows,
    DesignKind.GRAECO_LATIN_SQUARE: graeco_latin_square_rows,
    DesignKind.CUSTOM_MATRIX: custom_matrix_rows,
    DesignKind.LATIN_HYPERCUBE: latin_hypercube_rows,
    DesignKind.SOBOL: sobol_rows,
    DesignKind.FRACTIONAL_FACTORIAL_2LEVEL: fractional_factorial_rows,
    DesignKind.PLACKETT_BURMAN: plackett_burman_rows,
    DesignKind.DEFINITIVE_SCREENING: definitive_screening_rows,
    DesignKind.PAIRWISE: pairwise_rows,
    DesignKind.D_OPTIMAL: d_optimal_rows,
}
"""The function that makes the rows of each kind of design, in their order."""


def build_design(study: Study, design_spec: DesignSpec | None = None) -> list[Condition]:
    """List the conditions of a study, inadmissible ones included.

    Args:
        study: The declared study.
        design_spec: A design to use in place of the study's own.

    Raises:
        ValidationError: the design cannot be built from these factors and options, or a
            constraint cannot be evaluated; everything that is wrong is listed.
    """
    spec = design_spec or study.design_spec
    errors = list(spec_errors(study, spec))
    try:
        rows = list(DESIGNS[spec.kind](study, spec))
    except ValidationError as error:
        raise ValidationError([*errors, *error.errors]) from error

    if errors:
        raise ValidationError(errors)

    return make_conditions(study, rows)
