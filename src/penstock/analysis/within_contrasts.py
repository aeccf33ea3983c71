"""Contrasts of these problems and no others, from the variance within each problem."""

from __future__ import annotations

from typing import Any

from penstock.analysis.distributions import t_tail, t_two_sided
from penstock.analysis.estimates import interval_of
from penstock.analysis.other_tests import equivalence_of
from penstock.analysis.sample import Sample, Weights
from penstock.analysis.within_problems import estimate_within_problems

__all__ = ["compare_within_problems"]


def compare_within_problems(
    sample: Sample, weights: Weights, delta: float | None
) -> dict[str, Any]:
    """Return the fields of a contrast on these problems alone.

    Args:
        sample: The scored runs.
        weights: What is compared.
        delta: The smallest effect of interest, in the outcome's own unit; where there is one,
            problems keep their scales.
    """
    can_standardise = delta is None and not sample.is_binary
    found = estimate_within_problems(sample, weights, may_standardise=can_standardise)
    stated: dict[str, Any] = {
        "n_problems": found.problems,
        "difference": found.value,
        "generalizes_to": "these_problems",
        "is_standardised": found.is_standardised,
    }
    if found.value is None or found.se is None or found.df is None:
        names = ["se", "interval", "t", "df", "p_t", "p", "equivalence"]
        names += ["difference"] if found.value is None else []
        return {**stated, "undefined": dict.fromkeys(names, found.why_not)}

    t = found.value / found.se
    scale = "; each in its own standard deviations" if found.is_standardised else ""
    return {
        **stated,
        "se": found.se,
        "df": found.df,
        "interval": interval_of(found.value, found.se, found.df),
        "t": t,
        "p_t": t_two_sided(t, found.df),
        "p_t_greater": t_tail(t, found.df),
        "p": t_two_sided(t, found.df),
        "test": "Welch's t within problems",
        "how": f"mean of {found.problems:,} problems' differences, of these problems only; "
        f"replicates are the unit{scale}",
        **_with_delta(found.value, found.se, found.df, delta),
    }


def _with_delta(value: float, se: float, df: float, delta: float | None) -> dict[str, Any]:
    if delta is None:
        return {}

    return {
        "p_superior": t_tail((value - delta) / se, df),
        "equivalence": equivalence_of(value, se, df, delta),
    }
