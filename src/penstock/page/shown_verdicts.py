"""Verdicts: what came of each hypothesis, or of each effect, as the page shows it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from penstock.analysis.analysis_facts import Analysis, OutcomeAnalysis
from penstock.analysis.contrasts import Contrast
from penstock.analysis.estimates import Interval
from penstock.analysis.verdicts import HypothesisResult
from penstock.page.sentences import effect_how, how_of, is_share_of, sentence_of
from penstock.page.view import Verdict
from penstock.study.model import Study

__all__ = ["shown_verdicts"]


def shown_verdicts(analysis: Analysis | None, study: Study) -> Iterable[Verdict]:
    """Yield a verdict for each hypothesis; where none is declared, for each effect.

    Args:
        analysis: What came of the study; None where it cannot be made.
        study: The study as it is declared.
    """
    if analysis is None:
        return

    smallest = {each.hypothesis_id: each.minimum_effect_of_interest for each in study.hypotheses}
    for result in analysis.hypotheses:
        yield _declared(result, analysis, smallest.get(result.hypothesis_id))

    if not analysis.hypotheses:
        yield from _exploratory(analysis.outcomes[analysis.primary])


def _declared(result: HypothesisResult, analysis: Analysis, delta: float | None) -> Verdict:
    contrast, outcome = result.contrast, analysis.outcomes[result.outcome]
    return Verdict(
        name=result.hypothesis_id,
        claim=result.statement,
        word=result.verdict,
        sentence=sentence_of(result, outcome),
        how=how_of(result, analysis),
        delta=delta,
        **_estimated(contrast, result.interval, outcome),
    )


def _exploratory(outcome: OutcomeAnalysis) -> Iterable[Verdict]:
    for name, contrast in {**outcome.contrasts, **outcome.effects}.items():
        if contrast.difference is None or (contrast.factor == name and not contrast.between):
            continue  # a main effect of two levels is its contrast again

        yield Verdict(
            name=name if contrast.between else contrast.factor,
            word="exploratory",
            sentence=sentence_of(contrast, outcome),
            how=effect_how(contrast, outcome),
            **_estimated(contrast, contrast.interval, outcome),
        )


def _estimated(
    contrast: Contrast | None, interval: Interval | None, outcome: OutcomeAnalysis
) -> dict[str, Any]:
    """Return a difference with its interval, its rows, and what it is counted in."""
    measured = _measure(outcome, contrast)
    if contrast is None:
        return measured

    return {
        "estimate": contrast.difference,
        "low": None if interval is None else interval.low,
        "high": None if interval is None else interval.high,
        "rows": contrast.rows,
        **measured,
    }


def _measure(outcome: OutcomeAnalysis, contrast: Contrast | None) -> dict[str, Any]:
    """Return what a difference is counted in."""
    if contrast is not None and contrast.is_standardised:
        return {"measure": f"{outcome.outcome}, in standard deviations between replicates"}

    if is_share_of(outcome):
        return {"measure": f"{outcome.outcome}, in percentage points", "is_share": True}

    unit = f", in {outcome.measured_in}" if outcome.measured_in else ""
    return {"measure": f"{outcome.outcome}{unit}"}
