"""Readings: what a store holds of an outcome, as a sample."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from math import isfinite
from typing import Any

from penstock._base.fact import EMPTY
from penstock._base.json import decode, encode
from penstock.analysis.arms import arm_levels, arm_names
from penstock.analysis.covariates import covariate_values
from penstock.analysis.filters import Filtered, filtered
from penstock.analysis.missingness import Begun, Flow, flow_of
from penstock.analysis.sample import ALL_RUNS, Sample, arrange
from penstock.analysis.sources import OF_THE_RUN, value_sql
from penstock.errors import PenstockError, ValidationError
from penstock.planning.plan import PROBLEM_FACTORS, Plan, plan
from penstock.store.reader import StoreReader
from penstock.store.unblinding import is_blind
from penstock.study.conditions import Condition
from penstock.study.factors import Factor
from penstock.study.hypotheses import AnalysisPlan, Hypothesis, Outcome
from penstock.study.model import Study

__all__ = ["Readings", "outcomes_of", "paired_table", "shown_assignments"]

_RUNS = """
SELECT id, condition_id, agent_id, problem_id, replicate, status, started_order, latency_s,
       cost_usd, input_tokens, output_tokens, primary_outcome, metrics, error_kind, started_at,
       ended_at
FROM attempt WHERE final AND position IS NOT NULL ORDER BY position
"""
_STARTED = """
SELECT condition_id, agent_id, count(DISTINCT run_id)
FROM attempt WHERE position IS NOT NULL GROUP BY condition_id, agent_id
"""
_SCORES = """
SELECT attempt_id, metric_name, metric_value
FROM evaluation JOIN scoring ON scoring.id = evaluation.scoring_id
WHERE scoring.place IS NOT NULL
AND attempt_id IN (SELECT id FROM attempt WHERE final AND position IS NOT NULL)
ORDER BY attempt_id, scoring.place, number
"""
_FLAGS = {"True": 1.0, "False": 0.0}


class Readings:
    """The results of a study, read once; a sample of each outcome is made from them.

    Args:
        store: The study's store.
        study: The study as it is declared.

    Attributes:
        plan: The plan of the last session; None where the store does not tell it.
    """

    def __init__(self, store: StoreReader, study: Study) -> None:
        self.study = study
        self._conditions = [each for each in store.conditions() if each.admissible]
        self._rows = [dict(row) for row in store.rows(_RUNS)]
        self._started = {(row[0], row[1]): row[2] for row in store.table(_STARTED)}
        self.plan = _plan(study, self._conditions, store.planned())
        self._planned = {
            (cell.condition.condition_id, agent): cell.replicates * len(cell.problems)
            for cell in (() if self.plan is None else self.plan.cells)
            for agent in cell.agents
        }
        if not self._started.keys() <= self._planned.keys():  # run by conditions, without agents
            self.plan, self._planned = None, {}

        self._scores: dict[int, dict[str, Any]] = {}
        for attempt_id, name, value in store.table(_SCORES):
            self._scores.setdefault(attempt_id, {}).setdefault(name, value)

        self._assigned = shown_assignments(self._conditions, study.factors)
        self._problems: dict[str, dict[str, Any]] = {}
        self._called = {
            factor.name: {name: each.shown for each in factor.levels for name in each.names}
            for factor in study.factors
        }
        self._samples: dict[tuple[str, str, str, bool], Sample] = {}
        if any(plan.covariates or plan.filters for plan in study.analysis_plans):
            declared = (decode(each) for each in store.problems())
            self._problems = {each["problem_id"]: each for each in declared}

    def samples(self, hypothesis: Hypothesis) -> dict[str, Sample]:
        """Return a sample of each outcome as the analysis plan of a hypothesis reads it."""
        named = (
            each
            for each in self.study.analysis_plans
            if hypothesis.hypothesis_id in each.hypothesis_ids
        )
        reader = next(named, None)
        return {each.name: self.sample(each, reader) for each in outcomes_of(self.study)}

    def sample(self, outcome: Outcome, reader: AnalysisPlan | None = None) -> Sample:
        """Return the values of an outcome, arranged by condition and problem.

        Args:
            outcome: The outcome.
            reader: The analysis plan whose filters are applied, and whose problems are meant; where
                it is not given, that in which all plans of the outcome agree.
        """
        plans = _plans_of(self.study, outcome) if reader is None else [reader]
        filters = plans[0].filters if plans else EMPTY
        is_shared = all(each.filters == filters for each in plans)
        return self._sample(outcome, filters if is_shared else EMPTY, plans)

    def whole(self, outcome: Outcome) -> Sample:
        """Return the values of an outcome in all runs, whatever analysis plans leave out."""
        return self._sample(outcome, EMPTY, _plans_of(self.study, outcome))

    def _sample(
        self, outcome: Outcome, filters: Mapping[str, Any], plans: Sequence[AnalysisPlan]
    ) -> Sample:
        is_of_these = bool(plans) and all(each.generalize_to == "these_problems" for each in plans)
        key = outcome.name, value_sql(outcome), encode(filters), is_of_these
        if key not in self._samples:
            passing = self._filtered(filters) if filters else None
            self._samples[key] = arrange(
                self._assigned,
                self._valued(outcome, passing),
                apart=PROBLEM_FACTORS,
                agents=self._agents(),
                is_of_these_problems=is_of_these,
                called=self._called,
                value_sql=value_sql(outcome),
                chosen=ALL_RUNS if passing is None else passing.chosen,
            )

        return self._samples[key]

    def _filtered(self, filters: Mapping[str, Any]) -> Filtered:
        return filtered(filters, self._rows, self._named, self._called)

    def flow(self, outcome: Outcome) -> list[Flow]:
        """Return what became of each condition's runs, whatever analysis plans leave out."""
        keys = {
            key: arm_levels(self._assigned[key[0]], key[1], self._agents(), PROBLEM_FACTORS)
            for key in self._planned
        }
        arms = {encode(levels): levels for levels in keys.values()}
        names = dict(zip(arms, arm_names([*arms.values()]), strict=True))
        begun: dict[str, Begun] = {}
        for key, planned in self._planned.items():
            name = names[encode(keys[key])]
            known = begun.get(name, Begun())
            begun[name] = Begun(known.planned + planned, known.started + self._started.get(key, 0))

        return flow_of(self.whole(outcome), begun, self.sample(outcome))

    def _agents(self) -> list[str]:
        """Return who answers in the plan; nobody where it is not known."""
        return list(dict.fromkeys(agent for _, agent in self._planned))

    def rows(self) -> list[dict[str, Any]]:
        """Return the results in the order of the plan, as mappings of their columns."""
        return self._rows

    def places(self, sample: Sample) -> dict[tuple[str, str], int]:
        """Return where each condition and agent stands among a sample's arms."""
        return {
            (row["condition_id"], row["agent_id"]): run.arm
            for row, run in zip(self._rows, sample.runs, strict=True)
        }

    def cost_usd(self) -> float | None:
        """Return what the results cost, in US dollars; None where nothing of it is known."""
        known = [row["cost_usd"] for row in self._rows if row["cost_usd"] is not None]
        return sum(known) if known else None

    def ended_at(self) -> str | None:
        """Return when the last of the results ended; None where there is none."""
        return max((row["ended_at"] for row in self._rows), default=None)

    def _valued(self, outcome: Outcome, passing: Filtered | None) -> Iterator[dict[str, Any]]:
        places = {text: float(place) for place, text in enumerate(outcome.order)}
        covariates = _covariates_of(self.study, outcome)
        for at, row in enumerate(self._rows):
            if passing is not None and not passing.is_chosen[at]:
                continue

            left_out = "" if passing is None else passing.left_out[at]
            is_scored = row["status"] == "success" and not left_out
            value = _number(self._read(row, outcome)) if is_scored else None
            error = row["error_kind"] or left_out or None
            if places and isinstance(value, str):
                error = error if value in places else f"{value[:40]!r} is not in the order"
                value = places.get(value)

            yield {
                **row,
                "value": value,
                "error": error,
                "covariates": dict(self._named(covariates, row)) if covariates else EMPTY,
            }

    def _named(
        self, names: Sequence[str], row: Mapping[str, Any]
    ) -> Iterator[tuple[str, tuple[str, Any]]]:
        """Yield where each of some names stands, and what it is in a run."""
        recorded = {**row, **decode(row["metrics"]), **self._scores.get(row["id"], {})}
        assigned = self._assigned[row["condition_id"]]
        problem = self._problems.get(row["problem_id"], {})
        return covariate_values(names, recorded, assigned, problem)

    def _read(self, row: Mapping[str, Any], outcome: Outcome) -> Any:
        if outcome.source_table == "evaluations":
            return self._scores.get(row["id"], {}).get(outcome.column)

        if outcome.column in OF_THE_RUN:
            return row[outcome.column]

        return decode(row["metrics"]).get(outcome.column)


