"""Sentences: what was found of a hypothesis, and numbers as people read them."""

from __future__ import annotations

from collections.abc import Sequence
from math import floor, log10

from penstock.analysis.adjustment import ALPHA
from penstock.analysis.analysis_facts import Analysis, OutcomeAnalysis
from penstock.analysis.contrasts import Contrast
from penstock.analysis.verdicts import (
    POLICY_NAMES,
    HypothesisResult,
    problems_told,
    why_untested,
)

__all__ = [
    "MINUS",
    "difference_told",
    "effect_how",
    "how_of",
    "interval_told",
    "is_share_of",
    "money_told",
    "p_told",
    "sentence_of",
    "value_told",
]


MINUS = "\u2212"
_MOST_DECIMALS = 6
_LARGEST = 1e9


def value_told(value: float | None, *, is_share: bool) -> str:
    """Write a value of the outcome: ``54.5 %``, or ``0.523``."""
    if value is None:
        return "\u2013"

    return f"{100 * value:.1f} %" if is_share else f"{value:.4g}"


def money_told(value: float | None, *, decimals: int = 4) -> str:
    """Write US dollars with so many decimals, or as many more as show two digits of a small sum."""
    if value is None:
        return "\u2013"

    needed = 1 - floor(log10(abs(value))) if value else 0
    return f"${value:,.{min(max(decimals, needed), 9)}f}"


def difference_told(
    value: float, *, is_share: bool, signed: bool = True, like: Sequence[float] = ()
) -> str:
    """Write a difference: ``+13.0`` points, or ``+0.0736``.

    Args:
        value: The difference.
        is_share: Whether it is one of shares, in points.
        signed: Whether a sign stands before it.
        like: Other numbers beside it; all have as many decimals as the largest needs.
    """
    factor = 100 if is_share else 1
    largest = max(abs(each) * factor for each in (value, *like))
    decimals = 1 if is_share else max(0, 2 - floor(log10(largest))) if largest else 0
    is_plain = decimals <= _MOST_DECIMALS and largest < _LARGEST
    text = f"{value * factor:+,.{decimals}f}" if is_plain else f"{value:+.3g}"
    if not text.strip("+-0.,"):
        text = text.replace("-", "+")  # there is no negative zero

    return (text if signed else text.lstrip("+-")).replace("-", MINUS)


def interval_told(estimate: float, low: float | None, high: float | None, *, is_share: bool) -> str:
    """Write an estimate with its interval: ``+13.0 [+8.4, +17.6]``."""
    if low is None or high is None:
        return difference_told(estimate, is_share=is_share)

    told = [
        difference_told(each, is_share=is_share, like=(estimate, low, high))
        for each in (estimate, low, high)
    ]
    return f"{told[0]} [{told[1]}, {told[2]}]"


def p_told(p: float | None) -> str:
    """Write a p value: ``p = .021``, with spaces that do not break."""
    if p is None:
        return ""

    if p < 0.001:  # noqa: PLR2004 - nobody needs more
        return "p\u00a0<\u00a0.001"

    return f"p\u00a0=\u00a0{p:.3f}".replace("0.", ".", 1)


def sentence_of(result: HypothesisResult | Contrast, outcome: OutcomeAnalysis) -> str:
    """Write what was found of a hypothesis, or of an effect that nobody declared.

    Args:
        result: What was found.
        outcome: The outcome that it is about.
    """
    contrast = result.contrast if isinstance(result, HypothesisResult) else result
    if contrast is None or contrast.difference is None:
        return result.sentence if isinstance(result, HypothesisResult) else contrast_less(contrast)

    is_share = is_share_of(outcome)
    unit = " points" if is_share else f" {outcome.measured_in}".rstrip()
    unit = " standard deviations" if contrast.is_standardised else unit
    interval = result.interval
    ends = () if interval is None else (interval.low, interval.high)
    told = difference_told(contrast.difference, is_share=is_share, signed=False, like=ends)
    size = f"{told}{unit}"
    if not isinstance(result, HypothesisResult):
        return _compared(contrast, size, outcome.better)

    return _verdict(result, contrast, size, outcome.better)


