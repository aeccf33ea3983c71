"""``penstock plan``: what a study will run, take and cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

from penstock.cli.arguments import JsonOption, StudyArgument
from penstock.cli.output import counted, emit, errors_told, listed, say

if TYPE_CHECKING:
    from penstock.planning.plan import Plan
    from penstock.study.conditions import Condition
    from penstock.study.model import Study

__all__ = ["plan"]

_FIRST_RUNS = 5


@errors_told()
def plan(study: StudyArgument, *, json: JsonOption = False) -> None:
    """Show what a study would run, counted by condition, agent and problem; nothing is run."""
    from penstock.cli.forecasts import forecast_rows, forecasts_of
    from penstock.cli.target import find_study

    planned = _planned(find_study(study))
    agents: Counter[str] = Counter()
    problems: Counter[str] = Counter()
    for cell in planned.cells:
        agents.update(dict.fromkeys(cell.agents, cell.replicates * len(cell.problems)))
        problems.update(dict.fromkeys(cell.problems, cell.replicates * len(cell.agents)))

    show = _plan_as_json if json else _plan_as_text
    show(planned, agents, problems)
    calls = forecasts_of(planned)
    if calls and not json:
        say("chat models, from prompts alone to the longest answers (retries not counted)")
        say(*listed(forecast_rows(calls)))


def _planned(study: Study) -> Plan:
    from penstock.errors import ValidationError
    from penstock.planning.plan import plan as make_plan
    from penstock.planning.validation import declaration_errors

    errors = declaration_errors(study)
    try:
        planned = make_plan(study)
    except ValidationError as error:
        raise ValidationError([*errors, *error.errors]) from error

    if errors:
        raise ValidationError(errors)

    return planned


def _plan_as_json(planned: Plan, agents: Mapping[str, int], problems: Mapping[str, int]) -> None:
    from penstock.cli.forecasts import forecasts_of

    emit(
        "plan",
        study_id=planned.study.study_id,
        planned=len(planned),
        conditions=[
            {
                "condition_id": cell.condition.condition_id,
                "assignments": _assignments(cell.condition),
                "runs": cell.size,
            }
            for cell in planned.cells
        ],
        inadmissible=len(planned.conditions) - len(planned.cells),
        agents=agents,
        problems=problems,
        run_order=planned.study.run_order,
        first_runs=[spec.model_dump(mode="json") for spec in islice(planned, _FIRST_RUNS)],
        chat_models=[each._asdict() for each in forecasts_of(planned)],
    )


def _plan_as_text(planned: Plan, agents: Mapping[str, int], problems: Mapping[str, int]) -> None:
    left_out = len(planned.conditions) - len(planned.cells)
    conditions = counted(len(planned.cells), "condition")
    say(
        f"{planned.study.study_id}: {counted(len(planned), 'run')} planned; nothing was run",
        conditions + (f" ({left_out:,} more are inadmissible)" if left_out else ""),
        *listed(
            [
                (cell.condition.condition_id, f"{cell.size:,}", _in_words(cell.condition))
                for cell in planned.cells
            ]
        ),
        counted(len(agents), "agent"),
        *listed([(name, f"{runs:,}") for name, runs in agents.items()]),
        counted(len(problems), "problem"),
        *listed([(name, f"{runs:,}") for name, runs in problems.items()]),
        f"the first runs of the plan (they are started in {planned.study.run_order} order)",
        *listed(
            [
                (
                    spec.run_id,
                    spec.condition_id,
                    spec.agent_id,
                    spec.problem_id,
                    f"replicate {spec.replicate}",
                    f"seed {spec.seed}",
                )
                for spec in islice(planned, _FIRST_RUNS)
            ]
        ),
    )


def _assignments(condition: Condition) -> dict[str, Any]:
    return {**condition.factor_assignments, **condition.block_assignments}


def _in_words(condition: Condition) -> str:
    return ", ".join(f"{name}={value}" for name, value in _assignments(condition).items())
