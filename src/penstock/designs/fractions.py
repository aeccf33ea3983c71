"""Two- and three-level fractions: fewer rows than combinations, chosen so that effects separate.

Sources: G. E. P. Box and J. S. Hunter, Technometrics 3 (1961), 311-351, for resolution;
R. L. Plackett and J. P. Burman, Biometrika 33 (1946), 305-325; B. Jones and C. J. Nachtsheim,
Journal of Quality Technology 43 (2011), 1-15 and 45 (2013), 121-129, for definitive screening.
Constructions beyond the templates are pydoe's; each is checked before it is used.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

from penstock._base.extras import load_extra
from penstock.designs.aliases import resolution_of
from penstock.designs.design import ANY, WITH_CENTER, Design
from penstock.designs.design_rows import is_number
from penstock.errors import ValidationError
from penstock.study.factors import Factor
from penstock.study.model import Study
from penstock.study.policies import DesignSpec

__all__ = [
    "DEFINITIVE_SCREENING",
    "FRACTIONAL_FACTORIAL_2LEVEL",
    "PLACKETT_BURMAN",
    "definitive_screening_rows",
    "fractional_factorial_2level",
    "fractional_factorial_rows",
    "plackett_burman",
    "plackett_burman_rows",
]

_BACKENDS = ("stdlib", "pydoe3", "pydoe")
_ROMAN = {"III": 3, "IV": 4, "V": 5, "VI": 6, "VII": 7, "VIII": 8, "IX": 9, "X": 10}
_TEMPLATE = ("abc", "ac", "bc")
_TEMPLATE_FACTORS = range(2, 7)
_TWO = 2
_THREE = 3


def fractional_factorial_2level(
    factors: Sequence[str],
    *,
    resolution: str | int = "III",
    generators: Mapping[str, Sequence[str]] | None = None,
    backend: str = "stdlib",
) -> list[dict[str, float]]:
    """List the coded rows, -1 and +1, of a fraction of the two-level factorial.

    Args:
        factors: The names of the factors, two at least.
        resolution: The least length of a word of the defining relation, ``"IV"`` or 4. At
            ``"III"`` two to six factors have a fixed template (three factors and fewer: all
            combinations; four: d = abc; five and six: e = ac, f = bc); everything else has the
            fewest rows at which the resolution can be had.
        generators: The fraction itself in place of a resolution: added factor -> the other
            factors whose product it is, ``{"d": ["a", "b", "c"]}``.
        backend: ``pydoe`` (also called ``pydoe3``) gives the fewest rows in place of a template.

    Raises:
        ValidationError: what is asked for is not a fraction, or the extra ``designs`` is needed and
            not installed.
    """
    least = _resolution(resolution)
    if backend not in _BACKENDS:
        names = ", ".join(_BACKENDS)
        raise ValidationError([f"fractional_factorial_2level backend must be one of: {names}"])

    if len(factors) < _TWO:
        raise ValidationError(["At least two factors are required for a factorial design."])

    if generators is not None:
        return _generated(factors, generators)

    if least == _THREE and backend == "stdlib" and len(factors) in _TEMPLATE_FACTORS:
        base = factors[:3]
        words = zip(factors[3:], _TEMPLATE, strict=False)
        letters = dict(zip("abc", base, strict=False))
        return _generated(factors, {name: [letters[x] for x in word] for name, word in words})

    return _of_resolution(factors, least)


def _resolution(said: Any) -> int:
    least = _ROMAN.get(said.upper(), 0) if isinstance(said, str) else said
    if not isinstance(least, int) or isinstance(least, bool) or least < _THREE:
        names = ", ".join(f"'{name}'" for name in _ROMAN)
        raise ValidationError([f"resolution must be one of: {names} (not {said!r})"])

    return least


def _generated(factors: Sequence[str], generators: Any) -> list[dict[str, float]]:
    if not isinstance(generators, Mapping):
        due = "must map each added factor to the factors whose product it is, as {d: [a, b, c]}"
        raise ValidationError([f"options['generators'] {due}; it is {generators!r}."])

    base = [name for name in factors if name not in generators]
    errors = [
        f"options['generators'] names '{name}', which is not a factor of the study."
        for name in generators.keys() - set(factors)
    ]
    errors += [
        f"options['generators']: '{name}' must be a list of two or more of the factors that have "
        f"no generator ({', '.join(base)}), each once; it is {word!r}."
        for name, word in generators.items()
        if not _is_word(word, base)
    ]
    if errors:
        raise ValidationError(errors)

    rows = []
    for signs in itertools.product((-1.0, 1.0), repeat=len(base)):
        row = dict(zip(base, signs, strict=True))
        for name, word in generators.items():
            row[name] = math.prod(row[each] for each in word)

        rows.append({name: row[name] for name in factors})

    return rows


def _is_word(word: Any, base: Sequence[str]) -> bool:
    return (
        isinstance(word, (list, tuple))
        and len(word) >= _TWO
        and set(word) <= set(base)
        and len(set(word)) == len(word)
    )


def _of_resolution(factors: Sequence[str], least: int) -> list[dict[str, float]]:
    pydoe = load_extra("pydoe", extra="designs", what="a fractional factorial of this resolution")
    try:
        matrix = pydoe.fracfact_by_res(len(factors), least).tolist()
    except ValueError as error:
        raise ValidationError(
            [f"no fraction of {len(factors)} factors at resolution {least}: {error}"]
        ) from error

    rows = [dict(zip(factors, map(float, row), strict=True)) for row in matrix]
    found = resolution_of({name: [row[name] for row in rows] for name in factors})
    if found is not None and found < least:
        raise ValidationError(
            [f"pydoe gave a fraction of resolution {found} where {least} was asked for; upgrade it"]
        )

    return rows


def plackett_burman(factors: Sequence[str]) -> list[dict[str, float]]:
    """List the coded rows of a Plackett-Burman design: main effects in the fewest rows.

    The number of rows is a multiple of 4 above that of factors; where no construction is known
    to pydoe (28, 36 and 44 rows), the next one that is.
    """
    if not factors:
        raise ValidationError(["A Plackett-Burman design needs at least one factor."])

    pydoe = load_extra("pydoe", extra="designs", what="a Plackett-Burman design")
    columns = len(factors)
    while True:
        try:
            matrix = pydoe.pbdesign(columns).tolist()
        except ValueError:
            columns += 1
        else:
            # Any columns of an orthogonal array are an orthogonal array.
            return [dict(zip(factors, map(float, row), strict=False)) for row in matrix]


def fractional_factorial_rows(study: Study, spec: DesignSpec) -> list[dict[str, Any]]:
    """Make a two-level fraction; ``options`` are those of `fractional_factorial_2level`."""
    levels = _two_levels(study, "Fractional 2-level")
    rows = fractional_factorial_2level(
        list(levels),
        resolution=spec.options.get("resolution", "III"),
        generators=spec.options.get("generators"),
        backend=spec.options.get("backend", "stdlib"),
    )
    return _decoded(rows, levels)


def plackett_burman_rows(study: Study, _: DesignSpec) -> list[dict[str, Any]]:
    """Make a Plackett-Burman design of the study's two-level factors."""
    levels = _two_levels(study, "Plackett-Burman")
    return _decoded(plackett_burman(list(levels)), levels)


