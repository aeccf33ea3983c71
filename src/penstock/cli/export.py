"""``penstock export``: a study's files from its store."""

from __future__ import annotations

import sqlite3
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from penstock.cli.arguments import JsonOption, TargetArgument, given_path
from penstock.cli.output import emit, errors_told, say
from penstock.store import STORE_FILE

if TYPE_CHECKING:
    from penstock.cli.directory_records import Exported

__all__ = ["export", "export_directory"]


@errors_told()
def export(
    study: TargetArgument = None,
    *,
    to: Annotated[
        Path | None,
        typer.Option(
            parser=given_path, metavar="DIR", help="Where the files go; else the results' own."
        ),
    ] = None,
    sqlite: Annotated[bool, typer.Option("--sqlite", help="Copy study.sqlite there too.")] = False,
    parquet: Annotated[
        bool, typer.Option("--parquet", help="Write the tables as Parquet too.")
    ] = False,
    spreadsheet_safe: Annotated[
        bool,
        typer.Option("--spreadsheet-safe", help="Quote what looks like a formula; needs --to."),
    ] = False,
    json: JsonOption = False,
) -> None:
    """Write a study's files (runs.csv and so on) from its store."""
    from penstock.cli.target import find_directory

    if spreadsheet_safe and to is None:
        raise typer.BadParameter("--spreadsheet-safe is for a copy: give --to as well")

    exported = export_directory(
        find_directory(study),
        to,
        sqlite=sqlite,
        spreadsheet_safe=spreadsheet_safe,
        parquet=parquet,
    )
    if json:
        emit(exported)
    else:
        say(f"exported to {exported.to}")


def export_directory(
    directory: Path,
    to: Path | None,
    *,
    sqlite: bool,
    study_id: str | None = None,
    spreadsheet_safe: bool = False,
    parquet: bool = False,
) -> Exported:
    """Write a study's files from its store; beside it only while nobody runs the study.

    Args:
        directory: The study's output directory.
        to: Where the files go; the directory itself where not given.
        sqlite: Whether ``study.sqlite`` is copied too.
        study_id: The study that must be in the directory; any where not given.
        spreadsheet_safe: Whether texts that look like formulas are quoted.
        parquet: Whether the tables are written as Parquet too.

    Raises:
        StoreError: there is no study, or another one, or the files cannot be written.
    """
    from penstock.cli.directory_records import Exported
    from penstock.errors import ForeignDirectoryError, StoreError
    from penstock.export.artifacts import export_artifacts
    from penstock.export.file_checks import validate_canonical_artifacts
    from penstock.export.tables import quote_formulas
    from penstock.store.files.lock import hold_directory
    from penstock.store.reader import StoreReader

    # Before anything is written: is there a study at all, and the one that is meant?
    with StoreReader(directory) as store:
        found = store.study_id

    if study_id not in {None, found}:
        raise ForeignDirectoryError(f"{directory} holds study {found!r}, not {study_id!r}")

    is_beside = to is None or to.absolute() == directory.absolute()
    with hold_directory(directory) if is_beside else nullcontext():
        try:
            where = export_artifacts(directory, to, sqlite=sqlite, parquet=parquet)
        except sqlite3.Error as error:
            raise StoreError(f"{directory / STORE_FILE}: {error}") from error

    if spreadsheet_safe:
        quote_formulas(where)

    if wrong := validate_canonical_artifacts(where):
        raise StoreError(f"the files in {where} are not as they should be: {' '.join(wrong)}")

    return Exported(study_id=found, output_dir=str(directory.absolute()), to=str(where.absolute()))
