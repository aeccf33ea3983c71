"""Doubts: what a study can be run with and probably does not mean."""

from __future__ import annotations

from collections.abc import Iterator

from penstock._base.suggestions import did_you_mean
from penstock.planning.named_values import known_after, known_before
from penstock.planning.plan import Plan
from penstock.study.hypotheses import AnalysisPlan, HypothesisKind
from penstock.study.level_ranges import is_text_by_yaml
from penstock.study.model import Study

__all__ = ["study_doubts"]

_FEWEST_PROBLEMS = 6
"""Below so many problems no p of sign flips reaches 0.05: with five, 2 / 2**5 is the smallest."""

_SHOWN_OTHERWISE = frozenset(
    {HypothesisKind.EQUIVALENCE, HypothesisKind.ROBUSTNESS, HypothesisKind.EXPLORATORY}
)
"""Claims that sign flips do not decide."""


def study_doubts(study: Study, plan: Plan) -> Iterator[str]:
    """List what keeps a study from showing what it claims, however its runs come out.

    Args:
        study: The study; its hypotheses and analysis plans are looked at.
        plan: Its plan.
    """
    for each in study.analysis_plans:
        if each.multiple_comparison_policy is not None and each.adjustment is None:
            yield (
                f"Analysis plan '{each.analysis_plan_id}': the multiple_comparison_policy "
                f"'{each.multiple_comparison_policy}' is not known (holm, bonferroni, fdr_bh, "
                "dunnett, none), so its hypotheses are adjusted by Holm."
            )

        yield from _filters_of_results(study, each)
        yield from _unknown_covariates(study, each)
        yield from _tested_covariates(study, each)

    yield from _texts_like_numbers(study)
    yield from _too_few(study, plan)


def _texts_like_numbers(study: Study) -> Iterator[str]:
    """Name, once, the levels that a file keeps as texts although they look like numbers."""
    found = {
        factor.name: [
            each.value
            for each in factor.levels
            if isinstance(each.value, str) and is_text_by_yaml(each.value)
        ]
        for factor in study.factors
        if factor.dtype is None
    }
    told = [
        f"{', '.join(map(repr, values))} of factor '{name}'"
        for name, values in found.items()
        if values
    ]
    if told:
        yield (
            f"These levels are texts, though they look like numbers: {'; '.join(told)}. To make "
            "them numbers, say `dtype: float` (or int) of the factor; to keep them as texts, "
            "`dtype: str`."
        )


def _filters_of_results(study: Study, plan: AnalysisPlan) -> Iterator[str]:
    """List filters of what runs come to, which may be what a condition does."""
    before, after = known_before(study), known_after(study)
    for name in plan.filters:
        if name in after and name not in before:
            yield (
                f"Analysis plan '{plan.analysis_plan_id}': its filter '{name}' is known after a "
                "run only, so it may leave out more runs of one condition than of another; a run "
                "that it leaves out counts as one without a value, and the verdict says so."
            )


def _tested_covariates(study: Study, plan: AnalysisPlan) -> Iterator[str]:
    """List covariates that are what a hypothesis of the same plan compares."""
    for each in study.hypotheses:
        for name in plan.covariates:
            if each.hypothesis_id in plan.hypothesis_ids and name in each.independent_vars:
                yield (
                    f"Analysis plan '{plan.analysis_plan_id}': hypothesis "
                    f"'{each.hypothesis_id}' compares levels of '{name}', so it is not adjusted "
                    "for that covariate: nothing would be left of the difference."
                )


def _unknown_covariates(study: Study, plan: AnalysisPlan) -> Iterator[str]:
    """List covariates that neither the study nor its evaluators name: agents may record them."""
    known = list(dict.fromkeys([*known_before(study), *known_after(study)]))
    for name in plan.covariates:
        if name not in known:
            hint = did_you_mean(name, known, ".")
            yield (
                f"Analysis plan '{plan.analysis_plan_id}': the covariate '{name}' is not a factor, "
                "a block, an evaluator or a field of the problems, so it counts only where agents "
                f"record it{hint}"
            )


def _too_few(study: Study, plan: Plan) -> Iterator[str]:
    problems = len({problem for cell in plan.cells for problem in cell.problems})
    replicates = max((cell.replicates for cell in plan.cells), default=0)
    plans = {name: each for each in study.analysis_plans for name in each.hypothesis_ids}
    for hypothesis in study.hypotheses:
        name = hypothesis.hypothesis_id
        if _is_of_these_problems(plans.get(name)):
            if replicates == 1:
                yield (
                    f"Hypothesis '{name}' cannot be tested: its analysis plan means these problems "
                    "alone, and one replicate of each says nothing of others; raise `replicates`."
                )
        elif 1 < problems < _FEWEST_PROBLEMS and hypothesis.kind not in _SHOWN_OTHERWISE:
            yield (
                f"Hypothesis '{name}' cannot be supported: with {problems} problems no p value of "
                f"sign flips reaches 0.05, with {_FEWEST_PROBLEMS} it does; add problems, or say "
                "`generalize_to: these_problems` in its analysis plan where these are the ones "
                "that are of interest."
            )


def _is_of_these_problems(plan: AnalysisPlan | None) -> bool:
    return plan is not None and plan.generalize_to == "these_problems"
