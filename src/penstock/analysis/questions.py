"""Questions: what each declared hypothesis asks of a sample, and the family it belongs to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from penstock.analysis.adjustment import POLICIES, adjusted
from penstock.analysis.contrasts import Contrast, Weights, compare, contrast_of
from penstock.analysis.effects import Sides, interaction_of, with_control
from penstock.analysis.sample import Sample
from penstock.analysis.verdicts import Family, deciding_p
from penstock.study.hypotheses import AnalysisPlan, Hypothesis, HypothesisKind
from penstock.study.model import Study

__all__ = ["Question", "families_of", "question_of"]


class Question(NamedTuple):
    """What a hypothesis asks, and what a sample answers.

    Args:
        hypothesis: The declared claim.
        outcome: The name of the outcome it is about.
        contrast: The answer; None where nothing can be compared.
        weights: Which conditions are compared.
        why_not: Why nothing can be compared.
    """

    hypothesis: Hypothesis
    outcome: str
    contrast: Contrast | None = None
    weights: Weights = MappingProxyType({})
    why_not: str = ""


def question_of(hypothesis: Hypothesis, samples: Mapping[str, Sample]) -> Question:
    """Find what a hypothesis compares, and compare it.

    Args:
        hypothesis: The declared claim.
        samples: Outcome -> its sample, the primary one first.
    """
    named = [name for name in hypothesis.dependent_vars if name in samples]
    outcome = named[0] if named else next(iter(samples))
    sample = samples[outcome]
    sides, why_not = _sides(hypothesis, sample)
    if sides is None:
        return Question(hypothesis, outcome, why_not=why_not)

    name, between, weights = _weights(hypothesis, sample, sides)
    left, right = str(sides[1]), str(sides[2])
    contrast = compare(
        sample,
        name,
        weights,
        factor=sides[0],
        sides=(left, right),
        between=between,
        delta=hypothesis.minimum_effect_of_interest,
    )
    return Question(hypothesis, outcome, contrast=contrast, weights=weights)


def _sides(hypothesis: Hypothesis, sample: Sample) -> tuple[Sides | None, str]:
    """Return the factor and the two levels that are compared, or why there are none."""
    if hypothesis.kind is HypothesisKind.MEDIATION:
        return None, "mediation is not analysed: it needs a model of the mediator."

    factors = sample.factors()
    factor = _factor_of(hypothesis, sample)
    if factor is None:
        return None, "none of the variables that it names was varied in the runs that were made."

    first, *others = factors[factor]
    if hypothesis.contrast is None:
        return (factor, others[-1], first), ""

    named = hypothesis.contrast.left, hypothesis.contrast.right
    left, right = (sample.level_called(factor, name) for name in named)
    if left is None or right is None:
        both = "{!r} and {!r}".format(*named)
        return None, f"{both} are not both levels of {factor!r} that were run."

    return (factor, left, right), ""


def _factor_of(hypothesis: Hypothesis, sample: Sample) -> str | None:
    """Return what a hypothesis compares levels of: agents, say, where it names no variable."""
    factors = sample.factors()
    named = [name for name in hypothesis.independent_vars if name in factors]
    if named or hypothesis.independent_vars or hypothesis.contrast is None:
        return named[0] if named else None

    sides = hypothesis.contrast.left, hypothesis.contrast.right
    return next(
        (
            name
            for name in factors
            if all(sample.level_called(name, each) is not None for each in sides)
        ),
        None,
    )


def _weights(hypothesis: Hypothesis, sample: Sample, sides: Sides) -> tuple[str, str, Weights]:
    """Return the name of what is compared, what an interaction is between, and the weights."""
    factors = sample.factors()
    moderator = next((each for each in hypothesis.moderators if each.name in factors), None)
    if hypothesis.kind is not HypothesisKind.MODERATION or moderator is None:
        return f"{sides[1]}-{sides[2]}", "", contrast_of(sample, *sides)

    low, *others = factors[moderator.name]
    weights = interaction_of(sample, sides, (moderator.name, others[-1], low))
    return f"{sides[0]}:{moderator.name}", f"{moderator.name} {others[-1]} and {low}", weights


def families_of(
    study: Study, questions: Sequence[Question], samples: Mapping[str, Sample]
) -> list[Family]:
    """Adjust the hypotheses of each analysis plan for each other; the rest are a family too.

    Args:
        study: The study with its analysis plans.
        questions: What its hypotheses ask.
        samples: Outcome -> its sample.
    """
    return [_family(plan, members, samples) for plan, members in _members(study, questions)]


def _members(
    study: Study, questions: Sequence[Question]
) -> Iterator[tuple[AnalysisPlan | None, list[Question]]]:
    left = {question.hypothesis.hypothesis_id: question for question in questions}
    for plan in study.analysis_plans:
        members = [left.pop(name) for name in plan.hypothesis_ids if name in left]
        if members:
            yield plan, members

    if left:
        yield None, [*left.values()]


def _family(
    plan: AnalysisPlan | None, members: Sequence[Question], samples: Mapping[str, Sample]
) -> Family:
    entered: dict[str, float] = {}
    by_t: dict[str, float] = {}
    for question in members:
        hypothesis, contrast = question.hypothesis, question.contrast
        if contrast is None or hypothesis.kind is HypothesisKind.EXPLORATORY:
            continue

        p = deciding_p(hypothesis, contrast)
        if p is not None:
            entered[hypothesis.hypothesis_id] = p
            is_of_difference = p == contrast.p and contrast.p_t is not None
            by_t[hypothesis.hypothesis_id] = contrast.p_t or p if is_of_difference else p

    policy = None if plan is None else plan.adjustment
    stated: dict[str, Any] = {
        "analysis_plan_id": None if plan is None else plan.analysis_plan_id,
        "p": entered,
        "alternatives": _alternatives({"deciding": entered, "t_two_sided": by_t}),
    }
    if policy == "dunnett":
        asked = [each for each in members if each.hypothesis.hypothesis_id in entered]
        with_one_control = _by_dunnett(asked, samples)
        if with_one_control is not None:
            return Family(
                **stated,
                policy=policy,
                is_declared=True,
                adjusted=with_one_control,
                note=_unfiltered(plan),
            )

    notes = [_why_holm(plan) if len(entered) > 1 else None, _unfiltered(plan)]
    used = policy if policy in POLICIES else "holm"
    return Family(
        **stated,
        policy=used,
        is_declared=used == policy,
        adjusted=adjusted(entered, used),
        note=", ".join(filter(None, notes)) or None,
    )


def _by_dunnett(
    asked: Sequence[Question], samples: Mapping[str, Sample]
) -> dict[str, float] | None:
    """Return p values of comparisons with one control; None where they are not of that kind."""
    contrasts = [each.contrast for each in asked if each.contrast is not None]
    controls = {(each.factor, each.right) for each in contrasts}
    kinds = {each.hypothesis.kind for each in asked}
    outcomes = {each.outcome for each in asked}
    if len(controls) != 1 or kinds != {HypothesisKind.EFFECT} or len(outcomes) != 1:
        return None

    ((factor, control),) = controls
    sample = samples[outcomes.pop()]
    levels = {str(level): level for level in sample.factors().get(factor, ())}
    compared = with_control(sample, factor, levels[control]) if control in levels else {}
    if not all(each.left in compared for each in contrasts):
        return None

    return {
        each.hypothesis.hypothesis_id: compared[each.contrast.left].p
        for each in asked
        if each.contrast is not None
    }


def _why_holm(plan: AnalysisPlan | None) -> str | None:
    """Return why a declared policy is not the one that is used."""
    if plan is None or plan.multiple_comparison_policy is None:
        return None

    if plan.adjustment is None:
        return f"the declared policy {plan.multiple_comparison_policy!r} is not known"

    if plan.adjustment == "dunnett":
        return "Dunnett's test is for levels of one factor with one control, so Holm's stands here"

    return None


def _unfiltered(plan: AnalysisPlan | None) -> str | None:
    """Return that no run was left out, where a plan declares which to leave out."""
    if plan is None or not plan.filters:
        return None

    return "the plan's `filters` are not applied: all runs are analysed"


def _alternatives(families: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    return {
        f"{policy}.{test}": adjusted(p_values, policy)
        for policy in POLICIES
        if policy != "none"
        for test, p_values in families.items()
    }
