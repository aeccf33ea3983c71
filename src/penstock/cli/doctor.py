"""``penstock doctor``: what is wrong with a study's directory, and what to do."""

from __future__ import annotations

from pathlib import Path

import typer

from penstock.cli.crash import crash_test
from penstock.cli.output import ExitCode, counted, emit, errors_told, say
from penstock.export.checks import examine_artifacts
from penstock.store.doctor import Finding, examine_store
from penstock.store.lock import is_held

__all__ = ["examine"]


def examine(directory: Path, *, crash: bool, json: bool) -> None:
    """Examine a study's directory; exit with 3 where something in it is damaged."""
    with errors_told():
        findings = [*examine_store(directory)]
        if is_held(directory):
            findings.append(Finding(is_wrong=False, what="in use: its files are not compared"))
        elif not any(finding.is_wrong for finding in findings):
            findings += examine_artifacts(directory)

        if crash:
            findings.append(crash_test(directory))

        wrong = [finding for finding in findings if finding.is_wrong]
        if json:
            emit(
                "doctor",
                output_dir=str(directory.absolute()),
                is_healthy=not wrong,
                findings=[finding._asdict() for finding in findings],
            )
        else:
            for finding in findings:
                said = "wrong" if finding.is_wrong else "note"
                say(f"{said}: {finding.what}", *([f"  {finding.advice}"] if finding.advice else []))

            say(
                f"{directory}: {counted(len(wrong), 'fault')}" if wrong else f"{directory}: healthy"
            )

        if wrong:
            raise typer.Exit(ExitCode.REFUSED)
