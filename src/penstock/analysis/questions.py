"""Questions: what each declared hypothesis asks of a sample, and the family it belongs to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from penstock.analysis.adjustment import POLICIES, adjusted
from penstock.analysis.contrasts import Contrast, Weights, contrast_of
from penstock.analysis.effects import Sides, interaction_of, with_control
from penstock.analysis.missingness import Compared, compared
from penstock.analysis.sample import Sample
from penstock.analysis.verdicts import Family, deciding_p
from penstock.study.hypotheses import AnalysisPlan, Hypothesis, HypothesisKind
from penstock.study.model import Study

__all__ = ["Question", "families_of", "question_of"]

_CORNERS = 4
"""Combinations of two levels of two factors."""


class Question(NamedTuple):
    """What a hypothesis asks, and what a sample answers.

    Args:
        hypothesis: The declared claim.
        outcome: The name of the outcome it is about.
        sample: The runs that are asked: those that the hypothesis's analysis plan looks at.
        compared: The answer; None where nothing can be compared.
        why_not: Why nothing can be compared.
    """

    hypothesis: Hypothesis
    outcome: str
    sample: Sample
    compared: Compared | None = None
    why_not: str = ""

    @property
    def contrast(self) -> Contrast | None:
        """The difference that answers it."""
        return None if self.compared is None else self.compared.contrast


def question_of(hypothesis: Hypothesis, samples: Mapping[str, Sample]) -> Question:
    """Find what a hypothesis compares, and compare it.

    Args:
        hypothesis: The declared claim.
        samples: Outcome -> its sample as the hypothesis's analysis plan reads it, the primary one
            first.
    """
    named = [name for name in hypothesis.dependent_vars if name in samples]
    outcome = named[0] if named else next(iter(samples))
    sample = samples[outcome]
    sides, why_not = _sides(hypothesis, sample)
    if sides is None:
        return Question(hypothesis, outcome, sample, why_not=why_not)

    asked = _asked(hypothesis, sample, sides)
    if isinstance(asked, str):
        return Question(hypothesis, outcome, sample, why_not=asked)

    name, between, weights = asked
    left, right = str(sides[1]), str(sides[2])
    answer = compared(
        sample,
        name,
        weights,
        factor=sides[0],
        sides=(left, right),
        between=between,
        delta=hypothesis.minimum_effect_of_interest,
    )
    return Question(hypothesis, outcome, sample, answer)


def _sides(hypothesis: Hypothesis, sample: Sample) -> tuple[Sides | None, str]:
    """Return the factor and the two levels that are compared, or why there are none."""
    if hypothesis.kind is HypothesisKind.MEDIATION:
        return None, "mediation is not analysed: it needs a model of the mediator."

    if sample.chosen.told and not sample.runs:
        return None, f"its analysis plan leaves no run: {sample.chosen.told}."

    factors = sample.factors()
    # Where no variable is named, groups of any kind may be compared: agents, say, or blocks.
    named = [each for each in hypothesis.independent_vars or factors if each in factors]
    if not named or (hypothesis.contrast is None and not hypothesis.independent_vars):
        return None, "none of the variables that it names was varied in the runs that were made."

    if hypothesis.contrast is None:
        first, *_, last = factors[named[0]]
        return (named[0], last, first), ""

    called = hypothesis.contrast.left, hypothesis.contrast.right
    for factor in named:
        left, right = (sample.level_called(factor, name) for name in called)
        if left is not None and right is not None:
            return (factor, left, right), ""

    both = "{!r} and {!r}".format(*called)
    return None, f"{both} are not both levels of {' or '.join(map(repr, named))} that were run."


def _asked(hypothesis: Hypothesis, sample: Sample, sides: Sides) -> tuple[str, str, Weights] | str:
    """Return the name of what is compared, what an interaction is between, and the weights.

    A moderation is a difference of differences: between the first and the last level of what
    moderates, of those that it declares where it declares some. Why there is none is a text.
    """
    if hypothesis.kind is not HypothesisKind.MODERATION:
        return f"{sides[1]}-{sides[2]}", "", contrast_of(sample, *sides)

    # Older studies name no moderator: it is what varies beside the independent variable.
    factors = sample.factors()
    beside = [name for name in factors if name != sides[0]]
    named = [each for each in hypothesis.moderators if each.name in beside]
    if not named and (hypothesis.moderators or len(beside) != 1):
        what = ", ".join(repr(each.name) for each in hypothesis.moderators) or "no moderator"
        return f"it names {what}, of which nothing was varied beside {sides[0]!r}."

    name = named[0].name if named else beside[0]
    called = named[0].levels if named else ()
    levels = [sample.level_called(name, each) for each in called] or factors[name]
    low, high = levels[0], levels[-1]
    if low is None or high is None or low == high:
        return f"{', '.join(map(repr, called))} are not two levels of {name!r} that were run."

    weights = interaction_of(sample, sides, (name, high, low))
    if len(set(_corners(sample, weights, sides[0], name))) < _CORNERS:
        return f"not all four combinations of {sides[0]!r} and {name!r} were run."

    return f"{sides[0]}:{name}", f"{name} {high} and {low}", weights


def _corners(
    sample: Sample, weights: Weights, factor: str, moderator: str
) -> Iterator[tuple[str, str]]:
    for arm in weights:
        yield str(sample.level_of(arm, factor)), str(sample.level_of(arm, moderator))


def families_of(study: Study, questions: Sequence[Question]) -> list[Family]:
    """Adjust the hypotheses of each analysis plan for each other; the rest are a family too.

    Args:
        study: The study with its analysis plans.
        questions: What its hypotheses ask.
    """
    return [_family(plan, members) for plan, members in _members(study, questions)]


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


def _family(plan: AnalysisPlan | None, members: Sequence[Question]) -> Family:
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
        with_one_control = _by_dunnett(asked)
        if with_one_control is not None:
            return Family(**stated, policy=policy, is_declared=True, adjusted=with_one_control)

    used = policy if policy in POLICIES else "holm"
    return Family(
        **stated,
        policy=used,
        is_declared=used == policy,
        adjusted=adjusted(entered, used),
        note=_why_holm(plan) if len(entered) > 1 else None,
    )


def _by_dunnett(asked: Sequence[Question]) -> dict[str, float] | None:
    """Return p values of comparisons with one control; None where they are not of that kind."""
    contrasts = [each.contrast for each in asked if each.contrast is not None]
    controls = {(each.factor, each.right) for each in contrasts}
    kinds = {each.hypothesis.kind for each in asked}
    samples = {id(each.sample): each.sample for each in asked}
    if len(controls) != 1 or kinds != {HypothesisKind.EFFECT} or len(samples) != 1:
        return None

    ((factor, control),) = controls
    (sample,) = samples.values()
    levels = {str(level): level for level in sample.factors().get(factor, ())}
    against = with_control(sample, factor, levels[control]) if control in levels else {}
    if not all(each.left in against for each in contrasts):
        return None

    return {
        each.hypothesis.hypothesis_id: against[each.contrast.left].p
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


def _alternatives(families: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    return {
        f"{policy}.{test}": adjusted(p_values, policy)
        for policy in POLICIES
        if policy != "none"
        for test, p_values in families.items()
    }
