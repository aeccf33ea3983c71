"""``penstock run``: what is missing of a study is made."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from penstock.cli.arguments import (
    ConcurrencyOption,
    DryRunOption,
    JsonOption,
    MaxFailuresOption,
    OutputDirOption,
    ProgressOption,
    TargetArgument,
    VerboseOption,
)

__all__ = ["run"]


def run(
    study: TargetArgument = None,
    *,
    output_dir: OutputDirOption = None,
    limit: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="A pilot: the first N runs in all, rounded up to whole blocks. A later run goes "
            "on.",
        ),
    ] = None,
    problems: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="K",
            help="A pilot: the first K problems, with all conditions, agents and replicates.",
        ),
    ] = None,
    agent: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Only runs of this agent; may be given more than once."),
    ] = None,
    condition: Annotated[
        list[str] | None,
        typer.Option(
            metavar="C",
            help="Only runs of this condition, by its id or by what it holds (tone=warm,size=3); "
            "may be given more than once.",
        ),
    ] = None,
    problem: Annotated[
        list[str] | None,
        typer.Option(metavar="ID", help="Only runs of this problem; may be given more than once."),
    ] = None,
    rescore: Annotated[
        bool,
        typer.Option("--rescore", help="Score kept answers again too; no agent is called for it."),
    ] = False,
    retry_failed: Annotated[
        bool,
        typer.Option(
            "--retry-failed",
            help="Ask again what a provider has refused for good, also where nothing changed.",
        ),
    ] = False,
    fresh: Annotated[
        bool,
        typer.Option("--fresh", help="Move earlier results aside and start from nothing."),
    ] = False,
    concurrency: ConcurrencyOption = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Have the runs made by N worker processes on this machine (needs penstock[dask]).",
        ),
    ] = None,
    engine: Annotated[
        Literal["dask"] | None,
        typer.Option(
            help="Have the runs made by the other processes of a job (srun, mpirun, an indexed "
            "job), or by the cluster at --address."
        ),
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(metavar="TLS", help="The scheduler of a Dask cluster: tls://host:port."),
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
    max_failures: MaxFailuresOption = None,
    stop_alike: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="K",
            help="Leave the other runs of an agent and model whose first K all fail with one "
            "class of error; 0 for never.",
        ),
    ] = None,
    report: Annotated[
        bool | None,
        typer.Option(help="Write report.html at the end; the default is to."),
    ] = None,
    control: Annotated[
        bool | None,
        typer.Option(
            help="Let `penstock watch`, `pause`, `set` and so on reach it; the default is to. "
            "With --page it gives the page buttons."
        ),
    ] = None,
    page: Annotated[
        bool,
        typer.Option("--page", help="Serve the live page meanwhile, and print its address."),
    ] = False,
    dry_run: DryRunOption = False,
    progress: ProgressOption = None,
    json: JsonOption = False,
    verbose: VerboseOption = False,
    sqlite: Annotated[  # noqa: ARG001 - the store is always there
        bool, typer.Option("--sqlite", hidden=True, help="Changes nothing: it is always there.")
    ] = False,
) -> None:
    """Run what is missing of a study: what succeeded before is kept, what failed runs again."""
    from penstock.cli import dry_run as preview
    from penstock.cli import session
    from penstock.cli.run_request import RunRequest
    from penstock.planning.selection import Selection

    at_odds = {
        "--fail-fast means --max-failures 0; give one of them": fail_fast and max_failures,
        "--fresh keeps no answers that --rescore could score; give one": fresh and rescore,
        "--workers are of this machine, and --engine of others; give one": engine and workers,
        "--address needs --engine dask": address and not engine,
    }
    for said, is_so in at_odds.items():
        if is_so:
            raise typer.BadParameter(said)

    request = RunRequest(
        output_dir=output_dir,
        only=Selection(
            agents=tuple(agent or ()),
            conditions=tuple(condition or ()),
            problems=tuple(problem or ()),
            first_problems=problems,
            limit=limit,
        ),
        rescore=rescore,
        retry_failed=retry_failed,
        concurrency=concurrency,
        workers=workers,
        engine=engine,
        address=address,
        timeout_s=timeout,
        retries=retries,
        fail_fast=fail_fast,
        max_failures=max_failures,
        stop_alike=stop_alike,
        fresh=fresh,
        report=report,
        control=control,
        page=page,
        show_progress=not json if progress is None else progress,
        json=json,
        verbose=verbose,
    )
    preview.dry_run(study, request) if dry_run else session.run(study, request)
