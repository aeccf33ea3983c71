"""The commands under the names they have elsewhere, for scripts that move over.

``run-study`` and ``resume-study`` are ``run``; the others do what ``check``, ``plan`` and
``export`` do, on a study file, and write the same files. Our own pyproject registers each as an
entry point (``penstock.commands``), as other packages do.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from penstock.cli.arguments import DirectoryArgument, StudyArgument, given_path
from penstock.cli.output import errors_told, say
from penstock.cli.run import run
from penstock.store import STORE_FILE

if TYPE_CHECKING:
    from penstock.study.model import Study

__all__ = [
    "bundle_results",
    "export_analysis",
    "generate_doe",
    "main",
    "materialize_design",
    "resume_study",
    "run_study",
    "validate_study",
]

_PANEL = "The same under other names"


def _older(function: Callable[..., None]) -> typer.Typer:
    """Make a command that the help lists apart from those of today."""
    command = typer.Typer(add_completion=False, rich_markup_mode=None)
    command.command(rich_help_panel=_PANEL)(function)
    return command


run_study = resume_study = _older(run)


class DoeKind(StrEnum):
    """The designs that need no study."""

    full = "full"
    lhs = "lhs"
    frac2 = "frac2"


@_older
def validate_study(study: StudyArgument) -> None:
    """Print everything that is wrong with what a study declares; `check` also loads its agents."""
    from penstock.cli.target import find_study
    from penstock.errors import ValidationError
    from penstock.planning import validation

    with errors_told():
        found = find_study(study)
        if errors := validation.validate_study(found):
            raise ValidationError(errors)

        say(f"Study '{found.study_id}' is valid.")


@_older
def materialize_design(
    study: StudyArgument,
    *,
    output: Annotated[
        Path | None,
        typer.Option(
            parser=given_path, help="The file; else conditions.csv in the study's output directory."
        ),
    ] = None,
) -> None:
    """Write a study's conditions.csv without running it; another study's is not overwritten."""
    from penstock.cli.target import find_study
    from penstock.designs import build_design
    from penstock.export import condition_rows

    with errors_told():
        found = find_study(study)
        path = output or _output_dir(found) / "conditions.csv"
        made = build_design(found)
        condition_rows.materialize_design(found, made, path)
        say(f"Materialized {len(made)} conditions to {path}")


@_older
def generate_doe(
    *,
    kind: Annotated[DoeKind, typer.Option(help="The design.")],
    factors_json: Annotated[
        str, typer.Option(help="A JSON object: factor -> its levels, or [low, high] for lhs.")
    ],
    out: Annotated[Path, typer.Option(parser=given_path, help="The CSV file.")],
    n_samples: Annotated[int | None, typer.Option(help="Points; needed for lhs.")] = None,
    seed: Annotated[int, typer.Option(help="Of the points and of the order.")] = 0,
    center_points: Annotated[int, typer.Option(help="Rows at the centre to add.")] = 0,
    replicates: Annotated[int, typer.Option(help="How often the design is repeated.")] = 1,
    block_randomization_key: Annotated[
        str | None, typer.Option(help="The column within whose values rows are shuffled.")
    ] = None,
    backend: Annotated[
        str, typer.Option(help="stdlib; scipy or qmc for lhs; pydoe for frac2.")
    ] = "stdlib",
    resolution: Annotated[str, typer.Option(help="Of a fractional design.")] = "III",
    randomize: Annotated[bool, typer.Option(help="Shuffle the rows.")] = True,
) -> None:
    """Write the rows of a design without a study."""
    from penstock.compat import doe
    from penstock.export.tables import plain_cell, write_csv

    factors = _factors(factors_json)
    with errors_told():
        made = doe.generate_doe(
            kind=kind.value,
            factors=factors,
            n_samples=n_samples,
            seed=seed,
            center_points=center_points,
            replicates=replicates,
            block_randomization_key=block_randomization_key,
            backend=backend,
            resolution=resolution,
            randomize=randomize,
        )
        names = made["summary"]["factors"]
        out.parent.mkdir(parents=True, exist_ok=True)
        write_csv(out, names, ([plain_cell(row[name]) for name in names] for row in made["design"]))
        warnings = (f"Warning: {warning}" for warning in made["warnings"])
        say(made["interpretation"], *warnings, f"Wrote design to {out}")


@_older
def export_analysis(
    study: StudyArgument,
    *,
    output_dir: Annotated[
        Path | None,
        typer.Option(
            parser=given_path, help="Where the results are, or where the files are to go."
        ),
    ] = None,
    sqlite: Annotated[bool, typer.Option("--sqlite", help="Copy study.sqlite there too.")] = False,
) -> None:
    """Write a study's files from its store, and check them."""
    from penstock.cli.export import export_directory
    from penstock.cli.target import find_study

    with errors_told():
        found = find_study(study)
        own = _output_dir(found)
        is_there = output_dir is not None and (output_dir / STORE_FILE).exists()
        source = output_dir if output_dir is not None and is_there else own
        exported = export_directory(source, output_dir, sqlite=sqlite, study_id=found.study_id)
        say(f"exported to {exported.to}")


@_older
def bundle_results(
    directory: DirectoryArgument,
    *,
    bundle_path: Annotated[
        Path | None,
        typer.Option(parser=given_path, help="The file; else DIR.tar.gz beside the directory."),
    ] = None,
) -> None:
    """Pack a study's output directory into one .tar.gz."""
    from penstock.export import bundle

    with errors_told():
        say(f"Bundled study output to {bundle.bundle_results(directory, bundle_path)}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line inside this process, and return its exit code.

    Args:
        argv: The command with its arguments; those of the process if not given.
    """
    from penstock.cli import app

    ended = app(argv, standalone_mode=False)
    return int(ended) if isinstance(ended, int) else 0


def _output_dir(study: Study) -> Path:
    return study.resolve(study.output_dir or ".")


def _factors(text: str) -> dict[str, Any]:
    try:
        factors = json.loads(text)
    except ValueError as error:
        raise typer.BadParameter(f"--factors-json must be valid JSON: {error}") from error

    if not isinstance(factors, dict):
        raise typer.BadParameter("--factors-json must decode to a JSON object.")

    return factors
