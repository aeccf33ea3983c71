"""``penstock doctor``: what is wrong with a study's directory, and what to do."""

from __future__ import annotations

from typing import Annotated

import typer

from penstock.cli.arguments import JsonOption, TargetArgument
from penstock.cli.exit_codes import ExitCode
from penstock.cli.output import counted, emit, errors_told, say

__all__ = ["doctor"]


@errors_told()
def doctor(
    study: TargetArgument = None,
    *,
    crash_test: Annotated[
        bool,
        typer.Option("--crash-test", help="Kill a small study on its disk; see what is kept."),
    ] = False,
    json: JsonOption = False,
) -> None:
    """Print what is wrong with a study's directory and what to do; nothing is changed."""
    from penstock.cli import crash
    from penstock.cli.directory_records import Diagnosed, Found
    from penstock.cli.target import find_directory
    from penstock.export.file_checks import examine_artifacts
    from penstock.store.files.doctor import Finding, examine_store
    from penstock.store.files.lock import is_held

    directory = find_directory(study)
    findings = [*examine_store(directory)]
    if is_held(directory):
        findings.append(Finding(is_wrong=False, what="in use: its files are not compared"))
    elif not any(finding.is_wrong for finding in findings):
        findings += examine_artifacts(directory)

    if crash_test:
        findings.append(crash.crash_test(directory))

    wrong = [finding for finding in findings if finding.is_wrong]
    if json:
        emit(
            Diagnosed(
                output_dir=str(directory.absolute()),
                is_healthy=not wrong,
                findings=tuple(Found(**finding._asdict()) for finding in findings),
            )
        )
    else:
        for finding in findings:
            said = "wrong" if finding.is_wrong else "note"
            say(f"{said}: {finding.what}", *([f"  {finding.advice}"] if finding.advice else []))

        say(f"{directory}: {counted(len(wrong), 'fault')}" if wrong else f"{directory}: healthy")

    if wrong:
        raise typer.Exit(ExitCode.REFUSED)
