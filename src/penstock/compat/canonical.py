"""The files of a study under the functions that wrote, checked and read them."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio

from penstock.compat.given_runs import GivenPlan
from penstock.compat.runs import RunResult
from penstock.designs import build_design
from penstock.errors import StoreError, ValidationError
from penstock.export import file_checks
from penstock.export.artifacts import export_artifacts
from penstock.results import RunResult as AnyResult
from penstock.store import STORE_FILE
from penstock.store.files.lock import hold_directory
from penstock.store.files.opening import open_store
from penstock.store.reader import StoreReader
from penstock.study.conditions import Condition
from penstock.study.model import Study

__all__ = [
    "export_analysis_tables",
    "export_canonical_artifacts",
    "load_checkpointed_run_results",
    "validate_canonical_artifacts",
    "validate_unified_event_columns",
]

_ANALYSIS = "design_research_analysis.integration"
_REPORTS = "artifacts"
"""The folder that reports go to (see `penstock.compat.write_markdown_report`)."""

_FILES = (*file_checks.CANONICAL, "hypotheses.json", "analysis_plan.json")


def export_canonical_artifacts(
    *,
    study: Study,
    conditions: Sequence[Condition] | None = None,
    run_results: Sequence[AnyResult] = (),
    output_dir: Path | str | None = None,
    include_sqlite: bool = False,
) -> dict[str, Path]:
    """Write the files of a study.

    Args:
        study: The study.
        conditions: Its conditions; those of its design if not given.
        run_results: The results that are to be in the files. In the study's own output directory
            they are those of its store, whatever is given.
        output_dir: Where the files go; the study's own output directory if not given.
        include_sqlite: Whether a ``study.sqlite`` with the same results goes there too.

    Returns:
        File name -> file.

    Raises:
        StoreError: some of ``run_results`` are not in the store beside which they are to go.
        ForeignDirectoryError: the files would stand among somebody else's.
        DirectoryInUseError: a study is running there.
        ValidationError: ``run_results`` are of other conditions.
    """
    own = study.resolve(study.output_dir or ".")
    to = own if output_dir is None else study.resolve(output_dir)
    if (own / STORE_FILE).exists() and to.exists() and to.samefile(own):
        _refuse_unknown(own, run_results)
        with hold_directory(own):
            export_artifacts(own)
    else:
        planned = [result for result in run_results if result.spec.condition_id]
        given = build_design(study) if conditions is None else conditions
        with TemporaryDirectory(prefix="penstock-given-") as folder:
            anyio.run(partial(_keep_in, Path(folder), study, given, planned))
            export_artifacts(Path(folder), to, sqlite=include_sqlite)

    (to / _REPORTS).mkdir(exist_ok=True)
    return {name: to / name for name in (*_FILES, _REPORTS)}


def export_analysis_tables(
    study: Study,
    *,
    conditions: Sequence[Condition] | None = None,
    run_results: Sequence[AnyResult] = (),
    output_dir: Path | str | None = None,
    include_sqlite: bool = False,
    validate_with_analysis_package: bool = False,
) -> dict[str, Path]:
    """Write the files of a study as `export_canonical_artifacts` does, and check them.

    Args:
        study: See there.
        conditions: See there.
        run_results: See there.
        output_dir: See there.
        include_sqlite: See there.
        validate_with_analysis_package: Let ``design_research_analysis`` check the tables that
            analyses read (the folder ``analysis``).

    Raises:
        ValidationError: the files are not as they should be.
    """
    files = export_canonical_artifacts(
        study=study,
        conditions=conditions,
        run_results=run_results,
        output_dir=output_dir,
        include_sqlite=include_sqlite,
    )
    folder = files["runs.csv"].parent
    validate_canonical_artifacts(folder)
    if validate_with_analysis_package and (errors := _errors_of_analysis(folder / "analysis")):
        raise ValidationError(errors)

    return files


def validate_canonical_artifacts(output_dir: Path | str) -> dict[str, Path]:
    """Check that a directory holds the files of a study as other tools expect them.

    Returns:
        File name -> file.

    Raises:
        ValidationError: it does not; everything that is wrong.
    """
    folder = Path(output_dir)
    if missing := sorted(name for name in file_checks.CANONICAL if not (folder / name).is_file()):
        raise ValidationError(f"Missing canonical artifacts: {', '.join(missing)}.")

    if errors := file_checks.validate_canonical_artifacts(folder):
        raise ValidationError(errors)

    return {name: folder / name for name in _FILES if (folder / name).is_file()}


def validate_unified_event_columns(event_rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """List the columns of ``events.csv`` that rows lack, for each row by its place from 0."""
    return [
        f"events row {place} is missing required column '{column}'."
        for place, row in enumerate(event_rows)
        for column in file_checks.REQUIRED_COLUMNS["events.csv"]
        if column not in row
    ]


def load_checkpointed_run_results(output_dir: Path | str) -> dict[str, RunResult]:
    """Return the results that the store of a directory keeps, by run id; none without a store."""
    if not (Path(output_dir) / STORE_FILE).exists():
        return {}

    with StoreReader(Path(output_dir)) as store:
        made = map(RunResult.of, store.results(0, store.count()))
        return {result.run_id: result for result in made}


def _refuse_unknown(directory: Path, run_results: Sequence[AnyResult]) -> None:
    with StoreReader(directory) as store:
        known = {run_id for (run_id,) in store.table("SELECT run_id FROM runs")}

    if unknown := [result.run_id for result in run_results if result.run_id not in known]:
        raise StoreError(
            f"{directory} has no results of {', '.join(unknown[:3])}: the files are written from "
            "the store, and hold the results that run_study kept there"
        )


async def _keep_in(
    directory: Path,
    study: Study,
    conditions: Sequence[Condition],
    run_results: Sequence[AnyResult],
) -> None:
    """Keep results that are given in a store of their own."""
    made = GivenPlan(study, [result.spec for result in run_results], conditions)
    async with open_store(directory) as store:
        await store.begin(made)
        await store.save(
            [
                (result.model_copy(update={"spec": made.at(place)}), True)
                for place, result in enumerate(run_results)
            ]
        )
        await store.end("complete")


def _errors_of_analysis(directory: Path) -> list[str]:
    try:
        analysis = importlib.import_module(_ANALYSIS)
    except ImportError as error:
        needed = "validate_with_analysis_package needs design-research-analysis"
        advice = "pip install design-research-analysis"
        return [f"{needed}, which cannot be imported: {error}; {advice}"]

    found = analysis.validate_experiment_events(directory)
    return [] if found.is_valid else [str(error) for error in found.errors]
