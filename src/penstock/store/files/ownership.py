"""Whose the files of a directory are: ours are written anew, anybody else's never are.

A study begins only in a directory that is new, empty or its own, and its files go into no other. A
record in the directory (`RECORD`) lists what was written there, by name, so that a file that
somebody else puts beside it stays as it is. An output directory that is a symbolic link is
followed; nothing in it is: a results folder may come from anywhere.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Collection, Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from penstock._base.atomic_files import files_aside, set_aside
from penstock.errors import ForeignDirectoryError
from penstock.store import STORE_FILE
from penstock.store.files.directory import EXPORTED, sync_directory
from penstock.store.starts import FILE as STARTS

__all__ = [
    "ARTIFACTS",
    "CALLS",
    "CONTROL",
    "RECORD",
    "TIDY",
    "claim_files",
    "files_of",
    "is_foreign",
    "links_in",
    "refuse_foreign",
    "refuse_links",
    "refuse_to_move",
    "study_file_of",
]

RECORD = ".penstock.json"
"""The file that lists what of its folder was written by penstock, and for which study."""

_TABLES = ("conditions.csv", "runs.csv", "events.csv", "evaluations.csv", "manifest.json")
ARTIFACTS = (
    "study.yaml",
    "problems.jsonl",
    "hypotheses.json",
    "analysis_plan.json",
    "design.json",
    *_TABLES,
    *(f"analysis/{name}" for name in (*_TABLES, "excluded.csv")),
)
"""What every export writes."""

TIDY = "results.csv"
"""What every export writes but where somebody else's file has that name already."""

CALLS = "calls.csv"
"""What an export writes where a study has asked chat models."""

_STORE_FILES = frozenset(f"{STORE_FILE}{end}" for end in ("", "-wal", "-shm", "-journal"))
CONTROL = ".control"
"""The folder in which a study that runs says where it can be reached."""

_OURS = frozenset({*_STORE_FILES, ".lock", STARTS, RECORD, CONTROL, EXPORTED})
_OF_A_SYSTEM = frozenset(
    {".DS_Store", ".gitignore", ".gitkeep", "Thumbs.db", "desktop.ini", "lost+found"}
)
"""What lies in a directory that a person would call empty."""

_MARKS = (STORE_FILE, "manifest.json", "runs.csv", RECORD)
"""What a directory of results holds one of."""

_UNRECORDED = frozenset(
    {*ARTIFACTS, *(f"{name}.parquet" for name in ("conditions", "runs", "events", "evaluations"))}
)
"""What was written in directories from before there was a record."""


class _Record(NamedTuple):
    study_id: str
    files: Collection[str]
    study_file: str | None = None
    """The file that the study was last read from, as a path from the directory."""


def refuse_foreign(directory: Path, study_id: str | None = None) -> None:
    """Refuse to begin a study where anything lies that is not its own.

    A directory that holds a store is a matter of that store, but for files of somebody else's that
    stand where ours are to be written.

    Args:
        directory: Where the study is to run; it need not exist.
        study_id: The study; where not given, a directory of any study is taken for its own.

    Raises:
        ForeignDirectoryError: something does, and what to do.
    """
    refuse_links(directory)
    record = _record(directory)
    if _holds(directory / STORE_FILE):
        if record is not None:
            _refuse_to_write_over(directory, ARTIFACTS, record.files)

        return

    if (directory / "manifest.json").exists():
        raise ForeignDirectoryError(
            f"{directory} holds results (manifest.json) and nothing in study.sqlite, so they are "
            "another tool's, or the file was emptied; "
            "run in another directory (output_dir), or move the old one aside with fresh"
        )

    _refuse_other_study(directory, record, study_id)
    others = _others(directory, record.files if record else ())
    if others and not (others == ["conditions.csv"] and _materialized(directory, study_id)):
        raise ForeignDirectoryError(
            f"{directory} holds {_some(others)} and no results: a study begins only in a "
            "directory that is new, empty or its own, because its files would stand among those "
            "of others. Run in a directory of its own (output_dir, --output-dir)"
        )


def claim_files(
    directory: Path,
    study_id: str,
    names: Iterable[str],
    *,
    is_own: bool = True,
    study_file: Path | None = None,
) -> None:
    """Check that files may be written in a directory, and record that they are ours.

    Args:
        directory: The directory; it exists.
        study_id: The study whose files they are.
        names: The files' names, as paths in the directory.
        is_own: Whether it is the study's output directory; else it must be new, empty, or hold
            an earlier export of the same study.
        study_file: The file that the study was read from, to be found again by `study_file_of`.

    Raises:
        ForeignDirectoryError: it is somebody else's, or some of the files are.
        OSError: the record cannot be written.
    """
    refuse_links(directory)
    record = _record(directory)
    if not is_own:
        _refuse_other_study(directory, record, study_id)
        record = record or _exported_before(directory, study_id)

    files = record.files if record else _UNRECORDED
    claimed = {*names}
    _refuse_to_write_over(directory, claimed, files)
    written = claimed | {name for name in files if (directory / name).exists()}
    if is_own:
        written.discard(STORE_FILE)  # a copy that an export made, and a study goes on in

    known_file = record.study_file if record else None
    if study_file is not None:
        known_file = os.path.relpath(study_file.resolve(), directory.resolve())

    made = _Record(study_id, sorted(written), known_file)
    if made != record or not (directory / RECORD).exists():
        about = {name: value for name, value in made._asdict().items() if value is not None}
        with set_aside(directory / RECORD) as aside:
            aside.write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")

        sync_directory(directory)  # else a loss of power may keep the files and lose their record