def _plan(study: Study, conditions: Sequence[Condition], planned: int) -> Plan | None:
    """Return the plan that the last session ran; None where the store does not tell it."""
    with suppress(ValidationError):
        made = plan(study, conditions, standalone=not study.agent_specs)
        return made if len(made) == planned else None

    return None


def outcomes_of(study: Study) -> Sequence[Outcome]:
    """Return the outcomes that a study declares, the primary one first.

    A study that declares none has the contract's: what the agent recorded as
    ``primary_outcome``, else its first score.
    """
    declared: Iterable[Outcome] = sorted(study.outcomes, key=lambda outcome: not outcome.primary)
    return [*declared] or [
        Outcome(
            name="primary_outcome",
            source_table="runs",
            column="primary_outcome",
            aggregation="mean",
            primary=True,
        )
    ]


def paired_table(store: StoreReader, study: Study, name: str | None = None) -> list[dict[str, Any]]:
    """Return each problem's mean under each condition, which is what contrasts are made from.

    Args:
        store: The study's store.
        study: The study as it is declared.
        name: The outcome; the primary one where not given.

    Raises:
        KeyError: the study has no such outcome.
        PenstockError: what conditions came to is withheld.
    """
    declared = {each.name: each for each in outcomes_of(study)}
    outcome = declared[next(iter(declared)) if name is None else name]
    if is_blind(store, study):
        raise PenstockError(
            "what each condition came to is withheld until every planned run has ended; "
            'analyze(unblind="why") shows it, and the reason stands in the report'
        )

    sample = Readings(store, study).sample(outcome)
    return [
        {
            "problem_id": problem,
            **{
                arm.name: float(cell.mean()) if len(cell := sample.cell(at, place)) else None
                for at, arm in enumerate(sample.arms)
            },
        }
        for place, problem in enumerate(sample.problems)
    ]


