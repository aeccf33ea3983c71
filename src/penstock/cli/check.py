"""``penstock check``: everything that is wrong with a study."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from penstock.cli.arguments import JsonOption, OutputDirOption, TargetArgument
from penstock.cli.exit_codes import ExitCode
from penstock.cli.output import (
    counted,
    emit,
    errors_told,
    faults_of,
    in_one_line,
    say,
    tell_faults,
)

if TYPE_CHECKING:
    from penstock.cli.records import Checked

__all__ = ["check"]


@errors_told()
def check(
    study: TargetArgument = None,
    *,
    output_dir: OutputDirOption = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse a study with warnings too.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Print everything that is wrong with a study; nothing is run or written."""
    found = _checked(study, output_dir)
    if json:
        emit(found)
    else:
        _tell(found, is_strict=strict)

    if not found.is_valid or (strict and found.warnings):
        raise typer.Exit(ExitCode.REFUSED)


def _checked(named: str | None, output_dir: Path | None) -> Checked:
    from penstock.cli.readiness import readiness
    from penstock.cli.records import Checked
    from penstock.cli.target import find_target
    from penstock.errors import StudyFileError, ValidationError

    try:
        target = find_target(named, output_dir)
    except StudyFileError as error:
        return Checked(is_valid=False, errors=faults_of(error))

    report = readiness(target).report
    return Checked(
        study_id=report.study_id,
        is_valid=report.is_valid,
        errors=faults_of(ValidationError(report.errors)),
        warnings=tuple(map(in_one_line, report.warnings)),
        planned=report.planned,
        done=report.done,
        left=report.left,
        output_dir=str(target.output_dir),
    )


def _tell(found: Checked, *, is_strict: bool) -> None:
    say(*(f"warning: {doubt}" for doubt in found.warnings))
    if found.errors:
        tell_faults(found.errors)
    elif is_strict and found.warnings:
        say(f"--strict refuses it: {counted(len(found.warnings), 'warning')}")
    else:
        done = f", {found.done:,} done, {found.left:,} left" if found.done else ""
        say(
            f"{found.study_id}: valid; its agents, problems and evaluators load",
            f"{counted(found.planned, 'run')} planned{done}",
        )