def definitive_screening_rows(study: Study, _: DesignSpec) -> list[dict[str, Any]]:
    """Make a definitive screening design: main effects clear of all second-order effects.

    A factor has three levels (low, middle, high, in this order), or two numbers, whose middle is
    their mean, or two names, which make a two-level column.
    """
    levels, named, errors = {}, [], []
    for factor in study.factors:
        values = factor.values()
        if len(values) == _THREE:
            levels[factor.name] = dict(zip((-1.0, 0.0, 1.0), values, strict=True))
        elif len(values) == _TWO and all(map(is_number, values)):
            low, high = values
            levels[factor.name] = {-1.0: low, 0.0: (low + high) / 2, 1.0: high}
        elif len(values) == _TWO:
            levels[factor.name] = dict(zip((-1.0, 1.0), values, strict=True))
            named.append(factor.name)
        else:
            errors.append(_wrong_count("Definitive screening", "two or three levels", factor))

    if len(study.factors) < _THREE:
        errors.append("A definitive screening design needs at least three factors.")

    if errors:
        raise ValidationError(errors)

    pydoe = load_extra("pydoe", extra="designs", what="a definitive screening design")
    columns = [*(name for name in levels if name not in named), *named]
    matrix = pydoe.definitive_screening_design(len(columns) - len(named), len(named)).tolist()
    coded = [dict(zip(columns, map(float, row), strict=True)) for row in matrix]
    return _decoded(coded, levels)


def _two_levels(study: Study, title: str) -> dict[str, dict[float, Any]]:
    errors = [
        _wrong_count(title, "exactly two levels", factor)
        for factor in study.factors
        if len(factor.values()) != _TWO
    ]
    if errors:
        raise ValidationError(errors)

    return {
        factor.name: dict(zip((-1.0, 1.0), factor.values(), strict=True))
        for factor in study.factors
    }


def _wrong_count(title: str, wanted: str, factor: Factor) -> str:
    text = f"{title} study designs require {wanted} per factor."
    return f"{text} Factor '{factor.name}' has {len(factor.values())} levels."


def _decoded(
    rows: Sequence[Mapping[str, float]], levels: Mapping[str, Mapping[float, Any]]
) -> list[dict[str, Any]]:
    return [{name: levels[name][row[name]] for name in levels} for row in rows]


FRACTIONAL_FACTORIAL_2LEVEL = Design(
    kind="fractional_factorial_2level",
    rows=fractional_factorial_rows,
    options={"resolution": ANY, "generators": ANY, "backend": str},
    honours=WITH_CENTER,
    is_sample=True,
    needs="penstock[designs], but for the templates of two to six factors",
)

PLACKETT_BURMAN = Design(
    kind="plackett_burman",
    rows=plackett_burman_rows,
    honours=WITH_CENTER,
    is_sample=True,
    needs="penstock[designs]",
)

DEFINITIVE_SCREENING = Design(
    kind="definitive_screening",
    rows=definitive_screening_rows,
    honours=WITH_CENTER,
    is_sample=True,
    needs="penstock[designs]",
)
