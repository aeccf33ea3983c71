"""Latin and Graeco-Latin squares: one or two treatments balanced over rows and columns.

Source: R. A. Fisher and F. Yates, Statistical Tables (1938), for squares and how to randomise
them; H. F. MacNeish, "Euler squares", Annals of Mathematics 23 (1922), for composite orders.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Mapping

from penstock.designs.design import Design
from penstock.errors import ValidationError
from penstock.study.conditions import DesignRow
from penstock.study.factors import Factor
from penstock.study.model import Study
from penstock.study.policies import DesignSpec

__all__ = [
    "GRAECO_LATIN_SQUARE",
    "LATIN_SQUARE",
    "graeco_latin_square_rows",
    "graeco_latin_symbols",
    "latin_square_rows",
]

_LATIN = ("row_factor", "column_factor", "treatment_factor")
_GRAECO_LATIN = (*_LATIN, "second_treatment_factor")


def latin_square_rows(study: Study, spec: DesignSpec) -> Iterator[DesignRow]:
    """Place every treatment once in each row and each column of a square.

    The treatment at (row, column) is the (row + column)th, modulo their number;
    ``options.randomize_square`` permutes rows, columns and treatments. Other factors and the
    blocks are crossed with the square.
    """
    roles = _roles(study, spec, _LATIN)
    order = len(roles[0].values())
    symbols = {cell: (sum(cell) % order,) for cell in _cells(order)}
    return _square_rows(study, spec, roles, symbols)


def graeco_latin_square_rows(study: Study, spec: DesignSpec) -> Iterator[DesignRow]:
    """Balance two treatments over rows and columns, each pair of them together once.

    Raises:
        ValidationError: the order is 2 more than a multiple of 4: of order 2 and 6 there is no
            such square, and those of order 10 and more are not built here.
    """
    roles = _roles(study, spec, _GRAECO_LATIN)
    return _square_rows(study, spec, roles, graeco_latin_symbols(len(roles[0].values())))


def graeco_latin_symbols(order: int) -> dict[tuple[int, int], tuple[int, int]]:
    """Make two orthogonal Latin squares: (row, column) -> the symbols of both.

    Args:
        order: Any number that is not 2 more than a multiple of 4.

    An index is a pair of a power of two and an odd number. On the odd part, row + column and
    2 row + column are orthogonal. On the even part they are row + column and A row + column over
    GF(2)^k, where A is the companion matrix of x^k + x + 1: both A and A + I are invertible.
    """
    power = (order & -order).bit_length() - 1
    even = 1 << power
    if power == 1:
        refused = f"No Graeco-Latin square of order {order} is built here"
        reason = "2 and 6 do not exist, other orders 2 beyond a multiple of 4 are rare"
        raise ValidationError([f"{refused} ({reason}); use 3, 4, 5, 7, 8, 9, 11, 12 …"])

    def step(value: int) -> int:
        doubled = value << 1
        return doubled ^ (even | 0b11) if doubled & even else doubled

    odd = order // even
    symbols = {}
    for row, column in _cells(order):
        (r_even, r_odd), (c_even, c_odd) = divmod(row, odd), divmod(column, odd)
        first = (r_even ^ c_even) * odd + (r_odd + c_odd) % odd
        second = (step(r_even) ^ c_even) * odd + (2 * r_odd + c_odd) % odd
        symbols[row, column] = (first, second)

    return symbols


def _cells(order: int) -> Iterator[tuple[int, int]]:
    yield from itertools.product(range(order), repeat=2)


def _roles(study: Study, spec: DesignSpec, options: tuple[str, ...]) -> list[Factor]:
    """Find the factors that make the square, or say everything that is wrong with them."""
    title = "Latin-square" if options is _LATIN else "Graeco-Latin-square"
    named = [spec.options.get(option) for option in options]
    if not all(named):
        listed = f"{', '.join(options[:-1])}, and {options[-1]}"
        raise ValidationError([f"{title} design requires options {listed}."])

    factors = {factor.name: factor for factor in study.factors}
    missing = sorted({str(name) for name in named} - set(factors))
    if missing:
        known = ", ".join(factors)
        raise ValidationError(
            [f"{title} factors are missing from the study: {missing} (its factors: {known})"]
        )

    if len(set(named)) < len(named):
        raise ValidationError([f"{title} design requires a different factor for each option."])

    roles = [factors[str(name)] for name in named]
    sizes = {factor.name: len(factor.values()) for factor in roles}
    if len(set(sizes.values())) > 1:
        what = "treatment" if options is _LATIN else "both treatment"
        text = f"{title} requires equal cardinality for row, column, and {what} factors."
        listed = ", ".join(f"'{name}' {size}" for name, size in sizes.items())
        raise ValidationError([f"{text} Numbers of levels: {listed}."])

    return roles


def _square_rows(
    study: Study,
    spec: DesignSpec,
    roles: list[Factor],
    symbols: Mapping[tuple[int, int], tuple[int, ...]],
) -> Iterator[DesignRow]:
    levels = [list(factor.values()) for factor in roles]
    if spec.options.get("randomize_square", False):
        rng = random.Random(study.seed_policy.base_seed)  # noqa: S311 - an order, not a secret
        for each in levels:
            rng.shuffle(each)

    square = {factor.name for factor in roles}
    others = [factor for factor in study.factors if factor.name not in square]
    for (row, column), treated in symbols.items():
        indices = zip(roles, levels, (row, column, *treated), strict=True)
        assigned = {factor.name: each[index] for factor, each, index in indices}
        metadata = {
            "design_kind": str(spec.kind),
            "latin_square_row": row,
            "latin_square_col": column,
        }
        for values in itertools.product(*(factor.values() for factor in others)):
            assigned |= {each.name: value for each, value in zip(others, values, strict=True)}
            factors = {each.name: assigned[each.name] for each in study.factors}
            yield DesignRow(factors, metadata=metadata)


_OPTIONS = dict.fromkeys(_LATIN, str) | {"randomize_square": bool}

LATIN_SQUARE = Design(kind="latin_square", rows=latin_square_rows, options=_OPTIONS)

GRAECO_LATIN_SQUARE = Design(
    kind="graeco_latin_square",
    rows=graeco_latin_square_rows,
    options=_OPTIONS | {"second_treatment_factor": str},
)
