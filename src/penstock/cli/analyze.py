"""``penstock analyze``: what came of a study."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from penstock.cli.arguments import JsonOption, TargetArgument, UnblindOption
from penstock.cli.exit_codes import ExitCode
from penstock.cli.output import emit, errors_told, listed, say

if TYPE_CHECKING:
    from penstock.analysis.analysis_facts import Analysis, OutcomeAnalysis
    from penstock.analysis.estimates import Interval
    from penstock.analysis.missingness import Flow

__all__ = ["analyze"]

_HOLDS = frozenset({"supported", "equivalent"})


@errors_told()
def analyze(
    study: TargetArgument = None,
    *,
    require: Annotated[
        list[str] | None,
        typer.Option(metavar="H", help="Exit 13 unless this hypothesis holds; may be repeated."),
    ] = None,
    unblind: UnblindOption = None,
    json: JsonOption = False,
) -> None:
    """Show what came of a study: a verdict for each hypothesis, and each condition's estimate."""
    from penstock.analysis.analyze import analyze as analyze_store
    from penstock.cli.target import find_directory
    from penstock.store.reader import StoreReader
    from penstock.store.unblinding import unblind as make_unblind

    directory = find_directory(study)
    if unblind is not None:
        make_unblind(directory, unblind)

    with StoreReader(directory) as store, store.snapshot():
        found = analyze_store(store, store.study())

    known = {each.hypothesis_id: each for each in found.hypotheses}
    unknown = [name for name in require or () if name not in known]
    if unknown:
        declared = ", ".join(known) or "none"
        raise typer.BadParameter(
            f"--require {unknown[0]}: the study declares no such hypothesis (declared: {declared})"
        )

    if json:
        emit(found, event="analysis")
    else:
        say(*_told(found))

    missed = [name for name in require or () if known[name].verdict not in _HOLDS]
    if missed:
        say(*(f"required, and does not hold: {name}: {known[name].verdict}" for name in missed))
        raise typer.Exit(ExitCode.FINDING_DOES_NOT_HOLD)


def _told(found: Analysis) -> Iterator[str]:
    primary = found.outcomes[found.primary]
    yield f"{found.study_id}: {found.ended:,} of {found.planned:,} runs, outcome {found.primary}"
    yield from found.unblinded
    yield from found.redeclared
    for each in found.hypotheses:
        yield f"{each.hypothesis_id}: {each.sentence}"

    if found.is_exploratory and not found.is_blind:
        yield "no hypothesis was declared, so what follows is exploratory"

    yield from _adjusted(found)
    if primary.unit_note:
        yield primary.unit_note

    if primary.chosen:
        yield f"what follows is of {primary.chosen}"

    rows = _rows(primary)
    if rows:
        yield "conditions (mean [95 % interval], problems, runs)"
        yield from listed(rows)

    yield from _missing(primary)
    if primary.winners:
        yield "the best level of each setting (p over all pairs of levels in all settings)"
        yield from listed(_winners(primary))

    if found.agreements:
        yield "agreement of evaluators (runs, kappa, alpha, bias)"
        yield from listed(_agreements(found))

    if found.is_exploratory and primary.contrasts:
        yield "differences (mean [95 % interval], p)"
        yield from listed(_differences(primary))


def _adjusted(found: Analysis) -> Iterator[str]:
    """Yield what differences are where they are adjusted for covariates."""
    for outcome in found.outcomes.values():
        for name, each in outcome.regressions.items():
            if each.covariates and name in outcome.contrasts:
                between = f"[{each.interval.low:.4g}, {each.interval.high:.4g}]"
                yield (
                    f"{name} adjusted for {', '.join(each.covariates)}: {each.coefficient:.4g} "
                    f"{between}, p = {each.cr2.p:.2g} (regression by problem, CR2)"
                )

        for covariate in outcome.covariates:
            if covariate.note:
                yield f"covariate {covariate.name}: {covariate.note}"


def _rows(outcome: OutcomeAnalysis) -> Sequence[tuple[str, ...]]:
    rows = []
    for each in outcome.conditions:
        told = each.undefined.get("mean", "") if each.mean is None else f"{each.mean:.4g}"
        interval = each.interval
        between = "" if interval is None else f"[{interval.low:.4g}, {interval.high:.4g}]"
        rows.append((each.name, told, between, f"{each.n_problems:,}", f"{each.n_runs:,}"))

    return rows


def _missing(outcome: OutcomeAnalysis) -> Iterator[str]:
    """List which runs have no value, and what other values in their place would change."""
    if all(each.scored == each.planned for each in outcome.flow):
        return

    yield "runs without a value"
    yield from listed(
        [
            (
                each.name,
                f"{each.planned - each.scored:,} of {each.planned:,}",
                ", ".join(_reasons(each)),
            )
            for each in outcome.flow
        ]
    )
    for name, each in outcome.bounds.items():
        yield (
            f"{name} with failures as the worst value: {each.worst:.4g}, as the best: "
            f"{each.best:.4g}, whatever they are: {each.manski_low:.4g} to {each.manski_high:.4g}"
        )


def _reasons(flow: Flow) -> Iterator[str]:
    if flow.ended < flow.planned:
        yield f"{flow.planned - flow.ended:,} have not ended"

    yield from (f"{count:,} x {why}" for why, count in flow.failures.items())


def _agreements(found: Analysis) -> Sequence[tuple[str, ...]]:
    return [
        (
            f"{each.first}, {each.other}",
            f"{each.n_runs:,}",
            *(
                "-" if value is None else _with_interval(value, interval)
                for value, interval in (
                    (each.kappa, each.kappa_interval),
                    (each.alpha, each.alpha_interval),
                    (each.bias, each.bias_interval),
                )
            ),
        )
        for each in found.agreements
    ]


def _with_interval(value: float, interval: Interval | None) -> str:
    between = "" if interval is None else f" [{interval.low:.3g}, {interval.high:.3g}]"
    return f"{value:.3g}{between}"


def _winners(outcome: OutcomeAnalysis) -> Sequence[tuple[str, ...]]:
    return [
        (
            ", ".join(f"{name}={level}" for name, level in each.setting.items()) or "all",
            each.best,
            "" if each.p_adjusted is None else f"p = {each.p_adjusted:.2g}",
            "" if each.is_shown else f"not shown: {each.runner_up} is close",
        )
        for each in outcome.winners
    ]


def _differences(outcome: OutcomeAnalysis) -> Sequence[tuple[str, ...]]:
    rows = []
    for name, each in {**outcome.contrasts, **outcome.effects}.items():
        told = next(iter(each.undefined.values()), "")
        if each.difference is not None:
            told = f"{each.difference:.4g}"

        interval = each.interval
        between = "" if interval is None else f"[{interval.low:.4g}, {interval.high:.4g}]"
        rows.append((name, told, between, "" if each.p is None else f"p = {each.p:.2g}"))

    return rows
