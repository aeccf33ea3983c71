"""Alias structure: which effects a two-level design cannot tell apart.

Source: G. E. P. Box, W. G. Hunter and J. S. Hunter, Statistics for Experimenters, 2nd ed. (2005),
chapter 6; generalised resolution as in L.-Y. Deng and B. Tang, Statistica Sinica 9 (1999).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

__all__ = ["alias_structure", "resolution_of"]

_ROMAN = ("", "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X")
_MOST_WORDS = 4096
_NEAR_ZERO = 1e-9
_Matrix = np.ndarray[Any, np.dtype[np.float64]]


def alias_structure(columns: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """Find which main effects and two-factor interactions a two-level design confounds.

    Args:
        columns: Factor -> its coded column, -1 and +1, one entry a run.

    Returns:
        ``runs``; ``resolution`` (``"IV"``; None where no effects up to the fourth order are
        aliased and no words are known); ``regular`` (aliases are total or none);
        ``defining_relation``, the words equal to the identity, ``"I = a:b:c"``, short ones first;
        ``aliases``, effect -> effects that it is the same as, with their sign; and
        ``partial_aliases``, main effect -> interaction -> correlation. Effects are written as
        model formulas write them, ``a:b`` for the interaction of a and b.
    """
    names = list(columns)
    matrix = np.array([columns[name] for name in names], dtype=np.float64).T
    words = defining_words(matrix)
    effects, products = _effects(names, matrix)
    correlations = products.T @ products / len(matrix)
    total = np.abs(np.abs(correlations) - 1) < _NEAR_ZERO
    some = (np.abs(correlations) > _NEAR_ZERO) & ~total
    aliases = {
        effect: [
            _signed(effects[j], correlations[i, j]) for j in np.flatnonzero(total[i]) if j != i
        ]
        for i, effect in enumerate(effects)
    }
    partial = {
        effect: {effects[j]: round(float(correlations[i, j]), 6) for j in np.flatnonzero(some[i])}
        for i, effect in enumerate(names)
    }
    least = resolution_of(columns)
    return {
        "runs": len(matrix),
        "resolution": None if least is None else _roman(least),
        "regular": not some.any(),
        "defining_relation": [
            f"I = {_signed(':'.join(names[i] for i in word), sign)}" for word, sign in words
        ],
        "aliases": {effect: same for effect, same in aliases.items() if same},
        "partial_aliases": {effect: others for effect, others in partial.items() if others},
    }


def resolution_of(columns: Mapping[str, Sequence[float]]) -> int | None:
    """Return the length of the shortest word, whole or partial; None for a full factorial.

    Partial words, as in Plackett-Burman designs, are looked for up to a length of four.
    """
    matrix = np.array(list(columns.values()), dtype=np.float64).T
    whole = min((len(word) for word, _ in defining_words(matrix)), default=None)
    for length in (3, 4):
        if whole is not None and whole <= length:
            return whole

        if _has_partial_word(matrix, length):
            return length

    return whole


def _has_partial_word(matrix: _Matrix, length: int) -> bool:
    """Return whether a product of so many columns, three or four, does not sum to zero."""
    factors = range(matrix.shape[1])
    pairs = list(itertools.combinations(factors, 2))
    products = np.array([matrix[:, i] * matrix[:, j] for i, j in pairs])
    for count, word in enumerate(pairs):
        # Each word is met by its two first columns; the rest come after them.
        last = [k for k in factors if k > word[1]]
        if length == 3:  # noqa: PLR2004 - the word's third column
            rest = matrix.T[last]
        else:
            rest = products[[i for i, (first, _) in enumerate(pairs) if first > word[1]]]

        if rest.size and np.abs(rest @ products[count]).max() > _NEAR_ZERO * len(matrix):
            return True

    return False


def defining_words(matrix: _Matrix) -> list[tuple[tuple[int, ...], int]]:
    """List the products of columns that never change sign, each with its sign.

    Args:
        matrix: Runs x factors, -1 and +1.

    They are the solutions w of B w = constant over GF(2), where B marks the minus signs; where
    there are more than 4,096, a basis of them.
    """
    bits = (matrix < 0).astype(np.uint8)
    basis = _null_space(bits ^ bits[0])
    words = []
    if 2 ** len(basis) <= _MOST_WORDS:
        chosen = itertools.product((0, 1), repeat=len(basis))
        vectors = [[b for keep, b in zip(keeps, basis, strict=True) if keep] for keeps in chosen]
        masks = [np.bitwise_xor.reduce(np.array(each)) for each in vectors if each]
    else:
        masks = basis

    for mask in masks:
        word = tuple(int(i) for i in np.flatnonzero(mask))
        words.append((word, round(math.prod(matrix[0, list(word)]))))

    return sorted(words, key=lambda item: (len(item[0]), item[0]))


def _null_space(bits: np.ndarray[Any, np.dtype[np.uint8]]) -> list[Any]:
    """Solve B w = 0 over GF(2) by elimination."""
    rows = np.unique(bits, axis=0)
    pivots: list[int] = []
    for column in range(rows.shape[1]):
        below = np.flatnonzero(rows[len(pivots) :, column])
        if not below.size:
            continue

        top, found = len(pivots), len(pivots) + below[0]
        rows[[top, found]] = rows[[found, top]]
        others = rows[:, column].astype(bool)
        others[top] = False
        rows[others] ^= rows[top]
        pivots.append(column)

    basis = []
    for free in sorted(set(range(rows.shape[1])) - set(pivots)):
        vector = np.zeros(rows.shape[1], dtype=np.uint8)
        vector[free] = 1
        vector[pivots] = rows[: len(pivots), free]
        basis.append(vector)

    return basis


def _effects(names: Sequence[str], matrix: _Matrix) -> tuple[list[str], _Matrix]:
    pairs = list(itertools.combinations(range(len(names)), 2))
    products = [matrix[:, i] * matrix[:, j] for i, j in pairs]
    labels = [*names, *(f"{names[i]}:{names[j]}" for i, j in pairs)]
    return labels, np.column_stack([matrix, *products]) if products else matrix


def _signed(effect: str, sign: float) -> str:
    return effect if sign > 0 else f"-{effect}"


def _roman(length: int) -> str:
    return _ROMAN[length] if length < len(_ROMAN) else str(length)
