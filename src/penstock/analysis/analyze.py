"""The analysis of a study: estimates, contrasts, effects and verdicts, from what was declared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from penstock.analysis.agreement import agreements_of
from penstock.analysis.analysis_facts import Analysis, OutcomeAnalysis
from penstock.analysis.comparisons import (
    baselines_of,
    codes_of,
    comparisons_of,
    halved,
    with_simultaneous,
)
from penstock.analysis.covariates import columns_of, covariates_of
from penstock.analysis.drift import drift_of
from penstock.analysis.effects import aliases_of, factor_test, main_effects, with_control
from penstock.analysis.estimates import estimate_condition
from penstock.analysis.estimating_equations import EstimatingEquation, fit_estimating_equation
from penstock.analysis.missingness import Bounds, Flow, bounds_of
from penstock.analysis.mixed_models import MixedModel, fit_mixed_model
from penstock.analysis.power import variance_components
from penstock.analysis.questions import Question, families_of, question_of
from penstock.analysis.readings import Readings, outcomes_of
from penstock.analysis.regression import Regression, regress
from penstock.analysis.sample import WITHIN_PROBLEMS, Sample, Weights
from penstock.analysis.sources import rows_sql
from penstock.analysis.verdicts import Family, HypothesisResult, judge
from penstock.analysis.winners import Winner, winners_of
from penstock.store.actions import actions
from penstock.store.reader import StoreReader
from penstock.store.unblinding import is_blind, unblindings
from penstock.study.hypotheses import Outcome
from penstock.study.model import Study

__all__ = ["analyze"]

Found = TypeVar("Found")


def analyze(store: StoreReader, study: Study, *, with_models: bool = True) -> Analysis:
    """Analyse what a store holds of a study, as the study declares it.

    Args:
        store: The study's store.
        study: The study; its outcomes, hypotheses and analysis plans say what is asked.
        with_models: Whether regressions, mixed models and estimating equations are fitted beside
            the paired tests, and costs, times and drift are told; no verdict depends on them.

    Raises:
        ValidationError: the extra ``penstock[analysis]`` is not installed.
    """
    planned, ended = store.planned(), store.count()
    readings = Readings(store, study)
    outcomes = outcomes_of(study)
    samples = {outcome.name: readings.sample(outcome) for outcome in outcomes}
    stated: dict[str, Any] = {
        "study_id": study.study_id,
        "primary": outcomes[0].name,
        "planned": planned,
        "ended": ended,
        "is_exploratory": not study.hypotheses,
        "unblinded": tuple(str(each) for each in unblindings(store)),
        "redeclared": tuple(str(each) for each in actions(store) if each.is_declaration),
        "agreements": tuple(agreements_of(store, _people(study))),
    }
    flows = {each.name: tuple(readings.flow(each)) for each in outcomes}
    if is_blind(store, study):
        return _blind(stated, samples, flows, study)

    questions = [question_of(each, readings.samples(each)) for each in study.hypotheses]
    families = families_of(study, questions)
    family_of = {name: family for family in families for name in family.p}
    questions = with_simultaneous(questions, family_of)
    asked = {name: [each for each in questions if each.outcome == name] for name in samples}
    return Analysis(
        **stated,
        **(_while_it_ran(readings, outcomes[0].name, samples) if with_models else {}),
        outcomes={
            name: _of_outcome(
                name, each, study, asked[name], flow=flows[name], with_models=with_models
            )
            for name, each in samples.items()
        },
        hypotheses=tuple(
            judge(
                each.hypothesis,
                each.outcome,
                each.compared,
                family_of.get(each.hypothesis.hypothesis_id, _NO_FAMILY),
                why_not=each.why_not,
            )
            for each in questions
        ),
        families=tuple(families),
    )


def _while_it_ran(
    readings: Readings, primary: str, samples: Mapping[str, Sample]
) -> dict[str, Any]:
    """Return what runs cost and took, and what moved while they were made."""
    used = {name: readings.whole(_of_runs(name)) for name in ("cost_usd", "latency_s")}
    moving = {"latency_s": used["latency_s"], primary: samples[primary]}
    return {
        "costs": {
            name: tuple(
                estimate_condition(sample, arm, is_binary=False) for arm in range(len(sample.arms))
            )
            for name, sample in used.items()
        },
        "drift": tuple(each for name, of in moving.items() for each in drift_of(of, name)),
    }


def _of_runs(column: str) -> Outcome:
    return Outcome(name=column, source_table="runs", column=column, aggregation="mean")


def _people(study: Study) -> frozenset[str]:
    return frozenset(name for name, each in study.evaluators.items() if each.labels is not None)


def _blind(
    stated: Mapping[str, Any],
    samples: Mapping[str, Sample],
    flows: Mapping[str, tuple[Flow, ...]],
    study: Study,
) -> Analysis:
    """State what a pilot may know: counts, failures, and how runs vary over all conditions."""
    left = stated["planned"] - stated["ended"]
    why = f"{left:,} of {stated['planned']:,} planned runs have not ended."
    return Analysis(
        **stated,
        is_blind=True,
        outcomes={
            name: OutcomeAnalysis(
                outcome=name,
                unit=sample.unit,
                unit_note=_unit_note(sample),
                variance=variance_components(sample),
                flow=flows[name],
            )
            for name, sample in samples.items()
        },
        hypotheses=tuple(
            HypothesisResult(
                hypothesis_id=each.hypothesis_id,
                statement=each.statement,
                outcome=next(iter(samples)),
                verdict="blind",
                sentence=f"Blind: {why}",
            )
            for each in study.hypotheses
        ),
    )


_NO_FAMILY = Family(analysis_plan_id=None, policy="none", is_declared=False)


def _of_outcome(
    name: str,
    sample: Sample,
    study: Study,
    questions: Sequence[Question],
    *,
    flow: tuple[Flow, ...],
    with_models: bool,
) -> OutcomeAnalysis:
    baselines = baselines_of(sample, study, questions)
    compared = comparisons_of(sample, baselines, questions)
    effects = main_effects(sample, baselines) if len(sample.factors()) > 1 else {}
    declared = next(each for each in outcomes_of(study) if each.name == name)
    weights = {key: each.weights for key, each in compared.items()}
    return OutcomeAnalysis(
        outcome=name,
        better=declared.better,
        measured_in=declared.unit,
        unit=sample.unit,
        unit_note=_unit_note(sample),
        chosen=sample.chosen.told,
        order=declared.order,
        conditions=tuple(
            estimate_condition(sample, arm, is_binary=sample.is_binary)
            for arm in range(len(sample.arms))
        ),
        contrasts={key: each.contrast for key, each in compared.items()},
        effects={effect: contrast for effect, (contrast, _) in effects.items()},
        factors=_present({each: factor_test(sample, each) for each in sample.factors()}),
        dunnett={
            level: found
            for factor, base in baselines.items()
            for level, found in with_control(sample, factor, base).items()
        },
        variance=variance_components(sample),
        flow=flow,
        missing={
            key: each.missing.contrast for key, each in compared.items() if each.missing is not None
        },
        aliases=aliases_of(sample, effects),
        winners=_winners(sample, declared.better, questions),
        covariates=covariates_of(sample),
        rows=rows_sql(sample, dict.fromkeys(range(len(sample.arms)), 1.0)),
        python=f"penstock.StudyResult.open(DIRECTORY).items({name!r})",
        bounds=_bounds(sample, weights, is_lower_better=declared.better == "lower"),
        **_modelled(sample, study, effects, baselines, weights, with_models=with_models),
    )


def _modelled(
    sample: Sample,
    study: Study,
    effects: Iterable[str],
    baselines: Mapping[str, Any],
    compared: Mapping[str, Weights],
    *,
    with_models: bool,
) -> dict[str, Any]:
    """Fit what stands beside the paired tests; without models, only what is adjusted for."""
    if sample.unit != "problem" or not (with_models or sample.covariates):
        return {}

    together = {each: codes_of(sample, each, baselines) for each in effects}
    alone = [{key: halved(each)} for key, each in compared.items()]
    if not with_models:
        covariates = columns_of(sample)
        fitted = (regress(sample, codes, covariates) for codes in alone)
        return {"regressions": {name: each for codes in fitted for name, each in codes.items()}}

    groups = [together] if together else alone
    if together and sample.covariates:  # what a hypothesis compares is told adjusted too
        groups += [codes for codes in alone if not codes.keys() & together.keys()]

    has_random_effects = any(plan.random_effects for plan in study.analysis_plans)
    return _models(sample, groups, has_random_effects=has_random_effects)


def _winners(
    sample: Sample, better: str | None, questions: Sequence[Question]
) -> tuple[Winner, ...]:
    factors = sample.factors()
    asked = [each.contrast.factor for each in questions if each.contrast is not None]
    factor = next((name for name in (*asked, *factors) if name in factors), None)
    is_told_already = len(factors) == 1 and factor is not None and len(factors[factor]) <= 2  # noqa: PLR2004
    if better is None or factor is None or is_told_already:
        return ()

    return winners_of(sample, factor, better)


def _bounds(
    sample: Sample, weights: Mapping[str, Weights], *, is_lower_better: bool
) -> dict[str, Bounds]:
    return _present(
        {
            name: bounds_of(sample, each, is_lower_better=is_lower_better)
            for name, each in weights.items()
        }
    )


def _models(
    sample: Sample, groups: Iterable[dict[str, Weights]], *, has_random_effects: bool
) -> dict[str, Any]:
    """Fit the models beside the paired tests: effects of a factorial together, contrasts alone."""
    regressions: dict[str, Regression] = {}
    mixed: dict[str, MixedModel] = {}
    equations: dict[str, EstimatingEquation] = {}
    beside = columns_of(sample)
    for codes in groups:
        regressions |= regress(sample, codes, beside)
        mixed |= fit_mixed_model(sample, codes, beside) if has_random_effects else {}
        equations |= fit_estimating_equation(sample, codes, beside) if sample.is_binary else {}

    return {"regressions": regressions, "mixed_models": mixed, "estimating_equations": equations}


def _present(found: Mapping[str, Found | None]) -> dict[str, Found]:
    return {name: each for name, each in found.items() if each is not None}


def _unit_note(sample: Sample) -> str | None:
    if sample.unit == "problem":
        return None

    if sample.unit == WITHIN_PROBLEMS:
        return (
            f"What is found is said of these {len(sample.problems):,} problems and of no others: "
            "replicates are the unit, within each problem."
        )

    most = max((len(sample.values(arm)) for arm in range(len(sample.arms))), default=0)
    return (
        f"There is one problem only; its {most:,} replicates are the unit, and nothing is said of "
        "other problems."
    )
