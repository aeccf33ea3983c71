"""``penstock figures``: the figures of a study's report as files, for papers."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from penstock.cli.arguments import JsonOption, TargetArgument, UnblindOption, given_path
from penstock.cli.output import emit, errors_told, say

__all__ = ["figures"]


class FileFormat(StrEnum):
    """What a figure is written as."""

    SVG = "svg"
    PDF = "pdf"
    PNG = "png"
    JSON = "json"


@errors_told()
def figures(
    study: TargetArgument = None,
    *,
    to: Annotated[
        Path | None,
        typer.Option(
            parser=given_path, metavar="DIR", help="Where they go; else figures in the results."
        ),
    ] = None,
    form: Annotated[
        list[FileFormat] | None,
        typer.Option(
            "--format",
            metavar="svg|pdf|png|json",
            help="As what; may be given more than once; else as SVG, PDF and PNG. JSON is the "
            "Vega-Lite specification.",
        ),
    ] = None,
    unblind: UnblindOption = None,
    json: JsonOption = False,
) -> None:
    """Write the figures of the report as files for papers: verdicts, conditions, problems."""
    from penstock.cli.directory_records import Drawn
    from penstock.cli.target import find_directory
    from penstock.page.paper_figures import FORMATS, paper_figures
    from penstock.page.report import report_view
    from penstock.store.reader import StoreReader
    from penstock.store.unblinding import unblind as make_unblind

    directory = find_directory(study)
    if unblind is not None:
        make_unblind(directory, unblind)

    with StoreReader(directory) as store, store.snapshot():
        view = report_view(store, store.study(), texts="none")

    folder = (directory / "figures" if to is None else to).absolute()
    made = paper_figures(view)
    if made:
        folder.mkdir(parents=True, exist_ok=True)

    forms = FORMATS if form is None else [each.value for each in form]
    paths = [
        figure.save(folder / f"{figure.name}.{each}")
        for figure in made
        for each in dict.fromkeys(forms)
    ]
    if json:
        names = tuple(str(path) for path in paths)
        emit(Drawn(study_id=view.study_id, paths=names, is_blind=view.is_blind))
        return

    why = view.blind_note or "no condition has an interval: there is nothing to draw"
    say(*(f"figure: {path}" for path in paths) if paths else [why])
