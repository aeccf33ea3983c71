"""``penstock rescore``: kept answers are scored again, and no agent is called."""

from __future__ import annotations

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

__all__ = ["rescore"]


def rescore(
    study: TargetArgument = None,
    *,
    output_dir: OutputDirOption = None,
    concurrency: ConcurrencyOption = None,
    max_failures: MaxFailuresOption = None,
    dry_run: DryRunOption = False,
    progress: ProgressOption = None,
    json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Score kept answers again with the study's evaluators; no agent is called."""
    from penstock.cli import dry_run as preview
    from penstock.cli import session
    from penstock.cli.run_request import RunRequest
    from penstock.planning.selection import Selection

    request = RunRequest(
        output_dir=output_dir,
        only=Selection(is_answered=True),
        rescore=True,
        concurrency=concurrency,
        max_failures=max_failures,
        show_progress=not json if progress is None else progress,
        json=json,
        verbose=verbose,
    )
    preview.dry_run(study, request) if dry_run else session.run(study, request)