def _plans_of(study: Study, outcome: Outcome) -> list[AnalysisPlan]:
    """Return the analysis plans of an outcome: those that name it, and those that name none."""
    return [
        each for each in study.analysis_plans if outcome.name in (each.outcomes or [outcome.name])
    ]


def _covariates_of(study: Study, outcome: Outcome) -> list[str]:
    """Return what the plans of an outcome adjust for, each once."""
    named = (name for plan in _plans_of(study, outcome) for name in plan.covariates)
    return list(dict.fromkeys(named))


def shown_assignments(
    conditions: Iterable[Condition], factors: Iterable[Factor]
) -> dict[str, dict[str, Any]]:
    """Return the levels of each condition as they are shown: a long text by its level's name.

    Args:
        conditions: The conditions.
        factors: The factors that the study declares.

    Returns:
        Condition id -> factors and blocks, in the order of the design.
    """
    shown = {
        (factor.name, encode(level.value)): level.shown
        for factor in factors
        for level in factor.levels
    }
    return {
        each.condition_id: {
            **{
                name: shown.get((name, encode(value)), value)
                for name, value in each.factor_assignments.items()
            },
            **each.block_assignments,
        }
        for each in conditions
    }


def _number(value: Any) -> Any:
    """Return a number for flags and numbers; other texts as they are, anything else as None."""
    if isinstance(value, bool):
        return float(value)

    if isinstance(value, str):
        return _FLAGS.get(value, value)

    return value if isinstance(value, (int, float)) and isfinite(value) else None
