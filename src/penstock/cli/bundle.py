"""``penstock bundle``: a study's results in one file, to be sent or kept."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from penstock.cli.arguments import JsonOption, TargetArgument, given_path
from penstock.cli.output import emit, errors_told, say

__all__ = ["bundle"]


class Bundled(StrEnum):
    """Whose texts go into the bundle."""

    all = "all"
    none = "none"


@errors_told()
def bundle(
    study: TargetArgument = None,
    *,
    to: Annotated[
        Path | None,
        typer.Option(
            parser=given_path, metavar="FILE", help="The file; else DIR.tar.gz beside the results."
        ),
    ] = None,
    texts: Annotated[
        Bundled,
        typer.Option(help="all: with the study's code; none: without what was asked and said."),
    ] = Bundled.all,
    json: JsonOption = False,
) -> None:
    """Pack a study's results, and its own code and data, into one .tar.gz."""
    from penstock.cli.directory_records import PackedStudy
    from penstock.cli.target import find_directory
    from penstock.export.bundle import bundle_results, missing_from_bundle

    directory, has_texts = find_directory(study), texts is Bundled.all
    packed = bundle_results(directory, to, texts=has_texts)
    missing = missing_from_bundle(directory, texts=has_texts)
    if json:
        emit(PackedStudy(output_dir=str(directory.absolute()), to=str(packed), missing=missing))
    else:
        say(f"packed: {packed}", *([f"it does not hold {missing}"] if missing else []))
