"""The report of a study: its view, made from its store, and the file it becomes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

from penstock._base.atomic_files import set_aside
from penstock._base.secrets import without_secrets
from penstock.analysis.analysis_facts import Analysis, OutcomeAnalysis
from penstock.analysis.analyze import analyze
from penstock.analysis.readings import Readings, outcomes_of
from penstock.analysis.sample import Sample
from penstock.errors import ValidationError
from penstock.page.findings import (
    conditions_finding,
    flow_finding,
    matrix_finding,
    time_finding,
    winners_finding,
)
from penstock.page.methods import methods_of
from penstock.page.prompt_rows import prompt_rows
from penstock.page.prompts_again import PromptsAgain
from penstock.page.render import render
from penstock.page.run_table import Texts, run_table
from penstock.page.sections import (
    bounds_rows,
    conditions_of,
    costs_of,
    flow_rows,
    matrix_of,
    measured_rows,
    time_points,
)
from penstock.page.sentences import money_told
from penstock.page.shown_verdicts import shown_verdicts
from penstock.page.signals import late_claims, signals_of
from penstock.page.view import (
    DesignRow,
    ReportView,
)
from penstock.store.actions import actions
from penstock.store.reader import StoreReader
from penstock.store.unblinding import is_blind, unblindings
from penstock.study.hypotheses import Outcome
from penstock.study.model import Study

__all__ = ["report_view", "write_report"]

_MOST_ACTIONS = 50
"""So many of the last actions are listed; a program may act each minute."""


def write_report(
    store: StoreReader,
    study: Study,
    path: Path,
    *,
    texts: Texts = "all",
    analysis: Analysis | None = None,
    mark: str = "",
) -> None:
    """Write the report of a study as one HTML file, which loads nothing from anywhere.

    Args:
        store: The study's store.
        study: The study as it is declared.
        path: The file.
        texts: Whose answers go into the page.
        analysis: What came of the study; made where it is not given.
        mark: What is written after the page, for whoever made it to know it by.
    """
    page = render(report_view(store, study, texts=texts, analysis=analysis)) + mark
    with set_aside(path) as aside:
        aside.write_text(page, encoding="utf-8", errors="replace")  # half a surrogate pair


def report_view(
    store: StoreReader, study: Study, *, texts: Texts = "all", analysis: Analysis | None = None
) -> ReportView:
    """Return all that the page shows.

    Args:
        store: The study's store.
        study: The study as it is declared.
        texts: Whose answers go into the page.
        analysis: What came of the study; made where it is not given.
    """
    if analysis is None:
        # Without the extra counts, means, flow and runs remain.
        with suppress(ValidationError):
            analysis = analyze(store, study, with_models=False)

    readings = Readings(store, study)
    outcome = outcomes_of(study)[0]
    sample, whole = readings.sample(outcome), readings.whole(outcome)
    planned, ended = store.planned(), store.count()
    is_withheld = is_blind(store, study)
    found = None if analysis is None else analysis.outcomes[analysis.primary]
    is_share = sample.is_binary
    return ReportView(
        study_id=study.study_id,
        title=study.title,
        description=study.description,
        facts=_facts(store, study, whole, readings),
        outcome=outcome.name,
        is_share=is_share,
        is_blind=is_withheld,
        blind_note=_blind_note(planned, ended) if is_withheld else "",
        unblinded=(*map(str, unblindings(store)), *late_claims(store, study)),
        is_exploratory=not study.hypotheses,
        lacks_analysis=analysis is None,
        verdicts=tuple(shown_verdicts(analysis, study)),
        signals=signals_of(store, study, found, planned=planned, ended=ended),
        problems=whole.problems,
        **({} if is_withheld else _by_condition(readings, outcome, found)),
        **_flow(readings, outcome, planned, found),
        design=tuple(_design(study, whole, store, readings, analysis)),
        methods=methods_of(study, sample, analysis),
        runs=run_table(
            store,
            readings.places(whole),
            whole.problems,
            [None] * ended if is_withheld else [run.value for run in whole.runs],
            texts=texts,
            prompt_of=PromptsAgain(readings.plan).of,
            briefs={problem.problem_id: problem.brief for problem in study.problems},
            shows_scores=not is_withheld,
        ),
        version=version("penstock"),
    )


def _by_condition(
    readings: Readings, outcome: Outcome, found: OutcomeAnalysis | None
) -> dict[str, Any]:
    """Return the sections that say what conditions came to, each with its finding."""
    sample, whole = readings.sample(outcome), readings.whole(outcome)
    is_share = sample.is_binary
    conditions = conditions_of(sample, found, costs_of(readings, whole))
    better = None if found is None else found.better
    matrix = matrix_of(sample, is_lower_better=better == "lower")
    time = tuple(time_points(readings, whole))
    return {
        "conditions": conditions,
        "conditions_finding": conditions_finding(conditions, is_share=is_share, unit=sample.unit),
        "rows": "" if found is None else found.rows,
        "python": "" if found is None else found.python,
        "winners_finding": "" if found is None else winners_finding(found.winners),
        "bounds": () if found is None else tuple(bounds_rows(found)),
        "matrix": matrix,
        "matrix_finding": matrix_finding(matrix, is_share=is_share, better=better),
        "time": time,
        "time_finding": time_finding(time, is_share=is_share),
    }


def _flow(
    readings: Readings, outcome: Outcome, planned: int, found: OutcomeAnalysis | None
) -> dict[str, Any]:
    flow = flow_rows(readings.flow(outcome), readings.whole(outcome))
    return {"flow": flow, "flow_finding": flow_finding(flow, planned, found)}


def _blind_note(planned: int, ended: int) -> str:
    return (
        f"{planned - ended:,} of {planned:,} planned runs have not ended, and the study declares "
        "hypotheses: what each condition came to is withheld until then "
        "(penstock report --unblind REASON shows it)."
    )


def _facts(store: StoreReader, study: Study, sample: Sample, readings: Readings) -> str:
    planned, ended = store.planned(), store.count()
    runs = f"{ended:,} runs" if ended == planned else f"{ended:,} of {planned:,} runs"
    shape = f"{len(sample.arms):,} conditions \u00d7 {len(sample.problems):,} problems"
    replicates = study.replicates
    money = (
        ""
        if (cost := readings.cost_usd()) is None or cost == 0
        else f" {money_told(cost, decimals=2)}."
    )
    ended_at = readings.ended_at()
    date = f" Last run ended {ended_at[:10]}." if ended_at else ""
    each = "1 replicate" if replicates == 1 else f"{replicates:,} replicates"
    return f"{runs}: {shape} \u00d7 {each}.{money}{date}"


def _design(
    study: Study,
    sample: Sample,
    store: StoreReader,
    readings: Readings,
    analysis: Analysis | None,
) -> Iterable[DesignRow]:
    for name, levels in sample.factors().items():
        yield DesignRow(name=name, value=" · ".join(str(level) for level in levels))

    spec = study.design_spec
    yield DesignRow(name="Design", value=str(spec.kind).replace("_", " "))
    yield DesignRow(name="Order of the runs", value=str(study.run_order).replace("_", " "))
    yield DesignRow(
        name="Seeds",
        value=f"base {study.seed_policy.base_seed}, {study.seed_policy.strategy.value}".replace(
            "_", " "
        ),
    )
    for plan in study.analysis_plans:
        tests = ", ".join(plan.tests)
        policy = plan.multiple_comparison_policy or "not said, so Holm"
        value = f"{tests}; adjustment: {policy}"
        yield DesignRow(name=f"Analysis plan {plan.analysis_plan_id}", value=value)

    versions = _listed(row["version"] for row in store.rows("SELECT version FROM session"))
    yield DesignRow(name="Made with", value=f"penstock {versions}")
    done = [each for each in actions(store) if not each.shows_outcomes]
    for name, of_it in (
        ("Declared otherwise", [each for each in done if each.is_declaration]),
        ("Done while it ran", [each for each in done if not each.is_declaration]),
    ):
        for each in of_it[-_MOST_ACTIONS:]:
            yield DesignRow(name=name, value=str(each))

    provenance = without_secrets(study.provenance_metadata)
    for name, value in provenance.items():
        yield DesignRow(name=str(name), value=str(value))

    prompts = PromptsAgain(readings.plan)
    yield from prompt_rows(store, readings.places(sample), sample, prompts.of)
    yield from measured_rows(analysis)


def _listed(values: Iterable[str]) -> str:
    known: Sequence[str] = list(dict.fromkeys(values))
    return ", ".join(known)
