"""Which kinds of design there are, what is wrong with what one is told, and building one.

A kind is built in, registered by an installed package in the group ``penstock.designs``, or named
by a reference such as ``corners.py:corners``. A package is imported when a study names its kind.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

from penstock._base.entry_points import load_entry_point
from penstock._base.suggestions import did_you_mean
from penstock.designs.covering import PAIRWISE
from penstock.designs.design import WITH_CENTER, Design, finish, refuse_too_many
from penstock.designs.design_rows import is_number
from penstock.designs.factorial import (
    CONSTRAINED_FACTORIAL,
    FULL_FACTORIAL,
    RANDOMIZED_BLOCK,
    REPEATED_MEASURES,
)
from penstock.designs.fractions import (
    DEFINITIVE_SCREENING,
    FRACTIONAL_FACTORIAL_2LEVEL,
    PLACKETT_BURMAN,
)
from penstock.designs.matrix import CUSTOM_MATRIX
from penstock.designs.optimal import D_OPTIMAL
from penstock.designs.space import LATIN_HYPERCUBE, SOBOL
from penstock.designs.squares import GRAECO_LATIN_SQUARE, LATIN_SQUARE
from penstock.designs.williams import SUBJECTS, WILLIAMS_SQUARE
from penstock.errors import BindingError, ValidationError
from penstock.study.conditions import Condition, make_conditions
from penstock.study.given import refuse_other_study
from penstock.study.model import Study
from penstock.study.policies import DESIGN_GROUP, DesignSpec
from penstock.study.references import load_reference

__all__ = ["DESIGNS", "build_design", "center_errors", "find_design", "spec_errors"]

DESIGNS: Mapping[str, Design] = {
    design.kind: design
    for design in (
        FULL_FACTORIAL,
        CONSTRAINED_FACTORIAL,
        RANDOMIZED_BLOCK,
        REPEATED_MEASURES,
        WILLIAMS_SQUARE,
        LATIN_SQUARE,
        GRAECO_LATIN_SQUARE,
        CUSTOM_MATRIX,
        LATIN_HYPERCUBE,
        SOBOL,
        FRACTIONAL_FACTORIAL_2LEVEL,
        PLACKETT_BURMAN,
        DEFINITIVE_SCREENING,
        PAIRWISE,
        D_OPTIMAL,
    )
}
"""The kinds that are built in."""

_WORDS = {
    bool: "true or false",
    int: "a whole number",
    list: "a list",
    str: "text",
    Mapping: "a mapping",
}


def build_design(study: Study, design_spec: DesignSpec | None = None) -> list[Condition]:
    """List the conditions of a study, inadmissible ones included.

    Args:
        study: The declared study.
        design_spec: A design to use in place of the study's own.

    Raises:
        ValidationError: the design cannot be built from these factors and options, or a
            constraint cannot be evaluated; everything that is wrong is listed.
    """
    refuse_other_study(study)
    spec = design_spec or study.design_spec
    design = find_design(study, spec)
    spec = spec.model_copy(update=dict(design.implies))
    errors = list(spec_errors(study, spec, design))
    if not design.is_sample:  # older tools repeat a row of a fraction, and so does this
        errors += center_errors(study, spec)

    samples = spec.n_samples or spec.options.get("n_samples")
    try:
        refuse_too_many(spec, samples if isinstance(samples, int) else 0)
        rows = finish(study, spec, design, design.rows(study, spec))
    except ValidationError as error:
        raise ValidationError([*errors, *error.errors]) from error
    except ImportError as error:
        needs = design.needs or error.name
        missing = f"A design of kind {spec.kind} needs {error.name}, which is not installed"
        raise ValidationError([*errors, f"{missing}: pip install {needs!r}"]) from error

    if errors:
        raise ValidationError(errors)

    return make_conditions(study, rows)


def find_design(study: Study, spec: DesignSpec) -> Design:
    """Find the kind that a study asks for.

    Raises:
        ValidationError: there is no such kind, or it cannot be imported.
    """
    kind = str(spec.kind)
    if kind in DESIGNS:
        has_subjects = kind == SUBJECTS.kind and "subject_factor" in spec.options
        return SUBJECTS if has_subjects else DESIGNS[kind]

    try:
        if ":" in kind:
            found = load_reference(kind, study.base_dir)
        else:
            found = load_entry_point(DESIGN_GROUP, kind)
    except (AttributeError, BindingError, ImportError) as error:
        raise ValidationError([f"design_spec.kind: {error}"]) from error

    if isinstance(found, Design):
        return found

    if callable(found):
        return Design(kind=kind, rows=found)

    what = "no package registers it any more" if found is None else f"it is {found!r}"
    raise ValidationError(
        [f"Unsupported design kind: {kind!r}: {what}; name a Design, or a function of rows"]
    )


def spec_errors(study: Study, spec: DesignSpec, design: Design) -> Iterator[str]:
    """List what a design is told and cannot do; what is not said here is honoured."""
    yield from _option_errors(spec, design)
    yield from _unused_fields(spec, design)
    yield from _order_errors(study, spec, design)


def center_errors(study: Study, spec: DesignSpec | None = None) -> Iterator[str]:
    """List what is wrong with centre points: among named levels they are one of the rows again."""
    spec = spec or study.design_spec
    if not spec.center_points or "center_points" not in find_design(study, spec).honours:
        return

    bounds = spec.options.get("bounds")
    bounded = bounds if isinstance(bounds, Mapping) else {}
    if not any(f.name in bounded or all(map(is_number, f.values())) for f in study.factors):
        yield (
            "DesignSpec.center_points needs a factor whose levels are numbers: "
            "the centre of named levels is one of them again."
        )


def _option_errors(spec: DesignSpec, design: Design) -> Iterator[str]:
    for name, value in spec.options.items():
        if name not in design.options:
            yield f"DesignSpec.options: {spec.kind} has no option {name!r}{_hint(name, design)}"
            continue

        kind: Any = design.options[name]
        is_flag = isinstance(value, bool)
        if not isinstance(value, kind) or (is_flag and kind is int):
            due = _WORDS.get(kind, kind.__name__)
            yield f"DesignSpec.options: {name} must be {due} (not {value!r})"


def _hint(name: str, design: Design) -> str:
    known = design.options
    every = [*DesignSpec.model_fields, *chain(*(each.options for each in DESIGNS.values()))]
    if hint := did_you_mean(name, known):
        return hint

    if name in DesignSpec.model_fields:
        return f"; {name!r} belongs beside `options`, not in it."

    if name in every:
        return f"; it is an option of {_kinds_with(name)}."

    return f"; its options: {', '.join(sorted(known)) or 'none'}."


def _kinds_with(option: str) -> str:
    return ", ".join(kind for kind, design in DESIGNS.items() if option in design.options)


def _unused_fields(spec: DesignSpec, design: Design) -> Iterator[str]:
    for name in ("n_samples", "matrix_path"):
        if getattr(spec, name) is not None and name not in design.options:
            kinds = _kinds_with(name)
            yield f"DesignSpec.{name} has no meaning for {spec.kind}; it belongs to {kinds}."

    default = DesignSpec()
    for name in sorted(WITH_CENTER - design.honours):
        if getattr(spec, name) != getattr(default, name):
            yield (
                f"DesignSpec.{name} has no meaning for {spec.kind}: "
                f"its rows are fixed; leave {name} out."
            )


def _order_errors(study: Study, spec: DesignSpec, design: Design) -> Iterator[str]:
    key = spec.block_randomization_key
    if key is None:
        return

    names = [*(block.name for block in study.blocks), *(factor.name for factor in study.factors)]
    if key not in names:
        hint = did_you_mean(key, names, ".")
        yield f"Block column '{key}' not present in all design rows{hint}"

    if not spec.randomize:
        yield (
            "DesignSpec.block_randomization_key says within what to shuffle, "
            "and `randomize` is false; set `randomize: true`."
        )
    elif design in (SUBJECTS, WILLIAMS_SQUARE):
        yield (
            "DesignSpec.block_randomization_key has no meaning with `subject_factor`: "
            "each subject's order is its Williams sequence."
        )
