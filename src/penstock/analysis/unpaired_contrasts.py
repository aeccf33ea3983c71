"""Contrasts without pairs: of problems that no two sides share, and of one problem's replicates."""

from __future__ import annotations

from typing import Any

import numpy as np

from penstock.analysis.other_tests import Welch, welch
from penstock.analysis.sample import Sample, Weights

__all__ = ["compare_replicates", "compare_unpaired"]


def compare_unpaired(sample: Sample, unpaired: Welch | None) -> dict[str, Any]:
    """Return the fields of a contrast of which no problem was scored on both sides.

    Args:
        sample: The scored runs.
        unpaired: Welch's test on problem means; None where a side has too few of them.
    """
    why = "no problem was scored on both sides, so nothing is paired."
    if sample.texts and not len(sample.values()):
        told = ", ".join(map(repr, sample.texts[:3]))
        why = f"the outcome is a text ({told}), which has shares and no mean to compare."

    found = {} if unpaired is None else _decided_by_welch(unpaired)
    names = ["p_sign_flips", "t", "equivalence", "power", *([] if found else ["difference", "p"])]
    return {
        "n_problems": 0,
        "welch": unpaired,
        "is_paired": False,
        "undefined": dict.fromkeys(names, why),
        "how": "Welch's test on problem means: no problem was scored on both sides",
        **found,
    }


def compare_replicates(sample: Sample, weights: Weights) -> dict[str, Any]:
    """Return the fields of a contrast of one problem, which says nothing of other problems.

    Args:
        sample: The scored runs.
        weights: What is compared.
    """
    sides = [
        np.concatenate(
            [
                np.empty(0),
                *(sample.values(arm) for arm, weight in weights.items() if weight * sign > 0),
            ]
        )
        for sign in (1, -1)
    ]
    unpaired = welch(*sides)
    why = "one problem gives no paired differences; Welch on the replicates stands instead."
    if unpaired is None:
        why = "one problem with fewer than two scored replicates on a side shows nothing."

    names = ["p_sign_flips", "p_t", "t", "d_z", "equivalence", *([] if unpaired else ["p"])]
    planned = "a pilot of one problem says nothing of how problems vary."
    return {
        "n_problems": 1,
        "welch": unpaired,
        "is_paired": False,
        "undefined": {
            **dict.fromkeys(names, why),
            "power": planned,
        },
        "how": "Welch's test on the replicates of one problem; nothing is said of other problems",
        **({} if unpaired is None else _decided_by_welch(unpaired)),
    }


def _decided_by_welch(unpaired: Welch) -> dict[str, Any]:
    return {
        "difference": unpaired.difference,
        "interval": unpaired.interval,
        "df": unpaired.df,
        "p": unpaired.p,
        "test": "Welch's t",
    }
