"""Studies compared: the same problems under two studies or more, paired by problem."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from penstock._base.fact import EMPTY, Fact
from penstock.analysis.adjustment import ALPHA, adjusted
from penstock.analysis.arms import Arm
from penstock.analysis.contrasts import Contrast, compare, contrast_of
from penstock.analysis.readings import Readings, outcomes_of
from penstock.analysis.sample import WITHIN_PROBLEMS, Run, Sample
from penstock.errors import PenstockError
from penstock.store.continuing.plan_differences import (
    PlanDifference,
    ProblemOverlap,
    plan_differences,
    problem_overlap,
)
from penstock.store.reader import StoreReader
from penstock.store.unblinding import is_blind
from penstock.study.hypotheses import Outcome

__all__ = ["ComparedOutcome", "ComparedStudy", "StudiesCompared", "compare_studies"]

_STUDY = "study"

Better = Literal["higher", "lower"]


class ComparedOutcome(Fact):
    """How an outcome of a study differs from that of the first.

    Args:
        outcome: Its name.
        better: Which way is better, as declared; None where nobody said.
        conditions: The conditions that count: those of both studies, or all of each.
        are_conditions_shared: Whether they are those that both studies have; else each study is
            averaged over its own conditions.
        contrast: The study less the first, averaged over these conditions.
        by_condition: Condition that both have -> the same of it alone.
        p_adjusted: The p value of `contrast`, by Holm over the studies that are compared.
        verdict: ``better`` or ``worse`` than the first, ``higher`` or ``lower`` where no direction
            is declared, or ``no difference shown``.
        sentence: The same in words, with its numbers.
    """

    outcome: str
    better: Better | None = None
    conditions: tuple[str, ...] = ()
    are_conditions_shared: bool = True
    contrast: Contrast
    by_condition: dict[str, Contrast] = EMPTY
    p_adjusted: float | None = None
    verdict: str = "no difference shown"
    sentence: str = ""


class ComparedStudy(Fact):
    """A study beside the first.

    Args:
        name: What it is called here.
        study_id: Its id.
        planned: Runs in its plan.
        ended: Runs with a result.
        plan: What it declares otherwise than the first.
        problems: Which problems it shares with the first.
        outcomes: Outcome -> how it differs, the primary one first; none where that is withheld.
    """

    name: str
    study_id: str
    planned: int
    ended: int
    plan: tuple[PlanDifference, ...]
    problems: ProblemOverlap
    outcomes: dict[str, ComparedOutcome] = EMPTY


class StudiesCompared(Fact):
    """Studies held against the first of them.

    Args:
        first: What the first is called here.
        study_id: Its id.
        planned: Runs in its plan.
        ended: Runs with a result.
        primary: The outcome that counts.
        blind: The studies whose outcomes are withheld: they declare hypotheses and runs are left.
        others: The other studies.
    """

    first: str
    study_id: str
    planned: int
    ended: int
    primary: str
    blind: tuple[str, ...] = ()
    others: tuple[ComparedStudy, ...]


class _Side(NamedTuple):
    """One study: what it is called, and what its store holds."""

    name: str
    store: StoreReader
    readings: Readings
    outcomes: Sequence[Outcome]


def compare_studies(
    stores: Mapping[str, StoreReader], *, better: Better | None = None
) -> StudiesCompared:
    """Compare studies of the same problems with the first of them, paired by problem.

    Args:
        stores: What each study is called -> its store; two or more.
        better: Which way is better, where the studies do not declare it.

    Raises:
        PenstockError: the studies share no outcome.
        ValidationError: the extra ``penstock[analysis]`` is not installed.
    """
    first, *others = [_side(name, store) for name, store in stores.items()]
    blind = [each.name for each in (first, *others) if is_blind(each.store, each.readings.study)]
    compared = {
        each.name: {} if blind else _outcomes_between(first, each, better) for each in others
    }
    return StudiesCompared(
        first=first.name,
        study_id=first.readings.study.study_id,
        planned=first.store.planned(),
        ended=first.store.count(),
        primary=first.outcomes[0].name,
        blind=tuple(blind),
        others=tuple(
            ComparedStudy(
                name=each.name,
                study_id=each.readings.study.study_id,
                planned=each.store.planned(),
                ended=each.store.count(),
                plan=tuple(plan_differences(first.store, each.store)),
                problems=problem_overlap(first.store, each.store),
                outcomes=found,
            )
            for each, found in zip(others, _judged(compared, first.name), strict=True)
        ),
    )


def _side(name: str, store: StoreReader) -> _Side:
    study = store.study()
    return _Side(name, store, Readings(store, study), outcomes_of(study))


def _outcomes_between(
    first: _Side, other: _Side, better: Better | None
) -> dict[str, ComparedOutcome]:
    named = {each.name: each for each in other.outcomes}
    shared = [each for each in first.outcomes if each.name in named]
    if first.outcomes[0].name not in named:
        raise PenstockError(
            f"{other.name} has no outcome {first.outcomes[0].name!r}, the primary one of "
            f"{first.name} (it has {', '.join(named)}); compare studies with the same outcomes"
        )

    common = problem_overlap(first.store, other.store).common
    found = {}
    for outcome in shared:
        way = outcome.better or named[outcome.name].better or better
        samples = (first.readings.sample(outcome), other.readings.sample(named[outcome.name]))
        found[outcome.name] = _between((first.name, other.name), samples, common, outcome, way)

    return found


def _between(
    names: tuple[str, str],
    samples: tuple[Sample, Sample],
    common: Sequence[str],
    outcome: Outcome,
    better: Better | None,
) -> ComparedOutcome:
    """Compare an outcome of two studies on the problems they share."""
    of_first, of_other = ([arm.name for arm in sample.arms] for sample in samples)
    shared = [name for name in of_first if name in of_other]
    kept = shared or [*dict.fromkeys((*of_first, *of_other))]
    joined = _joined(names, samples, common, kept)
    first, other = names
    sides = (other, first)
    by_condition = {}
    for name in shared:
        pair = [arm for arm in range(len(joined.arms)) if joined.arms[arm].name == name]
        less_first = {pair[1]: 1.0, pair[0]: -1.0}
        by_condition[name] = compare(joined, name, less_first, factor=_STUDY, sides=sides)

    weights = contrast_of(joined, _STUDY, other, first)
    return ComparedOutcome(
        outcome=outcome.name,
        better=better,
        conditions=tuple(kept),
        are_conditions_shared=bool(shared),
        contrast=compare(joined, f"{other}-{first}", weights, factor=_STUDY, sides=sides),
        by_condition=by_condition if len(shared) > 1 else {},
    )


def _joined(
    names: tuple[str, str],
    samples: tuple[Sample, Sample],
    common: Sequence[str],
    kept: Sequence[str],
) -> Sample:
    """Return the runs of two studies as one sample, in which the study is varied."""
    arms: list[Arm] = []
    runs: list[Run] = []
    for name, sample in zip(names, samples, strict=True):
        place = {}
        for at, arm in enumerate(sample.arms):
            if arm.name in kept:
                place[at] = len(arms)
                arms.append(arm._replace(levels={**arm.levels, _STUDY: name}))

        runs += [
            run._replace(arm=place[run.arm])
            for run in sample.runs
            if run.arm in place and run.problem in set(common)
        ]

    is_of_these = all(sample.unit == WITHIN_PROBLEMS for sample in samples)
    return Sample(arms, common, runs, is_of_these_problems=is_of_these)


def _judged(
    compared: Mapping[str, Mapping[str, ComparedOutcome]], first: str
) -> list[dict[str, ComparedOutcome]]:
    """Adjust each outcome's comparisons for each other, and say what they come to."""
    p_values: dict[str, dict[str, float]] = {}
    for name, outcomes in compared.items():
        for outcome, each in outcomes.items():
            if each.contrast.p is not None:
                p_values.setdefault(outcome, {})[name] = each.contrast.p

    by_holm = {outcome: adjusted(family, "holm") for outcome, family in p_values.items()}
    return [
        {
            outcome: _verdict(each, by_holm.get(outcome, {}).get(name), name, first)
            for outcome, each in outcomes.items()
        }
        for name, outcomes in compared.items()
    ]


