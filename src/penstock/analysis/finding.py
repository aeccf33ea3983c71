"""The finding: what came of a study in three lines."""

from __future__ import annotations

from collections.abc import Iterator

from penstock.analysis.analysis_facts import Analysis, OutcomeAnalysis
from penstock.analysis.contrasts import Contrast
from penstock.analysis.estimates import shares_told

__all__ = ["finding_lines"]

_MOST_LINES = 3


def finding_lines(analysis: Analysis) -> list[str]:
    """Return what came of a study, in at most three lines.

    A line for each hypothesis; where none is declared, for each factor its clearest difference;
    where nothing is compared, for each condition its estimate. Where there is none, why.

    Args:
        analysis: What came of it.
    """
    if analysis.is_blind:
        ended = f"{analysis.ended:,} of {analysis.planned:,} have"
        return [f"the finding is withheld until every planned run has ended ({ended})"]

    primary = analysis.outcomes[analysis.primary]
    found = [f"{each.hypothesis_id}: {each.sentence}" for each in analysis.hypotheses]
    found = found or [*_differences(primary)] or [*_estimates(primary)]
    if not found:
        return [f"no finding: no run has a value of the outcome {analysis.primary!r}"]

    if len(found) > _MOST_LINES:
        left = len(found) - _MOST_LINES + 1
        found[_MOST_LINES - 1 :] = [f"and {left:,} more: penstock analyze shows them"]

    return found


def _differences(outcome: OutcomeAnalysis) -> Iterator[str]:
    """Yield for each factor which of its levels differ most clearly."""
    clearest: dict[str, Contrast] = {}
    for contrast in outcome.contrasts.values():
        known = clearest.get(contrast.factor)
        if contrast.difference is not None and (known is None or _p(contrast) < _p(known)):
            clearest[contrast.factor] = contrast

    for factor, contrast in clearest.items():
        found = f"{factor} (exploratory): {contrast.name} = {contrast.difference:.4g}"
        if (interval := contrast.interval) is not None:
            found += f" [{interval.low:.4g}, {interval.high:.4g}]"

        yield found if contrast.p is None else f"{found}, p = {contrast.p:.2g}"


def _p(contrast: Contrast) -> float:
    return 1.0 if contrast.p is None else contrast.p


def _estimates(outcome: OutcomeAnalysis) -> Iterator[str]:
    for each in outcome.conditions:
        if each.mean is not None:
            between = "" if each.interval is None else f" [{each.interval.low:.4g}, "
            ends = "" if each.interval is None else f"{each.interval.high:.4g}]"
            yield f"{each.name}: {outcome.outcome} = {each.mean:.4g}{between}{ends}"
        elif each.shares:
            yield f"{each.name}: {outcome.outcome} = {shares_told(each.shares)}"
