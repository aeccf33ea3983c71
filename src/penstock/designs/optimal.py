"""D-optimal designs: so many rows that the effects of a model are estimated most precisely.

Source: V. V. Fedorov, Theory of Optimal Experiments (1972), the exchange algorithm; and
A. C. Atkinson, A. N. Donev and R. D. Tobias, Optimum Experimental Designs, with SAS (2007),
chapter 12.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from penstock.designs.design import ANY, Design
from penstock.designs.design_rows import (
    admissible,
    block_combinations,
    is_number,
    numpy_generator,
)
from penstock.errors import ValidationError
from penstock.study.conditions import DesignRow
from penstock.study.identity import stable_json_dumps
from penstock.study.model import Study
from penstock.study.policies import DesignSpec

__all__ = ["D_OPTIMAL", "d_efficiency", "d_optimal_rows", "model_matrix"]

MODELS = ("main_effects", "interactions", "quadratic")
_MOST_CANDIDATES = 20_000
_MOST_EXCHANGES = 1000
_RIDGE = 1e-8
_Matrix = np.ndarray[Any, np.dtype[np.float64]]


def d_optimal_rows(study: Study, spec: DesignSpec) -> Iterator[DesignRow]:
    """Choose ``n_samples`` admissible combinations that estimate a model best.

    ``options.model``: ``main_effects`` (each level has its own effect; the default),
    ``interactions`` (and each pair of levels of two factors), or ``quadratic`` (numbers enter by
    their value, its square, and products with other factors). ``options.starts`` (default 5) is
    how often the search starts anew. A combination that is chosen twice is one condition with two
    replicates. Blocks are crossed with the rows; a combination must be admissible in all of them.

    Raises:
        ValidationError: fewer rows than the model has parameters, no such model, or a model that
            the admissible combinations cannot estimate.
    """
    n_samples, model, starts = _options(spec)
    rows = _candidates(study)
    candidates = model_matrix(study, rows, model)
    parameters = candidates.shape[1]
    if n_samples < parameters:
        text = f"The model '{model}' of these factors has {parameters} parameters"
        raise ValidationError([f"{text}; a D-optimal design needs as many n_samples, or more."])

    if np.linalg.matrix_rank(candidates) < parameters:
        text = f"The model '{model}' cannot be estimated from the {len(rows)} combinations"
        raise ValidationError([f"{text} that the constraints admit; choose a smaller model."])

    rng = numpy_generator(study.seed_policy.base_seed)
    searches = [_exchanged(candidates, n_samples, rng) for _ in range(starts)]
    chosen = Counter(max(searches, key=lambda search: search[0])[1])
    metadata = {"design_kind": str(spec.kind)}
    for index, count in sorted(chosen.items()):
        yield DesignRow(rows[index], metadata=metadata, replicates=count)


D_OPTIMAL = Design(
    kind="d_optimal",
    rows=d_optimal_rows,
    options={"n_samples": ANY, "model": ANY, "starts": ANY},
)


def d_efficiency(
    study: Study, rows: Sequence[Mapping[str, Any]], model: str = "main_effects"
) -> float:
    """Compare a design with running every admissible combination equally often.

    Args:
        study: Whose factors and constraints they are.
        rows: The design: factor assignments, one a run.
        model: As in `d_optimal_rows`.

    Returns:
        How many runs of all combinations one run of this design is worth, on average over the
        model's parameters; above 1 where the choice is better than all.
    """
    candidates = _candidates(study)
    chosen, everything = (model_matrix(study, each, model) for each in (rows, candidates))
    logs = [
        np.linalg.slogdet(matrix.T @ matrix / len(matrix))[1] for matrix in (chosen, everything)
    ]
    return math.exp((logs[0] - logs[1]) / chosen.shape[1])


def model_matrix(study: Study, rows: Sequence[Mapping[str, Any]], model: str) -> _Matrix:
    """Write rows of factor assignments as the columns of a model: runs x parameters."""
    mains = []
    for factor in study.factors:
        column = [row[factor.name] for row in rows]
        if model == "quadratic" and all(map(is_number, factor.values())):
            mains.append(_powers(column, factor.values()))
        else:
            mains.append(_contrasts(column, factor.values()))

    columns = [np.ones((len(rows), 1)), *mains]
    if model != "main_effects":
        linear = [
            main[:, :1] if model == "quadratic" and all(map(is_number, factor.values())) else main
            for main, factor in zip(mains, study.factors, strict=True)
        ]
        for left, right in itertools.combinations(linear, 2):
            products = left[:, :, None] * right[:, None, :]
            columns.append(products.reshape(len(rows), -1))

    return np.hstack(columns)


def _contrasts(column: Sequence[Any], values: Sequence[Any]) -> _Matrix:
    """Code levels by orthonormal contrasts, one column fewer than there are levels."""
    places = {stable_json_dumps(value): i for i, value in enumerate(values)}
    codes = [places[stable_json_dumps(value)] for value in column]
    size = len(values)
    basis = np.linalg.qr(np.column_stack([np.ones(size), np.eye(size)[:, : size - 1]]))[0][:, 1:]
    return np.asarray(basis[codes] * math.sqrt(size), dtype=np.float64)


def _powers(column: Sequence[float], values: Sequence[float]) -> _Matrix:
    low, high = min(values), max(values)
    scaled = (2 * np.array(column, dtype=np.float64) - low - high) / ((high - low) or 1)
    if len(values) > 2:  # noqa: PLR2004 - a square needs a third level
        return np.column_stack([scaled, scaled**2])

    return scaled[:, None] if len(values) > 1 else np.empty((len(column), 0))


def _options(spec: DesignSpec) -> tuple[int, str, int]:
    errors = []
    n_samples = spec.n_samples if spec.n_samples is not None else spec.options.get("n_samples")
    if not isinstance(n_samples, int) or n_samples < 1:
        errors.append("D-optimal designs require DesignSpec.n_samples or options['n_samples'].")

    model = spec.options.get("model", MODELS[0])
    if model not in MODELS:
        errors.append(f"D-optimal model must be one of: {', '.join(MODELS)} (not {model!r})")

    starts = spec.options.get("starts", 5)
    if not isinstance(starts, int) or starts < 1:
        errors.append(f"D-optimal starts must be a whole number from 1 (not {starts!r})")

    if errors:
        raise ValidationError(errors)

    return int(n_samples or 0), model, starts


def _candidates(study: Study) -> list[dict[str, Any]]:
    """List the combinations of levels that are admissible in every block."""
    names = [factor.name for factor in study.factors]
    levels = [factor.values() for factor in study.factors]
    blocks = block_combinations(study)
    count = math.prod(map(len, levels)) * len(blocks)
    if count > _MOST_CANDIDATES:
        text = f"A D-optimal design chooses among all combinations; there are {count:,}"
        raise ValidationError([f"{text}, more than {_MOST_CANDIDATES:,}."])

    rows = [dict(zip(names, values, strict=True)) for values in itertools.product(*levels)]
    if not study.constraints:
        return rows

    able = admissible(study, [DesignRow(row, block) for row in rows for block in blocks])
    size = len(blocks)
    kept = [row for i, row in enumerate(rows) if all(able[i * size : (i + 1) * size])]
    if not kept:
        raise ValidationError(["No combination of levels is admissible in every block."])

    return kept


def _exchanged(
    candidates: _Matrix, n_samples: int, rng: np.random.Generator
) -> tuple[float, list[int]]:
    """Swap rows for candidates, the best swap first, until none raises the determinant."""
    chosen = rng.integers(len(candidates), size=n_samples)
    ridge = _RIDGE * np.eye(candidates.shape[1])
    for _ in range(_MOST_EXCHANGES):
        design = candidates[chosen]
        inverse = np.linalg.inv(design.T @ design + ridge)
        covariance = design @ inverse @ candidates.T
        leave = np.einsum("ij,jk,ik->i", design, inverse, design)
        enter = np.einsum("ij,jk,ik->i", candidates, inverse, candidates)
        # Fedorov's ratio of determinants, after row i has been swapped for candidate j.
        ratios = (1 - leave)[:, None] * (1 + enter)[None, :] + covariance**2
        place, candidate = np.unravel_index(int(ratios.argmax()), ratios.shape)
        if ratios[place, candidate] < 1 + 1e-9:
            break

        chosen[place] = candidate

    design = candidates[chosen]
    return float(np.linalg.slogdet(design.T @ design + ridge)[1]), [int(i) for i in chosen]
