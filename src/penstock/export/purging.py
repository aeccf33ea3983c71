"""Purging a study: what was asked and said goes out of its store, files, copies and cache."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from penstock.errors import StoreError
from penstock.export.artifacts import export_artifacts
from penstock.store import STORE_FILE
from penstock.store.files.lock import hold_directory
from penstock.store.files.ownership import files_of, study_file_of
from penstock.store.files.purged import PurgedRows, Wanted, purge_store
from penstock.store.reader import StoreReader

__all__ = ["Purged", "purge_study"]

_MOVED_ASIDE = r"\.\d{8}T\d{6}\.\d{6}Z"
_PAGE = "report.html"


class Purged(NamedTuple):
    """What a study was purged of.

    Args:
        rows: How much of its store.
        purged: The directories that were purged, the study's own first.
        deleted: Files and directories that were deleted.
        cache: The response cache, which may hold what was purged; None where there is none.
    """

    rows: PurgedRows
    purged: list[Path]
    deleted: list[Path]
    cache: Path | None


def purge_study(directory: Path, wanted: Wanted, *, aside: bool = False) -> Purged:
    """Purge a study; its counts, costs and scores stay, and its tables are written anew.

    Directories that ``fresh`` moved aside are purged likewise, and copies of the store from
    before a migration are deleted: what they hold is in the store.

    Args:
        directory: The study's output directory.
        wanted: What of it; it may be nothing, where only copies are to be deleted.
        aside: Whether directories that ``fresh`` moved aside are deleted.

    Raises:
        DirectoryInUseError: the study is running.
        StoreError: the store cannot be purged.
        OSError: a file cannot be written or deleted.
    """
    with StoreReader(directory) as store:
        cache = _cache_of(store, directory)

    moved = sorted(_moved_aside(directory))
    deleted: list[Path] = []
    if aside:
        for each in moved:
            with hold_directory(each):
                shutil.rmtree(each)

        deleted, moved = moved, []

    purged: list[Path] = []
    rows = PurgedRows(0, 0, 0)
    for place in [directory, *moved] if any(wanted) else []:
        with hold_directory(place):
            found = purge_store(place, _that_is_there(place, wanted, directory))
            rows = found if place == directory else rows
            deleted += _without_old_files(place)
            export_artifacts(place)
            purged.append(place)

    deleted += _copies(directory) if aside and not any(wanted) else []
    return Purged(rows, purged, deleted, cache if any(wanted) else None)


def _that_is_there(place: Path, wanted: Wanted, directory: Path) -> Wanted:
    """Omit problems that only other directories of the study hold."""
    if place == directory:
        return wanted

    with StoreReader(place) as store:
        known = {each for (each,) in store.table("SELECT problem_id FROM problem")}

    return wanted._replace(problems=tuple(each for each in wanted.problems if each in known))


def _without_old_files(directory: Path) -> list[Path]:
    """Delete what was written from the store; return what is not written anew."""
    for name in files_of(directory):
        (directory / name).unlink(missing_ok=True)

    page = directory / _PAGE
    gone = [page] if page.is_file() else []
    page.unlink(missing_ok=True)
    return gone + _copies(directory)


def _copies(directory: Path) -> list[Path]:
    """Delete the copies of a store that were kept when its layout changed."""
    found = sorted(directory.glob("study.layout-*.sqlite"))
    for path in found:
        path.unlink()

    return found


def _moved_aside(directory: Path) -> Iterator[Path]:
    named = re.compile(re.escape(directory.name) + _MOVED_ASIDE)
    for path in directory.parent.iterdir():
        if named.fullmatch(path.name) and (path / STORE_FILE).is_file():
            yield path


def _cache_of(store: StoreReader, directory: Path) -> Path | None:
    named = store.definition().get("response_cache")
    if named is None:
        return None

    study_file = study_file_of(directory)
    if study_file is None and not Path(named).is_absolute():
        raise StoreError(
            f"{directory} does not know where its response cache {named} is: give the study file "
            "in place of the directory"
        )

    path = Path(named) if study_file is None else study_file.parent / named
    return path if path.is_file() else None