def is_foreign(directory: Path, name: str) -> bool:
    """Return whether a file of a directory is there and is not ours."""
    path, record = directory / name, _record(directory)
    is_there = path.exists() or path.is_symlink()
    return is_there and name not in (record.files if record else ())


def files_of(directory: Path) -> list[str]:
    """Return the names of the files that were written in a directory from its store."""
    record = _record(directory)
    names = _UNRECORDED if record is None else record.files
    return sorted(name for name in names if not (directory / name).is_symlink())


def study_file_of(directory: Path) -> Path | None:
    """Return the file that the study of a directory was last read from, where it is still there."""
    record = _record(directory)
    if record is None or record.study_file is None:
        return None

    path = (directory / record.study_file).resolve()
    return path if path.is_file() else None


def links_in(directory: Path) -> list[str]:
    """List what is a symbolic link where a study writes and no link may be, by name."""
    return sorted(name for name in {*_OURS, "analysis"} if (directory / name).is_symlink())


def refuse_links(directory: Path) -> None:
    """Refuse a directory in which writing would lead elsewhere.

    Raises:
        ForeignDirectoryError: it would; it names the links.
    """
    if links := links_in(directory):
        raise ForeignDirectoryError(
            f"in {directory} {', '.join(links)} would lead elsewhere, through a symbolic link, and "
            "nothing is written through one: put what it leads to in its place, or remove it"
        )


def refuse_to_move(directory: Path, without: Iterable[Path]) -> None:
    """Refuse to rename a directory that is not one of results, or that holds a folder in use.

    Args:
        directory: The directory; it need not exist.
        without: Folders that must not move with it.

    Raises:
        ForeignDirectoryError: it is, or does.
    """
    others = _others(directory, ())
    if others and not any((directory / name).exists() for name in _MARKS):
        raise ForeignDirectoryError(
            f"{directory} holds {_some(others)} and no results that fresh could move aside; run in "
            "another directory (output_dir, --output-dir)"
        )

    for folder in without:
        if others and folder.resolve().is_relative_to(directory.resolve()):
            raise ForeignDirectoryError(
                f"fresh would move {directory} aside, and {folder} with it; run in another "
                "directory (output_dir, --output-dir)"
            )


def _record(directory: Path) -> _Record | None:
    try:
        text = (directory / RECORD).read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None

    try:
        found = json.loads(text)
        files = sorted(map(str, found["files"]))
        return _Record(str(found["study_id"]), files, found.get("study_file"))
    except (ValueError, TypeError, KeyError) as error:
        raise ForeignDirectoryError(
            f"{directory / RECORD} does not list what penstock wrote there ({error}); put it back, "
            "or write to another directory"
        ) from error


def _exported_before(directory: Path, study_id: str) -> _Record:
    """Return what an export without a record wrote, into a folder that held nothing else."""
    try:
        manifest = json.loads((directory / "manifest.json").read_text(encoding="utf-8"))
        if manifest["study_id"] == study_id and not _holds(directory / STORE_FILE):
            return _Record(study_id, _UNRECORDED)
    except (OSError, ValueError, TypeError, KeyError):
        pass

    if others := [*_others(directory, ()), *_store_in(directory)]:
        raise ForeignDirectoryError(
            f"{directory} holds {_some(others)}, and no earlier export of {study_id!r}: files "
            "go only into a folder that is new, empty or their own. Give another (--to)"
        )

    return _Record(study_id, ())


def _materialized(directory: Path, study_id: str | None) -> bool:
    """Return whether ``conditions.csv`` is of a study that was planned here and never run."""
    with (directory / "conditions.csv").open(
        encoding="utf-8", errors="replace", newline=""
    ) as file:
        owners = {row.get("study_id") for row in islice(csv.DictReader(file), 1)}

    return study_id is None or owners == {study_id}


def _store_in(directory: Path) -> list[str]:
    return [STORE_FILE] if _holds(directory / STORE_FILE) else []


def _refuse_other_study(directory: Path, record: _Record | None, study_id: str | None) -> None:
    if record is not None and study_id is not None and record.study_id != study_id:
        raise ForeignDirectoryError(
            f"{directory} holds files of study {record.study_id!r}, not of {study_id!r}; "
            "write to another directory"
        )


def _refuse_to_write_over(directory: Path, names: Iterable[str], ours: Collection[str]) -> None:
    others = sorted(
        name
        for name in names
        if name not in ours and ((directory / name).exists() or (directory / name).is_symlink())
    )
    if others:
        raise ForeignDirectoryError(
            f"{_some(others)} in {directory}: penstock writes files of that name, and did not "
            "write these; move them away, or choose another directory"
        )


def _others(directory: Path, ours: Collection[str]) -> list[str]:
    """List what lies in a directory and is not ours, by name."""
    if not directory.is_dir():
        return []

    known = {*_OURS, *_OF_A_SYSTEM, *(Path(name).parts[0] for name in ours)}
    known |= {path.name for path in files_aside(directory)}
    if not (directory / "artifacts" / "checkpoints").exists():  # else they are another tool's
        known.add("artifacts")  # reports that `penstock.compat` writes, before a run as well

    return sorted(path.name for path in directory.iterdir() if path.name not in known)


def _some(names: Sequence[str], most: int = 4) -> str:
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}"


def _holds(store: Path) -> bool:
    return store.is_file() and store.stat().st_size > 0
