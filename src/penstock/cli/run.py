"""``penstock run``: what is missing of a study is made."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from penstock.cli.arguments import JsonOption, TargetArgument, given_path, number_or_auto

__all__ = ["run"]


def run(
    study: TargetArgument = None,
    *,
    output_dir: Annotated[
        Path | None,
        typer.Option(
            parser=given_path,
            metavar="DIR",
            help="Where results go, in place of the study's own.",
        ),
    ] = None,
    concurrency: Annotated[
        Any,
        typer.Option(
            "--concurrency",
            "--parallelism",
            parser=number_or_auto,
            metavar="N|auto",
            help="Runs in flight at once, or as many as agents keep up with; else the study's.",
        ),
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option(min=0.001, metavar="S", help="Seconds an agent may take in one attempt."),
    ] = None,
    retries: Annotated[
        int | None,
        typer.Option(min=0, metavar="N", help="How often a failed run is tried again."),
    ] = None,
    fail_fast: Annotated[bool, typer.Option("--fail-fast", help="Stop at a failed run.")] = False,
    max_failures: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="F",
            help="Stop when more runs than this have failed, and exit 10; without it all runs "
            "are made, and the exit code is 10 if any failed.",
        ),
    ] = None,
    fresh: Annotated[
        bool,
        typer.Option("--fresh", help="Move earlier results aside and start from nothing."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything, and run and write nothing.")
    ] = False,
    progress: Annotated[
        bool | None, typer.Option(help="Show progress; the default is to, but with --json not to.")
    ] = None,
    json: JsonOption = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say more on stderr.")] = False,
    sqlite: Annotated[  # noqa: ARG001 - the store is always there
        bool, typer.Option("--sqlite", hidden=True, help="Changes nothing: it is always there.")
    ] = False,
) -> None:
    """Run what is missing of a study: what succeeded before is kept, what failed runs again."""
    from penstock.cli import session

    request = session.RunRequest(
        output_dir=output_dir,
        concurrency=concurrency,
        timeout_s=timeout,
        retries=retries,
        fail_fast=fail_fast,
        max_failures=max_failures,
        fresh=fresh,
        show_progress=not json if progress is None else progress,
        json=json,
        verbose=verbose,
    )
    if fail_fast and max_failures:
        raise typer.BadParameter("--fail-fast means --max-failures 0; give one of them")

    session.dry_run(study, request) if dry_run else session.run(study, request)
