"""What each kind of design can be told, and what is wrong with what it is told."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from itertools import chain

from penstock.designs.design_rows import is_number
from penstock.study.model import Study
from penstock.study.policies import DesignKind, DesignSpec

__all__ = ["OPTIONS", "spec_errors"]

_SQUARE = frozenset({"row_factor", "column_factor", "treatment_factor", "randomize_square"})

OPTIONS: dict[DesignKind, frozenset[str]] = {
    DesignKind.FULL_FACTORIAL: frozenset(),
    DesignKind.CONSTRAINED_FACTORIAL: frozenset(),
    DesignKind.RANDOMIZED_BLOCK: frozenset(),
    DesignKind.REPEATED_MEASURES: frozenset({"subject_factor"}),
    DesignKind.WILLIAMS_SQUARE: frozenset({"subject_factor"}),
    DesignKind.LATIN_SQUARE: _SQUARE,
    DesignKind.GRAECO_LATIN_SQUARE: _SQUARE | {"second_treatment_factor"},
    DesignKind.CUSTOM_MATRIX: frozenset({"matrix_path"}),
    DesignKind.LATIN_HYPERCUBE: frozenset(
        {"n_samples", "bounds", "backend", "optimization", "strength"}
    ),
    DesignKind.SOBOL: frozenset({"n_samples", "bounds", "scramble"}),
    DesignKind.FRACTIONAL_FACTORIAL_2LEVEL: frozenset({"resolution", "generators", "backend"}),
    DesignKind.PLACKETT_BURMAN: frozenset(),
    DesignKind.DEFINITIVE_SCREENING: frozenset(),
    DesignKind.PAIRWISE: frozenset(),
    DesignKind.D_OPTIMAL: frozenset({"n_samples", "model", "starts"}),
}
"""The names in `DesignSpec.options` that each kind reads."""

_FACTORIAL = frozenset(
    {
        DesignKind.FULL_FACTORIAL,
        DesignKind.CONSTRAINED_FACTORIAL,
        DesignKind.RANDOMIZED_BLOCK,
        DesignKind.REPEATED_MEASURES,
    }
)
_SAMPLED = frozenset(
    {
        DesignKind.LATIN_HYPERCUBE,
        DesignKind.SOBOL,
        DesignKind.FRACTIONAL_FACTORIAL_2LEVEL,
        DesignKind.PLACKETT_BURMAN,
        DesignKind.DEFINITIVE_SCREENING,
    }
)
_FLAGS = frozenset({"randomize_square", "scramble"})
_ALWAYS_RANDOMIZED = frozenset({DesignKind.RANDOMIZED_BLOCK})
_SEQUENCED = frozenset({DesignKind.REPEATED_MEASURES, DesignKind.WILLIAMS_SQUARE})


def spec_errors(study: Study, spec: DesignSpec) -> Iterator[str]:
    """List what a design is told and cannot do; what is not said here is honoured."""
    yield from _unknown_options(spec)
    yield from _no_flags(spec)
    yield from _unused_fields(spec)
    yield from _center_errors(study, spec)
    yield from _order_errors(study, spec)


def _unknown_options(spec: DesignSpec) -> Iterator[str]:
    known = OPTIONS[spec.kind]
    for name in spec.options:
        if name in known:
            continue

        text = f"DesignSpec.options: {spec.kind} has no option {name!r}"
        near = get_close_matches(name, known, n=1) or get_close_matches(
            name, sorted(set(DesignSpec.model_fields) | set(chain(*OPTIONS.values()))), n=1
        )
        if near and near[0] in known:
            yield f"{text}; did you mean {near[0]!r}?"
        elif name in DesignSpec.model_fields:
            yield f"{text}; {name!r} belongs beside `options`, not in it."
        elif name in chain(*OPTIONS.values()):
            kinds = ", ".join(kind for kind, options in OPTIONS.items() if name in options)
            yield f"{text}; it is an option of {kinds}."
        else:
            yield f"{text}; its options: {', '.join(sorted(known)) or 'none'}."


def _no_flags(spec: DesignSpec) -> Iterator[str]:
    for name in _FLAGS & spec.options.keys():
        value = spec.options[name]
        if not isinstance(value, bool):
            yield f"DesignSpec.options: {name} must be true or false (not {value!r})"


def _unused_fields(spec: DesignSpec) -> Iterator[str]:
    known = OPTIONS[spec.kind]
    for name in ("n_samples", "matrix_path"):
        if getattr(spec, name) is not None and name not in known:
            kinds = ", ".join(kind for kind, options in OPTIONS.items() if name in options)
            yield f"DesignSpec.{name} has no meaning for {spec.kind}; it belongs to {kinds}."


def _center_errors(study: Study, spec: DesignSpec) -> Iterator[str]:
    if spec.center_points == 0 or spec.kind in _SAMPLED:
        return

    if spec.kind not in _FACTORIAL or "subject_factor" in spec.options:
        yield (
            f"DesignSpec.center_points has no meaning for {spec.kind}: "
            "its rows are what they are; leave center_points out."
        )
    elif not any(all(map(is_number, factor.values())) for factor in study.factors):
        yield (
            "DesignSpec.center_points needs a factor whose levels are numbers: "
            "the centre of named levels is one of them again."
        )


def _order_errors(study: Study, spec: DesignSpec) -> Iterator[str]:
    key = spec.block_randomization_key
    names = [*(block.name for block in study.blocks), *(factor.name for factor in study.factors)]
    if key is not None and key not in names:
        near = get_close_matches(key, names, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        yield f"Block column '{key}' not present in all design rows{hint or '.'}"

    if key is not None and not spec.randomize and spec.kind not in _ALWAYS_RANDOMIZED:
        yield (
            "DesignSpec.block_randomization_key says within what to shuffle, "
            "and `randomize` is false; set `randomize: true`."
        )

    if spec.kind in _SEQUENCED and "subject_factor" in spec.options and spec.randomize and key:
        yield (
            "DesignSpec.block_randomization_key has no meaning with `subject_factor`: "
            "each subject's order is its Williams sequence."
        )
