"""Contrasts: the difference between two sides, paired by problem, with every test of it.

Sources: Student, Biometrika 6 (1908), 1-25, for the paired t; L. V. Hedges, Journal of Educational
Statistics 6 (1981), 107-128, for the small-sample correction of a standardised difference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from penstock._base.fact import EMPTY, Fact
from penstock.analysis.distributions import (
    hedges_factor,
    t_tail,
    t_two_sided,
)
from penstock.analysis.estimates import Interval, standard_error, t_interval
from penstock.analysis.other_tests import (
    Equivalence,
    McNemar,
    Welch,
    equivalence,
    mcnemar,
    welch,
)
from penstock.analysis.power import PairedPower, paired_power
from penstock.analysis.sample import WITHIN_PROBLEMS, Floats, Sample, Weights, weighted
from penstock.analysis.sign_flips import counted_sign_flips, sign_flips
from penstock.analysis.sources import rows_sql
from penstock.analysis.unpaired_contrasts import compare_replicates, compare_unpaired
from penstock.analysis.within_contrasts import compare_within_problems

__all__ = [
    "FEW_PROBLEMS",
    "Contrast",
    "Equivalence",
    "McNemar",
    "Weights",
    "Welch",
    "compare",
    "contrast_of",
]

FEW_PROBLEMS = 30
"""Below so many problems sign flips decide, which need no normal distribution."""


class Contrast(Fact):
    """The difference between two sides of the outcome.

    Args:
        name: ``left-right`` for two levels, the factor or ``a:b`` for an effect.
        factor: What was varied.
        left: The level on the left side.
        right: The level that is subtracted.
        between: For an interaction, what the effect of the factor is compared between, such as
            ``budget 1000 and 100``; else empty.
        n_problems: Problems that were scored on both sides.
        n_unpaired: Problems that were scored on one side only, and are left out.
        left_mean: The mean of the left side over the problems that were scored on both; the means
            of conditions are over all that each was scored on.
        right_mean: That of the right side.
        difference: The mean of the problems' differences.
        sd: Their standard deviation.
        se: The standard error of the difference.
        interval: The 95 % interval of Student's t.
        t: Student's t.
        df: Its degrees of freedom.
        p_t: Its p value, two-sided.
        p_t_greater: Its p value for a difference above 0.
        p_sign_flips: The p value of sign flips, two-sided; from 30 problems on where they can be
            counted.
        p_sign_flips_greater: The same for a difference above 0.
        p: The p value that decides, two-sided: of McNemar's test where each problem was tried
            once with outcomes of 0 and 1, of sign flips below 30 problems, else of t.
        test: Which test that is.
        is_exact: Whether all sign flips were counted; else 100,000 were drawn with a fixed seed.
        p_superior: That the difference is above the smallest effect of interest.
        d_z: The difference in standard deviations of the problems' differences.
        hedges_g_z: The same, corrected for few problems.
        equivalence: Two one-sided tests, where a smallest effect of interest is declared.
        mcnemar: McNemar's test, where it applies.
        welch: Welch's test, for data that are not paired, or beside the paired test.
        is_paired: Whether problems were scored on both sides.
        generalizes_to: What it is said of: the ``population`` of problems, or ``these_problems``.
        is_standardised: Whether it is in standard deviations between the replicates of a problem,
            because the scales of problems differ.
        simultaneous: The interval that holds with those of all hypotheses of its family.
        power: What the problems' differences say of the design's power.
        undefined: The name of each quantity that does not exist here -> why.
        chosen: Which runs it is made from, where filters of an analysis plan leave some out.
        how: The method, and the number of problems.
        rows: The SQL that gives the runs it was made from, each with its weight.
    """

    name: str
    factor: str
    left: str
    right: str
    between: str = ""
    n_problems: int
    n_unpaired: int = 0
    left_mean: float | None = None
    right_mean: float | None = None
    difference: float | None = None
    sd: float | None = None
    se: float | None = None
    interval: Interval | None = None
    t: float | None = None
    df: float | None = None
    p_t: float | None = None
    p_t_greater: float | None = None
    p_sign_flips: float | None = None
    p_sign_flips_greater: float | None = None
    p: float | None = None
    test: str | None = None
    is_exact: bool = True
    p_superior: float | None = None
    d_z: float | None = None
    hedges_g_z: float | None = None
    equivalence: Equivalence | None = None
    mcnemar: McNemar | None = None
    welch: Welch | None = None
    is_paired: bool = True
    generalizes_to: str = "population"
    is_standardised: bool = False
    simultaneous: Interval | None = None
    power: PairedPower | None = None
    undefined: dict[str, str] = EMPTY
    chosen: str = ""
    how: str = ""
    rows: str = ""


def contrast_of(sample: Sample, factor: str, left: Any, right: Any) -> Weights:
    """Return the weights of a difference of two levels, averaged over all that is varied beside."""
    sides = {
        side: [at for at in range(len(sample.arms)) if sample.level_of(at, factor) == level]
        for side, level in (("left", left), ("right", right))
    }
    weights = {at: 1 / len(sides["left"]) for at in sides["left"]}
    return weights | {at: -1 / len(sides["right"]) for at in sides["right"]}


def compare(
    sample: Sample,
    name: str,
    weights: Weights,
    *,
    factor: str = "",
    sides: Sequence[str] = ("", ""),
    between: str = "",
    delta: float | None = None,
) -> Contrast:
    """Compare two sides of a sample.

    Args:
        sample: The scored runs.
        name: The contrast's name.
        weights: What is compared.
        factor: What was varied.
        sides: The names of the left and the right side.
        between: For an interaction, what the effect is compared between.
        delta: The smallest effect of interest.
    """
    found = _compared(sample, weights, delta, is_difference=not between)
    how = "; ".join(filter(None, (found.pop("how", ""), sample.chosen.told)))
    return Contrast(
        name=name,
        factor=factor,
        left=sides[0],
        right=sides[1],
        between=between,
        rows=rows_sql(sample, weights),
        chosen=sample.chosen.told,
        how=how,
        **found,
    )


def _compared(
    sample: Sample, weights: Weights, delta: float | None, *, is_difference: bool
) -> dict[str, Any]:
    """Return the numbers of a contrast, by the unit of its sample."""
    if sample.unit == "replicate":
        return compare_replicates(sample, weights)

    if sample.unit == WITHIN_PROBLEMS:
        return compare_within_problems(sample, weights, delta)

    means = np.array([sample.means(arm) for arm in weights])
    differences = weighted(np.array([*weights.values()]), means)
    shared = ~np.isnan(differences)
    left, right = (_side(means, weights, sign) for sign in (1, -1))
    unpaired = welch(*(side[~np.isnan(side)] for side in (left, right)))
    on_one_side = int((np.isnan(left) ^ np.isnan(right)).sum())
    if not shared.any():
        return {**compare_unpaired(sample, unpaired), "n_unpaired": on_one_side}

    found = {**_paired(differences[shared], delta), "n_unpaired": on_one_side}
    if is_difference:
        found |= {
            "left_mean": float(left[shared].mean()),
            "right_mean": float(right[shared].mean()),
        }

    if _is_mcnemar(sample, weights):
        found["mcnemar"] = mcnemar(differences[shared])

    found["p"], found["test"] = _deciding(found)
    return {**found, "welch": unpaired, "how": _how(found)}


def _side(means: Floats, weights: Weights, sign: int) -> Floats:
    """Return the mean of one side on each problem; NaN where it was not scored there."""
    chosen = np.array([weight * sign > 0 for weight in weights.values()])
    shares = np.abs(np.array(list(weights.values())))[chosen]
    side: Floats = shares @ means[chosen]
    return side


def _paired(differences: Floats, delta: float | None) -> dict[str, Any]:
    count = len(differences)
    sd = float(differences.std(ddof=1)) if count > 1 else None
    is_constant = sd is None or _is_constant(differences, sd)
    # From 30 problems on t decides, and drawing flips would take longer than all the rest.
    test = sign_flips if count < FEW_PROBLEMS or is_constant else counted_sign_flips
    flips = test(differences)
    found: dict[str, Any] = {
        "n_problems": count,
        "difference": float(differences.mean()),
        "p_sign_flips": None if flips is None else flips.p,
        "p_sign_flips_greater": None if flips is None else flips.p_greater,
        "is_exact": flips is None or flips.is_exact,
    }
    if sd is None or is_constant:
        found["sd"] = None if sd is None else 0.0
        found["undefined"] = _nothing_varies(found["difference"], count)
        return found

    return {**found, "sd": sd, **_student(differences, sd, delta)}


def _is_constant(differences: Floats, sd: float) -> bool:
    return sd <= 1e-12 * float(np.abs(differences).max())


def _nothing_varies(difference: float, count: int) -> dict[str, str]:
    if count == 1:
        why = "there is one problem with both sides; its difference has no spread."
    elif difference == 0:
        why = "every difference is 0; there is nothing to test."
    else:
        why = f"the differences do not vary: each is {difference:.6g}."

    names = ("se", "interval", "t", "df", "p_t", "p_t_greater", "d_z", "hedges_g_z", "p_superior")
    planned = "the pilot shows no variation to plan with."
    return {**dict.fromkeys((*names, "equivalence"), why), "power": planned}


def _student(differences: Floats, sd: float, delta: float | None) -> dict[str, Any]:
    count, mean = len(differences), float(differences.mean())
    se, df = standard_error(differences), len(differences) - 1
    t = mean / se
    found: dict[str, Any] = {
        "se": se,
        "interval": t_interval(differences),
        "t": t,
        "df": df,
        "p_t": t_two_sided(t, df),
        "p_t_greater": t_tail(t, df),
        "d_z": mean / sd,
    }
    if df > 1:
        found["hedges_g_z"] = mean / sd * hedges_factor(df)
    else:
        found["undefined"] = {"hedges_g_z": "two problems are too few to correct for few problems."}

    if delta is not None:
        found["p_superior"] = t_tail((mean - delta) / se, df)
        found["equivalence"] = equivalence(differences, delta)
        found["power"] = paired_power(sd, count, delta)

    return found


def _is_mcnemar(sample: Sample, weights: Weights) -> bool:
    is_one_each = sorted(weights.values()) == [-1, 1]
    return is_one_each and sample.is_binary and sample.is_single_shot


def _deciding(found: Mapping[str, Any]) -> tuple[float, str]:
    if found.get("mcnemar") is not None:
        return found["mcnemar"].p, "McNemar's exact test"

    if found["n_problems"] < FEW_PROBLEMS or found.get("p_t") is None:
        return found["p_sign_flips"], "sign flips"

    return found["p_t"], "paired t"


def _how(found: Mapping[str, Any]) -> str:
    said = f"mean of {found['n_problems']:,} differences of problem means; p of {found['test']}"
    drawn = found["test"] == "sign flips" and not found["is_exact"]
    return said + (" (100,000 drawn with a fixed seed)" if drawn else "")
