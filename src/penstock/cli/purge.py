"""``penstock purge``: what was asked and said is taken out of a study for good."""

from __future__ import annotations

from typing import Annotated

import typer

from penstock.cli.arguments import JsonOption, TargetArgument
from penstock.cli.output import counted, emit, errors_told, say

__all__ = ["purge"]


@errors_told()
def purge(
    study: TargetArgument = None,
    *,
    texts: Annotated[
        bool,
        typer.Option("--texts", help="Prompts, answers, calls, errors: all that was said."),
    ] = False,
    calls: Annotated[
        bool,
        typer.Option("--calls", help="What was sent to chat models and what they sent back."),
    ] = False,
    problem: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ID",
            help="The texts of this problem and of the answers to it; may be given more than once.",
        ),
    ] = None,
    aside: Annotated[
        bool,
        typer.Option("--aside", help="Delete the directories that --fresh moved aside."),
    ] = False,
    json: JsonOption = False,
) -> None:
    """Delete a study's prompts and answers for good; counts, costs and scores stay."""
    from penstock.cli.directory_records import PurgedStudy
    from penstock.cli.target import find_directory
    from penstock.export.purging import purge_study
    from penstock.models.calls.cache import empty_cache
    from penstock.store.files.purged import Wanted

    wanted = Wanted(texts, calls, tuple(problem or ()))
    if not (any(wanted) or aside):
        raise typer.BadParameter("say what: --texts, --calls, --problem ID, or --aside")

    directory = find_directory(study)
    done = purge_study(directory, wanted, aside=aside)
    forgotten = 0 if done.cache is None else empty_cache(done.cache)
    if json:
        emit(
            PurgedStudy(
                output_dir=str(directory.absolute()),
                attempts=done.rows.attempts,
                problems=done.rows.problems,
                calls=done.rows.calls,
                cached=forgotten,
                purged=tuple(map(str, done.purged)),
                deleted=tuple(map(str, done.deleted)),
            )
        )
        return

    rows = done.rows
    say(
        *(f"purged: {each}" for each in done.purged),
        *(f"deleted: {each}" for each in done.deleted),
        *([f"emptied: {done.cache}"] if done.cache else []),
        f"{counted(rows.attempts, 'attempt')}, {counted(rows.problems, 'problem')} and "
        f"{counted(rows.calls, 'call')} have lost their texts; bundles, exports elsewhere, backups "
        "and the study's own files are as they were",
    )
