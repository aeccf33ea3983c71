"""What hypotheses and analysis plans refer to: whether it is there, and fits what they claim."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain

from penstock._base.suggestions import did_you_mean
from penstock.planning.named_values import known_after, known_before
from penstock.planning.plan import AGENT_FACTORS, PROBLEM_FACTORS
from penstock.study.conditions import Condition
from penstock.study.factors import Block, Factor
from penstock.study.hypotheses import AnalysisPlan, Hypothesis, HypothesisKind
from penstock.study.model import Study

__all__ = ["claim_errors"]

_COLUMNS = (*AGENT_FACTORS, *PROBLEM_FACTORS, "problem_family")
"""What tells runs apart beside factors and blocks, and so may change the size of an effect."""


def claim_errors(study: Study, conditions: Sequence[Condition] | None = None) -> Iterator[str]:
    """List what hypotheses and analysis plans name and the study does not have.

    Args:
        study: The declared study.
        conditions: Conditions that are used in place of those the study's design makes; their
            values may be compared as levels are.
    """
    names = _Names(study, conditions or ())
    for hypothesis in study.hypotheses:
        yield from _unknown_variables(study, hypothesis)
        yield from _moderator_errors(names, hypothesis)
        yield from _contrast_errors(names, hypothesis)
        yield from _kind_errors(names, hypothesis)

    hypotheses = {hypothesis.hypothesis_id for hypothesis in study.hypotheses}
    outcomes = {outcome.name for outcome in study.outcomes}
    for each in study.analysis_plans:
        label = f"Analysis plan '{each.analysis_plan_id}' references unknown"
        for hypothesis_id in each.hypothesis_ids:
            if hypothesis_id not in hypotheses:
                hint = did_you_mean(hypothesis_id, hypotheses, ".")
                yield f"{label} hypothesis '{hypothesis_id}'{hint}"

        for outcome in each.outcomes:
            if outcome not in outcomes:
                yield f"{label} outcome '{outcome}'{did_you_mean(outcome, outcomes, '.')}"

        yield from _filter_errors(study, names, each)


def _filter_errors(study: Study, names: _Names, plan: AnalysisPlan) -> Iterator[str]:
    """List filters of what nothing in the study is called, and of levels that there are not."""
    label = f"Analysis plan '{plan.analysis_plan_id}': its filter"
    known = [*known_before(study), *known_after(study)]
    for name, wanted in plan.filters.items():
        values = wanted if isinstance(wanted, (list, tuple)) else [wanted]
        if not values or any(isinstance(each, Mapping) for each in values):
            yield f"{label} '{name}' is not a value or a list of values."
        elif name in names.levels:
            for level in map(str, values):
                if level not in names.levels[name]:
                    yield f"{label} {_no_level(name, level, names.levels)}"
        elif name not in known and names.knows_problems:
            yield (
                f"{label} '{name}' is not a factor, a block, a field of the problems, an evaluator "
                f"or the column of an outcome{did_you_mean(name, known, '.')}"
            )


class _Names:
    """What a hypothesis may name: the levels of each factor and block, and of what is not one."""

    def __init__(self, study: Study, conditions: Sequence[Condition]) -> None:
        self.factors = [factor.name for factor in study.factors]
        self.levels: dict[str, list[str]] = {}
        varied: tuple[Factor | Block, ...] = (*study.factors, *study.blocks)
        for each in varied:
            given = [str(value) for c in conditions if (value := c.get(each.name)) is not None]
            self.levels[each.name] = list(dict.fromkeys([*_levels(each), *given]))

        self.outcomes = [outcome.name for outcome in study.outcomes]
        chosen = (each for name in PROBLEM_FACTORS for each in self.levels.get(name, ()))
        declared = {problem.problem_id for problem in study.problems}
        self.knows_problems = {*study.problem_ids, *chosen} <= declared
        families = dict.fromkeys(problem.family for problem in study.problems)
        self.others = [*study.agent_specs, *study.problem_ids, *families]


def _levels(varied: Factor | Block) -> Iterator[str]:
    """List what hypotheses may call the levels of a factor or block."""
    if isinstance(varied, Block):
        yield from map(str, varied.levels)
        return

    for level in varied.levels:
        yield from level.names

    if not varied.levels:
        yield str(varied.default)


def _unknown_variables(study: Study, hypothesis: Hypothesis) -> Iterator[str]:
    label = f"Hypothesis '{hypothesis.hypothesis_id}' references unknown"
    factors = {factor.name for factor in study.factors}
    for variable in hypothesis.independent_vars:
        if variable not in factors:
            yield f"{label} independent variable '{variable}'{did_you_mean(variable, factors, '.')}"

    outcomes = {outcome.name for outcome in study.outcomes}
    for variable in hypothesis.dependent_vars:
        if variable not in outcomes:
            yield f"{label} dependent variable '{variable}'{did_you_mean(variable, outcomes, '.')}"


def _moderator_errors(names: _Names, hypothesis: Hypothesis) -> Iterator[str]:
    label = f"Hypothesis '{hypothesis.hypothesis_id}'"
    for moderator in hypothesis.moderators:
        name = moderator.name
        if name in hypothesis.independent_vars:
            yield f"{label} is moderated by '{name}', its own independent variable."
        elif name not in names.levels:
            if name not in {*_COLUMNS, *names.outcomes, *(m.name for m in hypothesis.mediators)}:
                yield f"{label} references unknown moderator '{name}'{_hint(name, names.levels)}"
        else:
            for level in moderator.levels:
                if level not in names.levels[name]:
                    yield f"{label}: its moderator {_no_level(name, level, names.levels)}"


def _contrast_errors(names: _Names, hypothesis: Hypothesis) -> Iterator[str]:
    contrast = hypothesis.contrast
    if contrast is None:
        return

    label = f"Hypothesis '{hypothesis.hypothesis_id}': its contrast"
    if contrast.left == contrast.right:
        yield f"{label} compares '{contrast.left}' with itself."

    if not set(hypothesis.independent_vars) <= set(names.factors):
        return  # what is unknown there is told already

    # Where no variable is named, groups of any kind may be compared: agents, problems, blocks.
    compared = {name: names.levels[name] for name in hypothesis.independent_vars}
    known = [*chain(*compared.values())] or [*chain(*names.levels.values()), *names.others]
    for side in dict.fromkeys((contrast.left, contrast.right)):
        if side not in known:
            of = (
                f"a level of {' or '.join(map(repr, compared))}" if compared else "a level or agent"
            )
            yield f"{label} names '{side}', which is not {of}{_hint(side, known)}"


def _kind_errors(names: _Names, hypothesis: Hypothesis) -> Iterator[str]:
    """List what a claim of its kind needs and does not declare."""
    kind = hypothesis.kind
    needed = {
        HypothesisKind.MODERATION: ("independent_vars", "moderators"),
        HypothesisKind.MEDIATION: ("independent_vars", "dependent_vars", "mediators"),
        HypothesisKind.EQUIVALENCE: ("minimum_effect_of_interest",),
    }
    # Older studies name no moderator: it is whatever varies beside the independent variable.
    is_implied = len(names.levels) > 1
    for field in needed.get(kind, ()):
        if not getattr(hypothesis, field) and not (field == "moderators" and is_implied):
            label = f"Hypothesis '{hypothesis.hypothesis_id}'"
            yield f"{label} is of kind {kind}, and declares no `{field}`."


def _no_level(name: str, level: str, levels: Mapping[str, Sequence[str]]) -> str:
    return f"'{name}' has no level '{level}'{_hint(level, levels[name])}"


def _hint(name: str, known: Iterable[str]) -> str:
    known = list(dict.fromkeys(known))
    return did_you_mean(name, known, f"; known: {', '.join(known)}." if known else ".")
