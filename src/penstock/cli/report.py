"""``penstock report``: what came of a study, as one page that can be sent."""

from __future__ import annotations

import webbrowser
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from penstock.cli.arguments import JsonOption, TargetArgument, UnblindOption, given_path
from penstock.cli.output import emit, errors_told, say

__all__ = ["report"]


class Answers(StrEnum):
    """Whose texts go into the page."""

    all = "all"
    failures = "failures"
    none = "none"


@errors_told()
def report(
    study: TargetArgument = None,
    *,
    to: Annotated[
        Path | None,
        typer.Option(
            parser=given_path, metavar="FILE", help="The file; else report.html in the results."
        ),
    ] = None,
    texts: Annotated[
        Answers, typer.Option(help="Whose texts go into the page: answers and errors.")
    ] = Answers.all,
    show: Annotated[bool, typer.Option("--open", help="Open it in a browser.")] = False,
    unblind: UnblindOption = None,
    json: JsonOption = False,
) -> None:
    """Write what came of a study as one page: verdicts, evidence, and every run."""
    from penstock.cli.directory_records import Reported
    from penstock.cli.target import find_directory
    from penstock.page.report import write_report
    from penstock.store.reader import StoreReader
    from penstock.store.unblinding import is_blind
    from penstock.store.unblinding import unblind as make_unblind

    directory = find_directory(study)
    path = (directory / "report.html" if to is None else to).absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    if unblind is not None:
        make_unblind(directory, unblind)

    with StoreReader(directory) as store, store.snapshot():
        declared = store.study()
        is_withheld = is_blind(store, declared)
        write_report(store, declared, path, texts=texts.value)

    if json:
        emit(Reported(study_id=declared.study_id, path=str(path), is_blind=is_withheld))
    else:
        say(f"report: {path}")

    if show:
        webbrowser.open(path.as_uri())
