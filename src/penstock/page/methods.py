"""The paragraph for the methods section of a paper."""

from __future__ import annotations

from penstock.analysis.analysis_facts import Analysis
from penstock.analysis.sample import WITHIN_PROBLEMS, Sample
from penstock.analysis.verdicts import POLICY_NAMES, Family
from penstock.study.model import Study

__all__ = ["methods_of"]


def methods_of(study: Study, sample: Sample, analysis: Analysis | None) -> str:
    """Write a paragraph for the methods section of a paper."""
    order = str(study.run_order).replace("_", " ")
    shape = f"{len(sample.arms):,} conditions were run on {len(sample.problems):,} problems"
    repeats = study.replicates
    each = "one replicate" if repeats == 1 else f"{repeats:,} replicates"
    told = [f"{shape} with {each} each, in {order} order."]
    if analysis is not None and (chosen := analysis.outcomes[analysis.primary].chosen):
        told.append(f"Analysed were {chosen}.")

    if analysis is not None and sample.unit == WITHIN_PROBLEMS:
        told.append(
            "What is found is said of these problems and of no others: differences are means over "
            "them, with the variance between the replicates of each problem and condition, and "
            "degrees of freedom as in Welch's test."
        )
    if analysis is not None and sample.unit == "problem":
        told.append(
            "Conditions were compared on problem means, paired by problem; p values are two-sided, "
            "from sign flips below 30 problems, from McNemar's exact test where each problem was "
            "tried once with outcomes of 0 and 1, else from Student's t."
        )
        told += [
            f"{len(family.p)} hypotheses were {_adjusted_by(family)}."
            for family in analysis.families
            if len(family.p) > 1
        ]
        told += _covariates_told(analysis)

    return " ".join(told)


def _covariates_told(analysis: Analysis) -> list[str]:
    primary = analysis.outcomes[analysis.primary]
    names = [each.name for each in primary.covariates if each.columns]
    if not names:
        return []

    adjusted = (
        f"Differences adjusted for {', '.join(names)} stand beside them, from a regression with "
        "problems as fixed effects and errors clustered by problem (CR2)."
    )
    return [adjusted]


def _adjusted_by(family: Family) -> str:
    if family.policy == "none":
        return "not adjusted for each other, as the analysis plan declares"

    return f"adjusted for each other by {POLICY_NAMES[family.policy]}"
