"""Writing every file of a study from its store, streamed in plan order."""

from __future__ import annotations

import os
import platform
import socket
from collections.abc import Collection
from importlib.metadata import version
from pathlib import Path
from typing import Any

from penstock._base.atomic_files import files_aside
from penstock._base.logger import logger
from penstock._base.yaml_text import yaml_text
from penstock.designs import describe_design
from penstock.export.analysable import Analysable, write_analysis
from penstock.export.call_table import has_calls, write_calls
from penstock.export.condition_rows import write_conditions
from penstock.export.parquet import CALLS_FILE, PARQUET_FILES, load_parquet, write_parquet
from penstock.export.run_tables import Seen, write_tables
from penstock.export.tables import write_json, write_lines, write_text
from penstock.export.up_to_date import are_up_to_date, forget_files, made_from, note_files
from penstock.results import timestamp
from penstock.store import STORE_FILE
from penstock.store.files.directory import make_directory, sync_directory
from penstock.store.files.ownership import ARTIFACTS, CALLS, TIDY, claim_files, is_foreign
from penstock.store.reader import StoreReader
from penstock.study.legacy import with_older_defaults
from penstock.study.model import SCHEMA_VERSION, Study

__all__ = ["export_artifacts"]


def export_artifacts(
    directory: Path,
    to: Path | None = None,
    *,
    sqlite: bool = False,
    parquet: bool = False,
    is_forced: bool = True,
) -> Path:
    """Write the files of a study from the store in its directory.

    Each file is written aside, synced and renamed into place, so that a reader never sees half a
    file and an export that fails leaves the files of the last one. When this returns, a loss of
    power leaves them there. The folder ``analysis`` holds the runs that can be analysed (see
    `penstock.export.analysable`).

    Args:
        directory: The study's output directory.
        to: Where the files go; the same directory where not given.
        sqlite: Whether a copy of ``study.sqlite`` goes there too.
        parquet: Whether the tables are written as Parquet too (see `penstock.export.parquet`).
        is_forced: Whether files are written that are up to date (see `penstock.export.up_to_date`).

    Returns:
        Where the files are.

    Raises:
        StoreError: the directory holds no store.
        ForeignDirectoryError: the files would stand among, or in place of, somebody else's.
        ValidationError: Parquet is wanted, and the extra ``parquet`` is not installed.
        OSError: a file cannot be written.
    """
    if parquet:
        load_parquet()

    to = to or directory
    make_directory(to)
    with StoreReader(directory) as store, store.snapshot():
        is_own = to.samefile(directory)
        names = _names(to, store, sqlite=sqlite and not is_own, parquet=parquet)
        mark = made_from(store, {**_captured_provenance(), "captured_at": None}) if is_own else ""
        if not is_forced and are_up_to_date(to, mark, names):
            return to

        claim_files(to, store.study_id, names, is_own=is_own)
        forget_files(to)
        if is_own:
            _remove_unfinished(to)

        _write_files(to, store, names)
        if parquet:
            write_parquet(to, store)

        if STORE_FILE in names:
            store.copy_to(to / STORE_FILE)

    if is_own:
        note_files(to, mark, names)

    sync_directory(to / "analysis")
    sync_directory(to)
    return to


def _write_files(to: Path, store: StoreReader, names: Collection[str]) -> None:
    write_text(to / "study.yaml", _study_yaml(store))
    write_lines(to / "problems.jsonl", store.problems())
    write_json(to / "hypotheses.json", store.definition()["hypotheses"])
    plans = with_older_defaults(store.definition())["analysis_plans"]
    write_json(to / "analysis_plan.json", plans)
    write_json(to / "design.json", _design(store))
    write_conditions(to / "conditions.csv", store)
    analysable = Analysable(store)
    seen = write_tables(to, store, analysable, with_results=TIDY in names)
    if TIDY not in names:
        logger().warning("table.not_written", table=str(to / TIDY), reason=_NOT_OURS)

    if CALLS in names:
        write_calls(to, store)

    manifest = _manifest(store, seen)
    write_json(to / "manifest.json", manifest)
    write_analysis(to / "analysis", store, analysable, manifest)


_NOT_OURS = "a file of that name is there, and is not penstock's"


def _names(to: Path, store: StoreReader, *, sqlite: bool, parquet: bool) -> list[str]:
    """List the files that are written."""
    has_some = has_calls(store)
    tables = [(TIDY, True), (CALLS, has_some)]
    columnar = [(name, parquet and (has_some or name != CALLS_FILE)) for name in PARQUET_FILES]
    return [
        *ARTIFACTS,
        *(name for name, is_wanted in tables if is_wanted and not is_foreign(to, name)),
        *(name for name, is_wanted in [*columnar, (STORE_FILE, sqlite)] if is_wanted),
    ]


def _remove_unfinished(directory: Path) -> None:
    """Delete what exports that were killed had begun; the directory is held by this one."""
    for folder in (directory, directory / "analysis"):
        for left in files_aside(folder):
            left.unlink(missing_ok=True)


def _design(store: StoreReader) -> dict[str, Any]:
    """Describe the design by the conditions that were planned, whoever made them."""
    definition = store.definition()
    declared = ("study_id", "title", "factors", "blocks", "design_spec", "seed_policy")
    return describe_design(
        Study.kept({name: definition[name] for name in declared}), list(store.conditions())
    )


def _manifest(store: StoreReader, seen: Seen) -> dict[str, Any]:
    definition = store.definition()
    counts = store.status_counts()
    return {
        "schema_version": SCHEMA_VERSION,
        "study_id": definition["study_id"],
        "generated_at": timestamp(),
        "status_counts": counts,
        "model_ids": sorted(seen.models - {"unknown"}),
        "unpriced_models": sorted(seen.unpriced),
        "run_count": sum(counts.values()),
        "provenance": definition["provenance_metadata"] or _captured_provenance(),
    }


def _captured_provenance() -> dict[str, Any]:
    packages = ("penstock", "numpy", "pydantic", "anyio")
    return {
        "captured_at": timestamp(),
        "host": socket.gethostname(),
        "platform": platform.platform(),
        "python_version": platform.python_version(),
        "package_versions": {name: version(name) for name in packages},
        "git_sha": os.environ.get("GITHUB_SHA") or os.environ.get("CI_COMMIT_SHA"),
        "extra": {},
    }


_POLICY = "multiple_comparison_policy"


def _study_yaml(store: StoreReader) -> str:
    definition = store.definition()
    # What is not said is not written: null is no policy to older readers, and `none` means it here.
    definition["analysis_plans"] = [
        {name: value for name, value in plan.items() if (name, value) != (_POLICY, None)}
        for plan in definition["analysis_plans"]
    ]
    if any(store.problems()):
        definition["problems"] = {"file": "problems.jsonl"}

    return yaml_text(definition)