def _verdict(result: HypothesisResult, contrast: Contrast, size: str, better: str | None) -> str:
    """Write what was found of a hypothesis in the words of its verdict."""
    told = _compared(contrast, size, better)
    differ = f"{contrast.left} and {contrast.right} differ by {size}"
    if result.verdict == "equivalent":
        return f"{differ}: not enough to matter."

    if result.verdict == "inconclusive":
        told = _compared(contrast, size, None)
        return f"Not shown: {told[0].lower() + told[1:] if contrast.factor else told}"

    if result.verdict == "not supported" and (result.p_adjusted or 0.0) > ALPHA:
        return f"{differ}: shown to be too small to matter."

    if result.verdict == "not supported":
        return f"{told} That is the other way than claimed."

    return f"{told} Its size is unsure." if result.size == "unsure" else told


def is_share_of(outcome: OutcomeAnalysis) -> bool:
    """Return whether an outcome is a share of runs, which is shown in percent."""
    return any(each.wilson is not None for each in outcome.conditions)


def contrast_less(contrast: Contrast | None) -> str:
    """Write why there is no difference."""
    return "" if contrast is None else next(iter(contrast.undefined.values()), "")


def _compared(contrast: Contrast, size: str, better: str | None) -> str:
    if contrast.between:
        more = "higher" if (contrast.difference or 0) > 0 else "lower"
        first, _, second = contrast.between.rpartition(" and ")
        sides = f" ({contrast.left} less {contrast.right})" if contrast.left else ""
        effect = f"The effect of {contrast.factor}{sides}"
        if not contrast.difference:
            return f"{effect} is the same with {first} as with {second}."

        return f"{effect} is {size} {more} with {first} than with {second}."

    if not contrast.difference:
        return f"{contrast.left} and {contrast.right} came to the same."

    is_above = contrast.difference > 0
    told = f"{contrast.left} lies {size} {'above' if is_above else 'below'} {contrast.right}"
    if better is None:
        return f"{told}."

    return f"{told}, which is {'better' if is_above == (better == 'higher') else 'worse'}."


def _alias_told(contrast: Contrast, outcome: OutcomeAnalysis) -> str:
    """Write which effects the design cannot tell from one."""
    effect = contrast.name if contrast.between else contrast.factor
    aliased = outcome.aliases.get(effect, ())
    return f"the design cannot tell it from {', '.join(aliased)}" if aliased else ""


def _adjusted_told(contrast: Contrast, outcome: OutcomeAnalysis) -> str:
    """Write what a difference is where it is adjusted for covariates; empty where for none."""
    found = outcome.regressions.get(contrast.name)
    if found is None or not found.covariates:
        return ""

    told = interval_told(
        found.coefficient,
        found.interval.low,
        found.interval.high,
        is_share=is_share_of(outcome),
    )
    return f"adjusted for {', '.join(found.covariates)}: {told}, {p_told(found.cr2.p)}"


def effect_how(contrast: Contrast, outcome: OutcomeAnalysis) -> str:
    """Write how an effect that nobody declared was estimated."""
    beside = _adjusted_told(contrast, outcome), _alias_told(contrast, outcome)
    return "; ".join(filter(None, (contrast.how, *beside)))


def how_of(result: HypothesisResult, analysis: Analysis) -> str:
    """Write how a hypothesis was judged: test, adjustment, p, numbers, standardised effect."""
    contrast = result.contrast
    if contrast is None or contrast.test is None:
        return ""

    family = next((each for each in analysis.families if result.hypothesis_id in each.p), None)
    problems = problems_told(contrast).removeprefix("for ")
    is_tested = result.p_adjusted is not None
    parts = [f"{result.test} on {problems}"] if is_tested else [why_untested(result), problems]
    if family is not None and len(family.p) > 1:
        is_adjusted = family.policy != "none"
        over = f"{POLICY_NAMES[family.policy]} over {len(family.p)}" if is_adjusted else ""
        parts.append(over or "not adjusted")

    parts += [p_told(result.p_adjusted), contrast.chosen]
    if result.missing:
        parts.append(result.missing)

    if contrast.d_z is not None:
        parts.append(f"d = {contrast.d_z:.2f}".replace("-", MINUS))

    outcome = analysis.outcomes[result.outcome]
    parts += [_adjusted_told(contrast, outcome), _alias_told(contrast, outcome)]
    return " · ".join(part for part in parts if part)
