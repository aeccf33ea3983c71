"""The commands that look and run nothing: ``check``, ``plan``, ``status``, ``export``."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Mapping
from contextlib import nullcontext
from itertools import islice
from pathlib import Path
from typing import Any

from penstock.cli.forecasts import forecast_rows, forecasts_of
from penstock.cli.output import counted, emit, errors_told, listed, say
from penstock.cli.standing import failure_rows, standing
from penstock.cli.target import find_study
from penstock.errors import ForeignDirectoryError, StoreError, ValidationError
from penstock.export.artifacts import export_artifacts
from penstock.export.canonical import validate_canonical_artifacts
from penstock.export.spreadsheets import quote_formulas
from penstock.planning.plan import Plan
from penstock.planning.plan import plan as make_plan
from penstock.planning.validation import declaration_errors
from penstock.runner import StudyRunner
from penstock.store.lock import hold_directory
from penstock.store.reader import StoreReader
from penstock.study.conditions import Condition
from penstock.study.model import Study

__all__ = ["check", "export", "show_plan", "show_status"]

_FIRST_RUNS = 5


def check(target: str) -> None:
    """Validate a study and load everything it names."""
    with errors_told():
        runner = StudyRunner(find_study(target))
        say(f"{runner.study.study_id}: valid; its agents, problems and evaluators load")


def show_plan(target: str, *, json: bool) -> None:
    """Show how many runs there are of what, and the first of them."""
    with errors_told():
        planned = _planned(find_study(target))
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
    errors = declaration_errors(study)
    try:
        planned = make_plan(study)
    except ValidationError as error:
        raise ValidationError([*errors, *error.errors]) from error

    if errors:
        raise ValidationError(errors)

    return planned


def _plan_as_json(planned: Plan, agents: Mapping[str, int], problems: Mapping[str, int]) -> None:
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


def show_status(directory: Path, *, json: bool) -> None:
    """Show where a study stands; it may be running."""
    with errors_told():
        try:
            with StoreReader(directory) as store, store.snapshot():
                status, failures = standing(store), failure_rows(store)
        except sqlite3.Error as error:
            raise StoreError(f"{directory / 'study.sqlite'} cannot be read: {error}") from error

        if json:
            emit("status", **status)
        else:
            _status_as_text(status, failures)


def _status_as_text(status: Mapping[str, Any], failures: list[tuple[str, ...]]) -> None:
    session = status["last_session"]
    done = ", ".join(
        f"{status[name]:,} {name}" for name in ("succeeded", "failed", "skipped", "remaining")
    )
    who = f"process {session['pid']} on {session['host']} since {session['started_at']}"
    tokens = status["input_tokens"] + status["output_tokens"]
    say(
        f"{status['study_id']}: {status['title']}",
        f"runs: {status['planned']:,} planned, {done}",
        f"attempts: {status['attempts']:,}, {tokens:,} tokens, ${status['cost_usd']:,.4f}",
        f"last session (of {status['sessions']:,}): {status['state']}; {who}",
    )
    if status["lost_calls"]:
        say(f"{counted(status['lost_calls'], 'call')} may have been paid for without a result")

    if failures:
        say("failures:", *listed(failures, most=5))


def export(
    directory: Path,
    to: Path | None,
    *,
    sqlite: bool,
    study_id: str | None = None,
    spreadsheet_safe: bool = False,
    parquet: bool = False,
) -> None:
    """Write a study's files from its store; beside it only while nobody runs the study."""
    with errors_told():
        # Before anything is written: is there a study at all, and the one that is meant?
        with StoreReader(directory) as store:
            if study_id is not None and study_id != store.study_id:
                raise ForeignDirectoryError(
                    f"{directory} holds study {store.study_id!r}, not {study_id!r}"
                )

        is_beside = to is None or to.absolute() == directory.absolute()
        with hold_directory(directory) if is_beside else nullcontext():
            try:
                where = export_artifacts(directory, to, sqlite=sqlite, parquet=parquet)
            except sqlite3.Error as error:
                raise StoreError(f"{directory / 'study.sqlite'}: {error}") from error

        if spreadsheet_safe:
            quote_formulas(where)

        if wrong := validate_canonical_artifacts(where):
            raise StoreError(f"the files in {where} are not as they should be: {' '.join(wrong)}")

        say(f"exported to {where}")
