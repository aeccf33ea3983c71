"""The command line: ``penstock run``, ``check``, ``plan``, ``status``, ``export`` (floor 7).

People read stderr, machines read stdout. The exit code says what came of it: see `ExitCode`.
What a command needs is imported when it is called, so that ``--help`` is quick.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import Annotated, Any

import typer

from penstock.cli.arguments import DirectoryArgument, JsonOption, StudyArgument, number_or_auto
from penstock.cli.contract import PANEL, verbs
from penstock.cli.output import ensure_descriptors
from penstock.cli.simulating import simulate_model

__all__ = ["app", "main"]

app = typer.Typer(
    name="penstock",
    help="Run studies with language models; nothing paid for is lost, nothing is run twice.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 complete, 1 internal error, 2 usage, 3 invalid study or refused "
    "directory, 10 failed runs, 11 out of budget, 130 interrupted (run it again to go on).",
)


def main() -> None:
    """Run the command line, and exit with its code."""
    ensure_descriptors()
    try:
        app()
    except SystemExit as ending:
        # A thread that hangs in an agent was given up long ago; it must not keep us from leaving.
        if any(not each.daemon for each in threading.enumerate()[1:]):
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(ending.code if isinstance(ending.code, int) else 1)

        raise


def _show_version(wanted: bool) -> None:  # noqa: FBT001 - typer's callback
    if wanted:
        from importlib.metadata import version  # noqa: PLC0415 - slow, and seldom asked for

        typer.echo(f"penstock {version('penstock')}")
        raise typer.Exit


@app.callback()
def _penstock(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version.", callback=_show_version, is_eager=True),
    ] = False,
) -> None:
    pass


@app.command()
def run(
    study: StudyArgument,
    *,
    output_dir: Annotated[
        Path | None, typer.Option(help="Where results go, in place of the study's own.")
    ] = None,
    concurrency: Annotated[
        Any,
        typer.Option(
            "--concurrency",
            "--parallelism",
            parser=number_or_auto,
            metavar="N|auto",
            help="Runs in flight at once, or as many as agents keep up with; else the run "
            "budget's.",
        ),
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option(min=0.001, metavar="S", help="Seconds an agent may take in one attempt."),
    ] = None,
    retries: Annotated[
        int, typer.Option(min=0, metavar="N", help="How often a failed run is tried again.")
    ] = 0,
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
    from penstock.cli import running  # noqa: PLC0415 - see the module's docstring

    request = running.RunRequest(
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

    running.dry_run(study, request) if dry_run else running.run(study, request)


@app.command()
def check(study: StudyArgument) -> None:
    """Say everything that is wrong with a study; nothing is run or written."""
    from penstock.cli import looking  # noqa: PLC0415 - see the module's docstring

    looking.check(study)


@app.command()
def plan(study: StudyArgument, *, json: JsonOption = False) -> None:
    """Show what a study would run, counted by condition, agent and problem; nothing is run."""
    from penstock.cli import looking  # noqa: PLC0415 - see the module's docstring

    looking.show_plan(study, json=json)


@app.command()
def status(directory: DirectoryArgument, *, json: JsonOption = False) -> None:
    """Show where a study stands, also while it runs."""
    from penstock.cli import looking  # noqa: PLC0415 - see the module's docstring

    looking.show_status(directory, json=json)


@app.command()
def export(
    directory: DirectoryArgument,
    *,
    to: Annotated[Path | None, typer.Option(help="Where the files go; else DIR itself.")] = None,
    sqlite: Annotated[bool, typer.Option("--sqlite", help="Copy study.sqlite there too.")] = False,
    parquet: Annotated[
        bool, typer.Option("--parquet", help="Write the tables as Parquet too.")
    ] = False,
    spreadsheet_safe: Annotated[
        bool,
        typer.Option("--spreadsheet-safe", help="Quote what looks like a formula; needs --to."),
    ] = False,
) -> None:
    """Write a study's files (runs.csv and so on) from its store."""
    from penstock.cli import looking  # noqa: PLC0415 - see the module's docstring

    if spreadsheet_safe and to is None:
        raise typer.BadParameter("--spreadsheet-safe is for a copy: give --to as well")

    looking.export(directory, to, sqlite=sqlite, spreadsheet_safe=spreadsheet_safe, parquet=parquet)


@app.command()
def doctor(
    directory: DirectoryArgument,
    *,
    crash_test: Annotated[
        bool,
        typer.Option("--crash-test", help="Kill a small study on DIR's disk; see what is kept."),
    ] = False,
    json: JsonOption = False,
) -> None:
    """Say what is wrong with a study's directory and what to do; nothing is changed."""
    from penstock.cli.doctor import examine  # noqa: PLC0415 - see the module's docstring

    examine(directory, crash=crash_test, json=json)


app.command("simulate-model")(simulate_model)

for _name in ("run-study", "resume-study"):
    app.command(_name, rich_help_panel=PANEL)(run)

app.add_typer(verbs)
