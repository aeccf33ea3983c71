"""``penstock plan``: what a study will run, what of it is done, and what the rest will cost."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from penstock.cli.arguments import JsonOption, OutputDirOption, TargetArgument, given_path
from penstock.cli.output import counted, emit, errors_told, in_one_line, listed, say

if TYPE_CHECKING:
    from penstock.cli.plan_records import Planned
    from penstock.cli.readiness import Readiness
    from penstock.planning.plan import Plan

__all__ = ["plan"]

_FIRST_RUNS = 5


@errors_told()
def plan(
    study: TargetArgument = None,
    *,
    output_dir: OutputDirOption = None,
    pilot: Annotated[
        Path | None,
        typer.Option(
            parser=given_path,
            metavar="DIR",
            help="Forecast from the runs in this directory, also one that was moved aside; else "
            "from those that the study has made.",
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Show what a study would run, what is done of it, what the rest takes, if it is enough."""
    from penstock.cli.plan_forecast import plan_forecast_lines
    from penstock.cli.readiness import is_in_use, readiness
    from penstock.cli.target import find_target

    ready = readiness(find_target(study, output_dir))
    planned = _planned(ready, ready.planned(), pilot)
    if json:
        emit(planned)
    else:
        say(*(f"warning: {in_one_line(doubt)}" for doubt in ready.report.warnings))
        _tell(planned)
        say(*plan_forecast_lines(planned))
        if is_in_use(ready.target.output_dir):
            say("it is being run now: what is done grows")


def _planned(ready: Readiness, made: Plan, pilot: Path | None) -> Planned:
    from penstock.cli.chat_forecasts import forecasts_of
    from penstock.cli.plan_forecast import plan_forecast_of
    from penstock.cli.plan_records import Planned, PlannedCondition
    from penstock.store.continuing.declaration_rows import question_of

    agents: Counter[str] = Counter()
    problems: Counter[str] = Counter()
    for cell in made.cells:
        agents.update(dict.fromkeys(cell.agents, cell.replicates * len(cell.problems)))
        problems.update(dict.fromkeys(cell.problems, cell.replicates * len(cell.agents)))

    whole = forecasts_of(made)
    return Planned(
        study_id=made.study.study_id,
        planned=len(made),
        done=ready.report.done,
        left=ready.report.left,
        unscored=len(ready.kept.answered),
        conditions=tuple(
            PlannedCondition(
                condition_id=cell.condition.condition_id,
                assignments={
                    **cell.condition.factor_assignments,
                    **cell.condition.block_assignments,
                },
                runs=cell.size,
            )
            for cell in made.cells
        ),
        inadmissible=len(made.conditions) - len(made.cells),
        agents=agents,
        problems=problems,
        problem_hashes={each.problem_id: question_of(each) for each in made.study.problems},
        run_order=made.study.run_order,
        first_runs=tuple(spec.model_dump(mode="json") for spec in islice(made, _FIRST_RUNS)),
        chat_models=whole,
        chat_models_left=forecasts_of(made, ready.kept) if ready.kept.done else whole,
        output_dir=str(ready.target.output_dir),
        **plan_forecast_of(ready, made, pilot)._asdict(),
    )


def _tell(planned: Planned) -> None:
    from penstock.cli.readiness import standing_in_words

    words = standing_in_words(planned.done, planned.left, planned.unscored)
    left_out = f" ({planned.inadmissible:,} more are inadmissible)" if planned.inadmissible else ""
    say(
        f"{planned.study_id}: {counted(planned.planned, 'run')} planned; nothing was run",
        *([f"{words}: {planned.output_dir}"] if words else []),
        counted(len(planned.conditions), "condition") + left_out,
        *listed(
            [
                (
                    each.condition_id,
                    f"{each.runs:,}",
                    ", ".join(f"{name}={value}" for name, value in each.assignments.items()),
                )
                for each in planned.conditions
            ]
        ),
        counted(len(planned.agents), "agent"),
        *listed([(name, f"{runs:,}") for name, runs in planned.agents.items()]),
        counted(len(planned.problems), "problem"),
        *listed([(name, f"{runs:,}") for name, runs in planned.problems.items()]),
        f"the first runs of the plan (they are started in {planned.run_order} order)",
        *listed(
            [
                (
                    str(run["run_id"]),
                    str(run["condition_id"]),
                    str(run["agent_id"]),
                    str(run["problem_id"]),
                    f"replicate {run['replicate']}",
                    f"seed {run['seed']}",
                )
                for run in planned.first_runs
            ]
        ),
    )
    if planned.chat_models:
        from penstock.cli.chat_forecasts import forecast_lines

        say(*forecast_lines(planned.chat_models_left, is_rest=planned.done > 0))
