"""Sentences: what each section of the page found, and numbers as people read them."""

from __future__ import annotations

from collections.abc import Sequence
from math import floor, log10, sqrt
from statistics import NormalDist

from penstock.analysis.adjustment import ALPHA
from penstock.analysis.analysis_facts import Analysis, OutcomeAnalysis
from penstock.analysis.contrasts import Contrast
from penstock.analysis.verdicts import POLICY_NAMES, HypothesisResult
from penstock.analysis.winners import Winner
from penstock.page.view import ConditionRow, FlowRow, Matrix, TimePoint

__all__ = [
    "MINUS",
    "conditions_finding",
    "difference_told",
    "effect_how",
    "flow_finding",
    "how_of",
    "interval_told",
    "is_share_of",
    "matrix_finding",
    "money_told",
    "p_told",
    "sentence_of",
    "time_finding",
    "value_told",
    "winners_finding",
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
    these = "these " if contrast.generalizes_to == "these_problems" else ""
    is_one = contrast.n_problems == 1
    problems = "one problem" if is_one else f"{these}{contrast.n_problems:,} problems"
    if contrast.n_unpaired:
        problems += f" ({contrast.n_unpaired:,} more were scored on one side only)"

    parts = [f"{result.test} on {problems}"]
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


def conditions_finding(rows: Sequence[ConditionRow], *, is_share: bool, unit: str) -> str:
    """Write which condition came out highest and which lowest."""
    known = [row for row in rows if row.mean is not None]
    if len(known) <= 1:
        return ""

    best = max(known, key=lambda row: row.mean or 0)
    worst = min(known, key=lambda row: row.mean or 0)
    if best.mean == worst.mean:
        return f"All conditions came to {value_told(best.mean, is_share=is_share)}."

    told = (
        f"{best.name} came to {value_told(best.mean, is_share=is_share)}, {worst.name} to "
        f"{value_told(worst.mean, is_share=is_share)}."
    )
    if unit == "problem" and best.low is not None:
        told += " Intervals take the problems for a sample; for differences read the verdict."

    return told


def winners_finding(winners: Sequence[Winner]) -> str:
    """Write which level is best in each setting, where that is more than a verdict says.

    Of two levels the verdict says it already, unless they change places with the setting.
    """
    levels = {level for each in winners for level in (each.best, each.runner_up)}
    if len(levels) <= 2 and len({each.best for each in winners}) <= 1:  # noqa: PLR2004
        return ""

    return " ".join(_best(each) for each in winners)


def _best(winner: Winner) -> str:
    where = ", ".join(f"{name} {level}" for name, level in winner.setting.items())
    told = f"{where}: {winner.best}" if where else winner.best
    if winner.is_shown:
        return f"{told} is best ({p_told(winner.p_adjusted)})."

    return f"{told} came out best, which is not shown: {winner.runner_up} is close."


def flow_finding(rows: Sequence[FlowRow], planned: int, found: OutcomeAnalysis | None) -> str:
    """Write how many runs have no outcome, and whether that depends on the condition."""
    scored = sum(row.scored for row in rows)
    told = f"{planned - scored:,} of {planned:,} planned runs have no outcome."
    if scored == planned:
        told = f"Every one of the {planned:,} planned runs has an outcome."

    if found is not None and found.chosen:
        told += f" Analysed are {found.chosen}."

    tests = [] if found is None else [each for each in found.missing.values() if each.p is not None]
    if tests:
        least = min(tests, key=lambda each: each.p or 1.0)
        depends = "depends" if (least.p or 1.0) <= ALPHA else "is not shown to depend"
        told += f" Whether a run has one {depends} on the condition ({p_told(least.p)})."

    return told


def matrix_finding(matrix: Matrix, *, is_share: bool, better: str | None = None) -> str:
    """Write which problems are hardest and easiest, and what the colours of the figure mean."""
    if len(matrix.problems) <= 1:
        return ""

    means = [[row[at] for row in matrix.values if row[at] is not None] for at in (0, -1)]
    hard, easy = (sum(each) / len(each) if each else None for each in means)  # type: ignore[arg-type]
    order = "From hard to easy" if is_share or better else "From low to high"
    failed = "; a mark at the bottom of a cell: runs failed" if any(map(any, matrix.failed)) else ""
    return (
        f"{order}: {matrix.problems[0]} "
        f"({value_told(hard, is_share=is_share)}) to {matrix.problems[-1]} "
        f"({value_told(easy, is_share=is_share)}). The stronger its colour, the higher a cell"
        f"{'' if is_share else ' among those of its problem'}{failed}."
    )


def time_finding(points: Sequence[TimePoint], *, is_share: bool) -> str:
    """Write whether the outcome moved between the first and the last quarter of the runs."""
    told = []
    agents = list(dict.fromkeys(point.agent for point in points))
    error = sqrt(2) * NormalDist().inv_cdf(1 - ALPHA / 2 / max(1, len(agents)))
    unit = " points" if is_share else ""
    for agent in agents:
        own = [point for point in points if point.agent == agent]
        quarter = len(own) // 4
        first = sum(point.mean for point in own[:quarter]) / quarter
        last = sum(point.mean for point in own[-quarter:]) / quarter
        spread = sum((p.high - p.low) / 3.92 for p in own) / len(own) / quarter**0.5
        moved = abs(last - first) > error * spread
        change = difference_told(last - first, is_share=is_share)
        told.append(
            f"{agent} moved by {change}{unit} from the first quarter of the runs to the last."
            if moved
            else f"{agent} did not move from the first quarter of the runs to the last."
        )

    return " ".join(told)