def _verdict(found: ComparedOutcome, p: float | None, name: str, first: str) -> ComparedOutcome:
    contrast = found.contrast
    verdict = found.verdict
    if p is not None and p <= ALPHA and contrast.difference:
        is_higher = contrast.difference > 0
        verdict = "higher" if is_higher else "lower"
        if found.better is not None:
            verdict = "better" if verdict == found.better else "worse"

    stated = {"p_adjusted": p, "verdict": verdict}
    return found.model_copy(
        update={**stated, "sentence": _sentence(found, verdict, p, name, first)}
    )


def _sentence(found: ComparedOutcome, verdict: str, p: float | None, name: str, first: str) -> str:
    contrast = found.contrast
    if contrast.difference is None:
        why = next(iter(contrast.undefined.values()), "no problem was scored in both.")
        return f"{found.outcome}: {name} and {first} cannot be compared: {why}"

    said = f"{found.outcome}: {name} less {first} = {contrast.difference:.4g}"
    if (interval := contrast.interval) is not None:
        said += f" [{interval.low:.4g}, {interval.high:.4g}]"

    if p is not None:
        said += f", p = {p:.2g} ({contrast.test})"

    problems = "1 problem" if contrast.n_problems == 1 else f"{contrast.n_problems:,} problems"
    what = {"higher": f"{name} is higher", "lower": f"{name} is lower"}
    what |= {"better": f"{name} is better", "worse": f"{name} is worse"}
    said += f", {problems} in common: {what.get(verdict, verdict)}"
    return said if found.are_conditions_shared else f"{said}; each averaged over its own conditions"
