"""Verdicts: what the data say of each declared hypothesis, in its own terms.

A hypothesis is *supported* where its adjusted p is at most 0.05 and the estimate points the
declared way; *not supported* where it points the other way, or where the effect is shown to be
smaller than what would matter; *equivalent* where an equivalence was claimed and is shown; else
*inconclusive*.
"""

from __future__ import annotations

from typing import Any

from penstock._base.fact import EMPTY, Fact
from penstock.analysis.adjustment import ALPHA
from penstock.analysis.contrasts import Contrast
from penstock.analysis.estimates import Interval
from penstock.analysis.missingness import Compared, Missing
from penstock.study.hypotheses import Hypothesis, HypothesisDirection, HypothesisKind

__all__ = [
    "EQUIVALENCES",
    "POLICY_NAMES",
    "Family",
    "HypothesisResult",
    "judge",
    "problems_told",
    "why_untested",
]

EQUIVALENCES = frozenset({HypothesisKind.EQUIVALENCE, HypothesisKind.ROBUSTNESS})
"""Kinds of claims that there is no difference."""


class Family(Fact):
    """The hypotheses that are adjusted for each other: those of one analysis plan.

    Args:
        analysis_plan_id: The plan; None for hypotheses that no plan names.
        policy: How p values are adjusted.
        is_declared: Whether the plan names the policy that is used; else it is Holm's.
        p: Hypothesis -> the p value that entered.
        adjusted: Hypothesis -> the same, adjusted.
        note: Why another policy than the declared one was used, or what else of the plan is not
            done; None where all is.
        alternatives: Policy and test -> hypothesis -> adjusted p, for who would have chosen others.
    """

    analysis_plan_id: str | None
    policy: str
    is_declared: bool
    p: dict[str, float] = EMPTY
    adjusted: dict[str, float] = EMPTY
    note: str | None = None
    alternatives: dict[str, dict[str, float]] = EMPTY


class HypothesisResult(Fact):
    """What came of a hypothesis.

    Args:
        hypothesis_id: Which one.
        statement: What it claims.
        outcome: Which outcome it is about.
        contrast: The contrast it was judged by; None where there is none.
        is_equivalence: Whether it claims that there is no difference that matters.
        verdict: ``supported``, ``not supported``, ``equivalent`` or ``inconclusive``;
            ``exploratory`` where it claims nothing; ``blind`` while runs are left.
        size: Against the smallest effect of interest: ``shown`` where the interval lies beyond it,
            ``unsure`` where it excludes 0 and reaches below it, ``null`` where it holds 0.
        p_adjusted: The p value, adjusted for its family.
        test: The test that it is of: Dunnett's where the family is adjusted by it.
        interval: The 95 % interval that goes with it: Dunnett's with Dunnett's test.
        missing: Which runs have no value; empty where all have one.
        sentence: The verdict and the size with their numbers.
    """

    hypothesis_id: str
    statement: str
    outcome: str
    contrast: Contrast | None = None
    is_equivalence: bool = False
    verdict: str = "inconclusive"
    size: str | None = None
    p_adjusted: float | None = None
    test: str | None = None
    interval: Interval | None = None
    missing: str = ""
    sentence: str = ""


def deciding_p(hypothesis: Hypothesis, contrast: Contrast) -> float | None:
    """Return the p value that a hypothesis brings into its family."""
    if hypothesis.kind in EQUIVALENCES:
        return None if contrast.equivalence is None else contrast.equivalence.p

    return contrast.p


def judge(
    hypothesis: Hypothesis,
    outcome: str,
    compared: Compared | None,
    family: Family,
    *,
    why_not: str = "",
) -> HypothesisResult:
    """Judge a hypothesis by its contrast.

    Args:
        hypothesis: The declared claim.
        outcome: The name of its outcome.
        compared: What was found; None where nothing could be compared.
        family: The p values it is adjusted with.
        why_not: Why there is no contrast.
    """
    p = family.adjusted.get(hypothesis.hypothesis_id)
    stated: dict[str, Any] = {
        "hypothesis_id": hypothesis.hypothesis_id,
        "statement": hypothesis.statement,
        "outcome": outcome,
        "is_equivalence": hypothesis.kind in EQUIVALENCES,
    }
    contrast = None if compared is None else compared.contrast
    if compared is None or contrast is None or contrast.difference is None:
        why = why_not or next(iter(contrast.undefined.values()), "") if contrast else why_not
        return HypothesisResult(**stated, contrast=contrast, sentence=f"Inconclusive: {why}")

    if hypothesis.kind is HypothesisKind.EXPLORATORY:
        verdict = "exploratory"
    elif hypothesis.kind in EQUIVALENCES:
        verdict = _of_equivalence(contrast, p)
    else:
        verdict = _of_effect(hypothesis, contrast, p)

    interval = _interval(contrast, family)
    judged = HypothesisResult(
        **stated,
        contrast=contrast,
        verdict=verdict,
        size=_size(interval, hypothesis.minimum_effect_of_interest),
        p_adjusted=p,
        test=_test(hypothesis, contrast, family),
        interval=interval,
        missing="" if compared.missing is None else _missing_told(contrast, compared.missing),
    )
    sentence = _sentence(hypothesis, contrast, family, judged)
    return judged.model_copy(update={"sentence": sentence})


def _of_equivalence(contrast: Contrast, p: float | None) -> str:
    if p is not None and p <= ALPHA:
        return "equivalent"

    equivalence = contrast.equivalence
    if equivalence is not None and (
        equivalence.interval.low > equivalence.delta
        or equivalence.interval.high < -equivalence.delta
    ):
        return "not supported"

    return "inconclusive"


