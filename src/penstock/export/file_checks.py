"""Whether the files of a study are as other tools expect them, and say what its store says."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from filecmp import cmp
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from penstock._base.atomic_files import files_aside
from penstock.errors import StudyFileError
from penstock.export.artifacts import export_artifacts
from penstock.export.condition_rows import CONDITION_COLUMNS
from penstock.export.parquet import PARQUET_FILES, is_broken
from penstock.store.files.doctor import Finding
from penstock.store.files.ownership import ARTIFACTS, TIDY, is_foreign
from penstock.store.ledger import read_ledger
from penstock.store.reader import StoreReader
from penstock.store.schema import EVALUATION_COLUMNS, EVENT_COLUMNS, RUN_COLUMNS
from penstock.study.files import read_mapping
from penstock.study.model import SCHEMA_VERSION

__all__ = [
    "CANONICAL",
    "REQUIRED_COLUMNS",
    "examine_artifacts",
    "validate_canonical_artifacts",
]

REQUIRED_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "conditions.csv": CONDITION_COLUMNS,
    "runs.csv": tuple(name for name in RUN_COLUMNS if name != "error_info"),
    "events.csv": EVENT_COLUMNS[: EVENT_COLUMNS.index("meta_json") + 1],
    "evaluations.csv": EVALUATION_COLUMNS,
}
"""The columns that every reader relies on, by file."""

CANONICAL = ("study.yaml", "manifest.json", *REQUIRED_COLUMNS)
"""The files that every reader relies on."""

_STUDY_KEYS = ("schema_version", "study_id", "title", "description")
_MANIFEST_KEYS = (
    "schema_version",
    "study_id",
    "generated_at",
    "status_counts",
    "model_ids",
    "run_count",
    "provenance",
)


def validate_canonical_artifacts(directory: Path | str) -> list[str]:
    """List what is wrong with the files of a study; an empty list means that tools can read them.

    Only what every reader relies on is checked: that the files are there, their columns and keys,
    their version, and that they are of one study. Of tables the first line is read.

    Args:
        directory: Where the files are.
    """
    folder = Path(directory)
    missing = [name for name in CANONICAL if not (folder / name).is_file()]
    if missing:
        return [f"Missing canonical artifacts: {sorted(missing)}."]

    errors: list[str] = []
    study = _mapping(folder / "study.yaml", read_mapping, _STUDY_KEYS, errors)
    manifest = _mapping(folder / "manifest.json", _read_json, _MANIFEST_KEYS, errors)
    ids = [each["study_id"] for each in (study, manifest) if "study_id" in each]
    if len(set(map(str, ids))) > 1:
        ours, theirs = ids
        errors.append(f"study.yaml and manifest.json disagree on study_id: {ours!r} != {theirs!r}.")

    for name, columns in REQUIRED_COLUMNS.items():
        errors += _missing(name, "columns", columns, _header(folder / name))

    return errors


def _mapping(
    path: Path,
    read: Callable[[Path], dict[str, Any]],
    keys: Iterable[str],
    errors: list[str],
) -> dict[str, Any]:
    try:
        found = read(path)
    except (ValueError, StudyFileError) as error:
        errors.append(f"{path.name} cannot be read: {error}")
        return {}

    errors += _missing(path.name, "keys", keys, found)
    version = found.get("schema_version", SCHEMA_VERSION)
    if version != SCHEMA_VERSION:
        errors.append(f"{path.name} schema_version {version!r} does not match {SCHEMA_VERSION!r}.")

    return found


def _missing(name: str, what: str, needed: Iterable[str], found: Iterable[str]) -> Iterator[str]:
    known = set(found)
    absent = [each for each in needed if each not in known]
    if absent:
        yield f"{name} is missing required {what}: {', '.join(absent)}."


def _read_json(path: Path) -> dict[str, Any]:
    found = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(found, dict):
        raise ValueError("it holds no mapping")  # noqa: TRY004 - of a file, not of an argument

    return found


def _header(path: Path) -> list[str]:
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        return next(csv.reader(file), [])


_STAMPS = frozenset({"generated_at", "provenance"})
"""What the manifest says of the moment and the place of its making."""


def examine_artifacts(directory: Path) -> Iterator[Finding]:
    """Compare the files of a directory with those that its store would give; nothing is changed.

    Where the last session was killed, its files were not written, and that is not a fault.

    Raises:
        StoreError: the directory holds no store.
    """
    with TemporaryDirectory(prefix="penstock-doctor-") as scratch:
        fresh = export_artifacts(directory, Path(scratch))
        names = sorted(name for name in ARTIFACTS if (fresh / name).is_file())
        if (directory / TIDY).exists() and not is_foreign(directory, TIDY):
            names.append(TIDY)  # where it is missing, the files were written before there was one

        missing = [name for name in names if not (directory / name).is_file()]
        differing = [
            name
            for name in names
            if name not in missing and not _is_same(directory / name, fresh / name)
        ]

    with StoreReader(directory) as store:
        is_wrong = read_ledger(store).state != "killed"

    again = "penstock export DIR writes the files anew from the store"
    if missing:
        yield Finding(is_wrong=is_wrong, what=f"missing: {', '.join(missing)}", advice=again)

    if differing:
        yield Finding(
            is_wrong=is_wrong,
            what=f"not as the store has it (edited, or written before): {', '.join(differing)}",
            advice=again,
        )

    yield from _parquet(directory)
    left = [each.name for each in (*files_aside(directory), *files_aside(directory / "analysis"))]
    if left:
        yield Finding(
            is_wrong=False,
            what=f"left by an export that was killed: {', '.join(left)}",
            advice="they may be deleted",
        )


def _parquet(directory: Path) -> Iterator[Finding]:
    broken = [name for name in PARQUET_FILES if is_broken(directory / name)]
    if broken:
        yield Finding(
            is_wrong=True,
            what=f"cannot be read: {', '.join(broken)}",
            advice="penstock export DIR --parquet writes them anew",
        )

    stale = [name for name in PARQUET_FILES if _is_stale(directory / name)]
    if stale:
        yield Finding(
            is_wrong=False,
            what=f"older than the tables beside them: {', '.join(stale)}",
            advice="penstock export DIR --parquet writes them anew",
        )


def _is_stale(parquet: Path) -> bool:
    table = parquet.with_suffix(".csv")
    both_there = parquet.is_file() and table.is_file()
    return both_there and parquet.stat().st_mtime_ns < table.stat().st_mtime_ns


def _is_same(file: Path, fresh: Path) -> bool:
    if file.name != "manifest.json":
        return cmp(file, fresh, shallow=False)

    try:
        return _unstamped(file) == _unstamped(fresh)
    except (ValueError, AttributeError):
        return False


def _unstamped(manifest: Path) -> dict[str, Any]:
    facts = json.loads(manifest.read_text(encoding="utf-8"))
    return {name: fact for name, fact in facts.items() if name not in _STAMPS}
