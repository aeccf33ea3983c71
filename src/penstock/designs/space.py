"""Space-filling designs: points spread over the ranges of numeric factors.

Sources: M. D. McKay, R. J. Beckman and W. J. Conover, Technometrics 21 (1979), 239-245, for Latin
hypercubes; B. Tang, Journal of the American Statistical Association 88 (1993), 1392-1397, for
those of strength 2; I. M. Sobol', USSR Computational Mathematics and Mathematical Physics 7
(1967), 86-112; scrambling and optimisation are scipy's (``scipy.stats.qmc``).
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from penstock._base.extras import load_extra
from penstock._base.suggestions import did_you_mean
from penstock.designs.design import ANY, WITH_CENTER, Design
from penstock.designs.design_rows import is_number, numpy_generator
from penstock.errors import ValidationError
from penstock.study.model import Study
from penstock.study.policies import DesignSpec

__all__ = ["LATIN_HYPERCUBE", "SOBOL", "latin_hypercube", "latin_hypercube_rows", "sobol_rows"]

Bounds = Mapping[str, tuple[float, float]]

_BACKENDS = ("stdlib", "scipy", "qmc")
_EDGE = 1e-9
_LEAST_BEYOND = 2
"""Below that, points have no Voronoi cells."""

_OPTIMIZATIONS = (None, "random-cd", "lloyd")


def latin_hypercube(
    n_samples: int,
    factors: Mapping[str, Sequence[float]],
    *,
    seed: int = 0,
    backend: str = "stdlib",
    optimization: str | None = None,
    strength: int = 1,
) -> list[dict[str, float]]:
    """Spread points such that each of ``n_samples`` equal slices of each range holds one.

    Args:
        n_samples: How many points.
        factors: Name -> (low, high), in the factor's own unit.
        seed: Of the points.
        backend: ``stdlib``, or ``scipy`` (also called ``qmc``) for what follows.
        optimization: ``random-cd`` lowers the centred discrepancy, ``lloyd`` evens distances out.
        strength: 2 spreads pairs of factors too; ``n_samples`` is then the square of a prime.

    Raises:
        ValidationError: bounds are not two numbers in order, or there is no such sample.
    """
    errors = list(_sample_errors(n_samples, factors, backend, optimization, strength))
    if errors:
        raise ValidationError(errors)

    if backend == "stdlib" and optimization is None and strength == 1:
        return _stdlib_sample(n_samples, factors, seed)

    qmc = load_extra("scipy.stats.qmc", extra="designs", what="this Latin hypercube")
    try:
        points = qmc.LatinHypercube(
            len(factors), strength=strength, optimization=optimization, rng=numpy_generator(seed)
        ).random(n_samples)
    except (ValueError, RuntimeError) as error:  # Qhull's are RuntimeErrors
        said = str(error).splitlines()[0]
        raise ValidationError([f"Latin hypercube of {n_samples} samples: {said}"]) from error

    return _scaled((_in_strata(points) if optimization == "lloyd" else points).tolist(), factors)


def _in_strata(points: Any) -> Any:
    """Move points that were evened out back into slices, in each range each into its own."""
    ranks = points.argsort(axis=0).argsort(axis=0)
    within = np.clip(points * len(points) - ranks, _EDGE, 1.0 - _EDGE)
    return (ranks + within) / len(points)


def _sample_errors(
    n_samples: int,
    factors: Mapping[str, Sequence[float]],
    backend: str,
    optimization: str | None,
    strength: int,
) -> Iterator[str]:
    if n_samples < 1:
        yield "n_samples must be positive."

    if backend not in _BACKENDS:
        yield f"latin_hypercube backend must be one of: {', '.join(_BACKENDS)} (not {backend!r})"

    if optimization not in _OPTIMIZATIONS:
        names = ", ".join(map(str, _OPTIMIZATIONS[1:]))
        yield f"latin_hypercube optimization must be one of: {names} (not {optimization!r})"

    if optimization == "lloyd" and (len(factors) == 1 or n_samples < len(factors) + _LEAST_BEYOND):
        yield (
            "latin_hypercube optimization 'lloyd' evens out distances between neighbours: it needs "
            f"two factors or more, and {_LEAST_BEYOND} samples more than factors"
        )

    if strength not in (1, 2):
        yield f"latin_hypercube strength must be 1 or 2 (not {strength!r})"

    for name, (low, high) in factors.items():
        if not (math.isfinite(low) and math.isfinite(high) and high > low):
            yield f"Factor '{name}' bounds must satisfy high > low."


def _stdlib_sample(
    n_samples: int, factors: Mapping[str, Sequence[float]], seed: int
) -> list[dict[str, float]]:
    rng = random.Random(seed)  # noqa: S311 - a sample, not a secret
    width = 1 / n_samples
    columns = []
    for low, high in factors.values():
        # The order of these operations is a contract: it decides the last bits of each value.
        column = [
            low + (i / n_samples + rng.random() * width) * (high - low) for i in range(n_samples)
        ]
        rng.shuffle(column)
        columns.append(column)

    return [dict(zip(factors, values, strict=True)) for values in zip(*columns, strict=True)]


def _scaled(
    points: Sequence[Sequence[float]], factors: Mapping[str, Sequence[float]]
) -> list[dict[str, float]]:
    return [
        {
            name: low + unit * (high - low)
            for unit, (name, (low, high)) in zip(point, factors.items(), strict=True)
        }
        for point in points
    ]


def latin_hypercube_rows(study: Study, spec: DesignSpec) -> list[dict[str, float]]:
    """Sample the factors' ranges by a Latin hypercube; ``options`` are those of `latin_hypercube`.

    The range of a factor is ``options.bounds[name]``, or that of its levels.
    """
    n_samples, bounds = _sample_of(study, spec, "Latin-hypercube")
    return latin_hypercube(
        n_samples,
        bounds,
        seed=study.seed_policy.base_seed,
        backend=spec.options.get("backend", "stdlib"),
        optimization=spec.options.get("optimization"),
        strength=spec.options.get("strength", 1),
    )


def sobol_rows(study: Study, spec: DesignSpec) -> list[dict[str, float]]:
    """Sample the factors' ranges by a scrambled Sobol' sequence.

    ``options.scramble: false`` gives the plain sequence, whose first point is the lowest corner.

    Raises:
        ValidationError: ``n_samples`` is not a power of two: only such samples are balanced.
    """
    n_samples, bounds = _sample_of(study, spec, "Sobol")
    qmc = load_extra("scipy.stats.qmc", extra="designs", what="a Sobol design")
    points = qmc.Sobol(
        len(bounds),
        scramble=spec.options.get("scramble", True),
        rng=numpy_generator(study.seed_policy.base_seed),
    ).random(n_samples)
    return _scaled(points.tolist(), bounds)


def _sample_of(study: Study, spec: DesignSpec, title: str) -> tuple[int, Bounds]:
    """Read how many points over which ranges, or say everything that is wrong with them."""
    n_samples = spec.n_samples if spec.n_samples is not None else spec.options.get("n_samples")
    errors = [*_count_errors(n_samples, title)]
    given = spec.options.get("bounds", {})
    if not isinstance(given, Mapping):
        errors.append("options['bounds'] must be a mapping of factor to [low, high].")
        raise ValidationError(errors)

    names = [factor.name for factor in study.factors]
    for name in given.keys() - set(names):
        hint = did_you_mean(name, names, f"; factors: {', '.join(names)}")
        errors.append(f"options['bounds'] names '{name}', which is not a factor{hint}")

    bounds: dict[str, tuple[float, float]] = {}
    for factor in study.factors:
        values = factor.values()
        try:
            bounds[factor.name] = _range(factor.name, given.get(factor.name), values, title)
        except ValueError as error:
            errors.append(str(error))

    if errors:
        raise ValidationError(errors)

    return int(n_samples or 0), bounds


def _count_errors(n_samples: Any, title: str) -> Iterator[str]:
    if n_samples is None:
        yield f"{title} designs require DesignSpec.n_samples or options['n_samples']."
    elif not isinstance(n_samples, int) or isinstance(n_samples, bool) or n_samples < 1:
        yield f"n_samples must be positive. options['n_samples'] is {n_samples!r}."
    elif title == "Sobol" and n_samples & (n_samples - 1):
        below = 1 << n_samples.bit_length() - 1
        yield f"A Sobol sample is balanced at powers of two: n_samples {below} or {2 * below}."


def _range(name: str, given: Any, values: tuple[Any, ...], title: str) -> tuple[float, float]:
    if given is None:
        if len(values) < 2 or not all(map(is_number, values)):  # noqa: PLR2004 - low and high
            text = f"{title} study factors must be numeric and provide at least two levels"
            raise ValueError(
                f"{text}, or set design_spec.options['bounds']. Problem factor: '{name}'."
            )

        low, high = min(values), max(values)
    elif isinstance(given, (list, tuple)) and len(given) == 2 and all(map(is_number, given)):  # noqa: PLR2004
        low, high = given
    else:
        raise ValueError(
            f"options['bounds'] must be a mapping of factor to [low, high]. '{name}' has {given!r}."
        )

    if not (math.isfinite(low) and math.isfinite(high) and high > low):
        raise ValueError(f"Factor '{name}' bounds must satisfy high > low.")

    return float(low), float(high)


LATIN_HYPERCUBE = Design(
    kind="latin_hypercube",
    rows=latin_hypercube_rows,
    options={
        "n_samples": ANY,
        "bounds": ANY,
        "backend": str,
        "optimization": ANY,
        "strength": int,
    },
    honours=WITH_CENTER,
    is_sample=True,
    needs="penstock[designs], where an option asks for more than the standard library has",
)

SOBOL = Design(
    kind="sobol",
    rows=sobol_rows,
    options={"n_samples": ANY, "bounds": ANY, "scramble": bool},
    honours=WITH_CENTER,
    is_sample=True,
    needs="penstock[designs]",
)