def _of_effect(hypothesis: Hypothesis, contrast: Contrast, p: float | None) -> str:
    if p is not None and p <= ALPHA and contrast.difference:
        return "supported" if _points_as_declared(hypothesis, contrast) else "not supported"

    equivalence = contrast.equivalence
    if equivalence is not None and equivalence.p <= ALPHA:
        return "not supported"

    return "inconclusive"


def _points_as_declared(hypothesis: Hypothesis, contrast: Contrast) -> bool:
    difference = contrast.difference or 0.0
    if hypothesis.direction is HypothesisDirection.GREATER:
        return difference > 0

    return difference < 0 if hypothesis.direction is HypothesisDirection.LESS else True


def _interval(contrast: Contrast, family: Family) -> Interval | None:
    """Return the interval that goes with the p value: Dunnett's with Dunnett's."""
    if family.policy == "dunnett" and contrast.simultaneous is not None:
        return contrast.simultaneous

    return contrast.interval


def _test(hypothesis: Hypothesis, contrast: Contrast, family: Family) -> str | None:
    """Return what the p value is of."""
    if family.policy == "dunnett":
        return "Dunnett's test"

    return "two one-sided tests" if hypothesis.kind in EQUIVALENCES else contrast.test


def _size(interval: Interval | None, delta: float | None) -> str | None:
    if interval is None:
        return None

    if interval.low <= 0 <= interval.high:
        return "null"

    if delta is None:
        return None

    return "shown" if min(abs(interval.low), abs(interval.high)) >= delta else "unsure"


_SIZES = {
    "shown": "it is larger than the smallest effect of interest ({delta:g})",
    "unsure": "it is not shown to exceed the smallest effect of interest ({delta:g})",
    "null": "the interval holds 0",
}


def _sentence(
    hypothesis: Hypothesis,
    contrast: Contrast,
    family: Family,
    judged: HypothesisResult,
) -> str:
    interval, p = judged.interval, judged.p_adjusted
    found = f"{contrast.name} = {contrast.difference:.4g}"
    if interval is not None:
        found += f" [{interval.low:.4g}, {interval.high:.4g}]"

    said = [f"{judged.verdict.capitalize()}: {found}"]
    if p is not None:
        said.append(f"p {_told(p)} ({judged.test}, {_policy(family)})")
    elif hypothesis.kind is not HypothesisKind.EXPLORATORY:
        said.append(why_untested(judged))

    said.append(problems_told(contrast))
    if contrast.chosen:
        said.append(contrast.chosen)

    if contrast.is_standardised:
        said.append("in standard deviations of each problem's replicates")

    if judged.size is not None:
        said.append(_SIZES[judged.size].format(delta=hypothesis.minimum_effect_of_interest))

    if hypothesis.kind not in EQUIVALENCES and _differ(interval, p):
        said.append("the test and the interval differ here, and the test decides")

    if judged.missing:
        said.append(judged.missing)

    if family.note is not None:
        said.append(family.note)

    return ", ".join(said) + "."


def why_untested(judged: HypothesisResult) -> str:
    """Return why a hypothesis has no p value."""
    undefined = EMPTY if judged.contrast is None else judged.contrast.undefined
    name = "equivalence" if judged.is_equivalence else "p"
    return f"not tested: {undefined.get(name, 'nothing tests it').rstrip('.')}"


def problems_told(contrast: Contrast) -> str:
    """Describe how many problems a contrast is made from, and which it holds for."""
    told = "1 problem" if contrast.n_problems == 1 else f"{contrast.n_problems:,} problems"
    if contrast.generalizes_to == "these_problems":
        told = f"for these {contrast.n_problems:,} problems and no others"

    if not contrast.n_problems and contrast.n_unpaired:
        return f"{contrast.n_unpaired:,} problems, none of them scored on both sides"

    if contrast.n_unpaired:
        told += f" ({contrast.n_unpaired:,} more were scored on one side only)"

    return told


def _differ(interval: Interval | None, p: float | None) -> bool:
    """Return whether an interval holds 0 where the test excludes it, or the other way round."""
    if interval is None or p is None:
        return False

    return (interval.low <= 0 <= interval.high) == (p <= ALPHA)


def _missing_told(contrast: Contrast, missing: Missing) -> str:
    told = f"{missing.without:,} of {missing.runs:,} runs have no value"
    p, difference = missing.contrast.p, missing.contrast.difference
    if p is None or difference is None or p > ALPHA:
        return told

    side = contrast.left if difference > 0 else contrast.right
    where = "some conditions than under others" if contrast.between else side
    return f"{told}, more of them under {where} (p {_told(p)})"


POLICY_NAMES = {
    "holm": "Holm",
    "bonferroni": "Bonferroni",
    "fdr_bh": "Benjamini-Hochberg",
    "dunnett": "Dunnett",
}
"""What policies of multiple comparisons are called in a sentence."""


def _policy(family: Family) -> str:
    count = len(family.p)
    if count <= 1:
        return "the only hypothesis of its family"

    if family.policy == "none":
        return "not adjusted"

    if family.policy == "dunnett":
        return f"adjusted for {count} comparisons with one control"

    return f"{POLICY_NAMES[family.policy]} over {count} hypotheses"


def _told(p: float) -> str:
    return f"= {p:.2g}" if p >= 0.0001 else "< 0.0001"  # noqa: PLR2004 - nobody needs more
