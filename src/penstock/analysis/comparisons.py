"""Comparisons: which levels are held against which, from hypotheses and from baselines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import prod
from typing import Any

from penstock.analysis.contrasts import Contrast, Weights, contrast_of
from penstock.analysis.distributions import t_quantile
from penstock.analysis.effects import with_control
from penstock.analysis.estimates import Interval
from penstock.analysis.missingness import Compared, compared
from penstock.analysis.questions import Question
from penstock.analysis.sample import Sample
from penstock.analysis.verdicts import Family
from penstock.study.model import Study

__all__ = ["baselines_of", "codes_of", "comparisons_of", "halved", "with_simultaneous"]


def baselines_of(sample: Sample, study: Study, questions: Iterable[Question]) -> dict[str, Any]:
    """Choose what other levels are compared with: as declared, else as marked, else the first."""
    wanted = {
        factor.name: level.shown
        for factor in study.factors
        for level in factor.levels
        if level.metadata.get("is_baseline")
    }
    for question in questions:
        contrast = question.contrast
        if contrast is not None and not contrast.between:
            wanted[contrast.factor] = contrast.right

    return {
        factor: next((each for each in levels if str(each) == str(wanted.get(factor))), levels[0])
        for factor, levels in sample.factors().items()
    }


def comparisons_of(
    sample: Sample,
    baselines: Mapping[str, Any],
    questions: Iterable[Question],
) -> dict[str, Compared]:
    """Return what hypotheses compare, then each level with its factor's baseline.

    Args:
        sample: The scored runs.
        baselines: Factor -> the level that others are compared with.
        questions: What hypotheses ask; what they ask of other runs is asked of these too.
    """
    found: dict[str, Compared] = {}
    for each in questions:
        if each.contrast is None or each.contrast.between:
            continue

        name, factor = each.contrast.name, each.contrast.factor
        sides = (each.contrast.left, each.contrast.right)
        if each.compared is not None and each.sample is sample:
            found[_key(name, factor, found)] = each.compared
        else:
            left, right = (sample.level_called(factor, side) for side in sides)
            weights = contrast_of(sample, factor, left, right)
            if {weight > 0 for weight in weights.values()} == {True, False}:
                key = _key(name, factor, found)
                found[key] = compared(sample, name, weights, factor=factor, sides=sides)

    for factor, base in baselines.items():
        for level in sample.factors()[factor]:
            name = _key(f"{level}-{base}", factor, found)
            if level != base and name not in found:
                weights = contrast_of(sample, factor, level, base)
                sides = (str(level), str(base))
                found[name] = compared(sample, name, weights, factor=factor, sides=sides)

    return found


def _key(name: str, factor: str, found: Mapping[str, Compared]) -> str:
    """Return a comparison's name, with its factor where another factor has levels called alike."""
    if name in found and found[name].contrast.factor != factor:
        return f"{name} ({factor})"

    return name


def with_simultaneous(
    questions: Iterable[Question], families: Mapping[str, Family]
) -> list[Question]:
    """Return questions whose contrasts have the interval that holds with those of their family.

    Args:
        questions: What hypotheses ask.
        families: Hypothesis -> those that it is adjusted with.
    """
    found = []
    for each in questions:
        answer, family = each.compared, families.get(each.hypothesis.hypothesis_id)
        if answer is not None and not answer.contrast.between:
            contrast = _with_simultaneous(answer.contrast, each.sample, family)
            answer = answer._replace(contrast=contrast)

        found.append(each._replace(compared=answer))

    return found


def _with_simultaneous(contrast: Contrast, sample: Sample, family: Family | None) -> Contrast:
    """Add the interval that holds together with those of the other hypotheses.

    It is Dunnett's where the family is adjusted by it; Holm has none of its own, so it is
    Bonferroni's elsewhere.
    """
    if contrast.se is None or contrast.df is None or contrast.difference is None:
        return contrast

    if family is not None and family.policy == "dunnett":
        levels = {str(level): level for level in sample.factors()[contrast.factor]}
        compared = with_control(sample, contrast.factor, levels[contrast.right])
        return contrast.model_copy(update={"simultaneous": compared[contrast.left].interval})

    hypotheses = 1 if family is None else max(len(family.p), 1)
    half = t_quantile(1 - 0.025 / hypotheses, contrast.df) * contrast.se
    interval = Interval(low=contrast.difference - half, high=contrast.difference + half)
    return contrast.model_copy(update={"simultaneous": interval})


def halved(weights: Weights) -> Weights:
    """Code a comparison so that its coefficient is a difference of means, or of differences."""
    sides = round(sum(weight for weight in weights.values() if weight > 0)) or 1
    return {arm: (0.5 if weight > 0 else -0.5) / sides for arm, weight in weights.items()}


def codes_of(sample: Sample, effect: str, baselines: Mapping[str, Any]) -> Weights:
    """Code an effect so that its coefficient is a difference of means, or of differences."""
    factors = [effect] if effect in baselines else [*_factors_of(effect, baselines)]
    return {
        arm: prod(
            -0.5 if sample.level_of(arm, factor) == baselines[factor] else 0.5 for factor in factors
        )
        for arm in range(len(sample.arms))
    }


def _factors_of(effect: str, known: Mapping[str, Any]) -> tuple[str, str]:
    """Return the two factors of an interaction; names of factors may hold colons too."""
    places = (at for at, letter in enumerate(effect) if letter == ":")
    sides = ((effect[:at], effect[at + 1 :]) for at in places)
    return next(each for each in sides if each[0] in known and each[1] in known)
