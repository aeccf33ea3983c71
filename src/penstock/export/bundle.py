"""Packing the output directory of a study into one file."""

from __future__ import annotations

import os
import shutil
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory

from penstock._base.atomic_files import set_aside
from penstock.errors import ForeignDirectoryError, StoreError
from penstock.export.artifacts import export_artifacts
from penstock.store import STORE_FILE
from penstock.store.files.directory import EXPORTED
from penstock.store.files.lock import LOCK_NAME, hold_directory
from penstock.store.files.ownership import study_file_of
from penstock.store.files.purged import Wanted, purge_store
from penstock.store.reader import StoreReader
from penstock.store.starts import FILE as STARTS
from penstock.study.own_files import own_files

__all__ = ["bundle_results", "missing_from_bundle"]

_SUFFIXES = (".tar.gz", ".tgz")


def bundle_results(
    directory: Path | str, to: Path | str | None = None, *, texts: bool = True
) -> Path:
    """Pack a study's output directory into a ``.tar.gz``.

    With it goes the study's own code: its file and what that names in its folder, as they are now,
    in the folder ``study-code``. The bundle is written aside and renamed into place, and does not
    contain itself where it lies in the directory. The directory is held meanwhile, so that its
    store is packed in one state.

    Args:
        directory: The output directory.
        to: The file; ``<directory>.tar.gz`` beside the directory where not given.
        texts: Whether what was asked and said goes with it. Without it the bundle holds the store
            purged of texts, the tables that are made from that, and nothing else.

    Returns:
        The file.

    Raises:
        StoreError: there is no such directory.
        ForeignDirectoryError: the file is there and is not an earlier bundle of the directory, or
            it is to be in the directory and is not named as a bundle.
        DirectoryInUseError: a study is running in it.
        OSError: the file cannot be written.
    """
    directory = Path(directory).resolve()
    if not directory.is_dir():
        raise StoreError(f"{directory} is not a directory; give a study's output directory")

    target = Path(to).absolute() if to else directory.with_name(f"{directory.name}.tar.gz")
    _refuse_to_replace(target, directory)
    target.parent.mkdir(parents=True, exist_ok=True)
    is_ours = (directory / STORE_FILE).exists()
    with (
        hold_directory(directory) if is_ours else nullcontext(),
        nullcontext(directory) if texts else _without_texts(directory) as source,
        set_aside(target) as aside,
        aside.open("wb") as file,
        tarfile.open(target, mode="w:gz", fileobj=file) as bundle,
    ):
        for path in _packed(source, leave_out={target.resolve(), aside.resolve()}):
            inside = Path(directory.name) / path.relative_to(source)
            bundle.add(path, arcname=inside, recursive=False)

        for path, inside in _code(directory) if texts else ():
            bundle.add(path, arcname=Path(directory.name, inside), recursive=False)

    return target


def missing_from_bundle(directory: Path, *, texts: bool = True) -> str | None:
    """Return what a bundle of a directory cannot hold; None where it holds all.

    Args:
        directory: The output directory.
        texts: Whether what was asked and said goes with it.
    """
    if not texts:
        return "what was asked and said, and the study's own code and data"

    if study_file_of(directory) is None:
        return "the study's own code: it was made in Python, or its file is not where it was"

    return None


@contextmanager
def _without_texts(directory: Path) -> Iterator[Path]:
    """Make a copy of a study that holds none of its texts, and its tables anew."""
    with TemporaryDirectory() as parent:
        copy = Path(parent, directory.name)
        copy.mkdir()
        with StoreReader(directory) as store:
            store.copy_to(copy / STORE_FILE)

        if (directory / STARTS).is_file():
            shutil.copyfile(directory / STARTS, copy / STARTS)

        purge_store(copy, Wanted(texts=True))
        export_artifacts(copy)
        yield copy


def _code(directory: Path) -> Iterator[tuple[Path, Path]]:
    """Yield the files of the study's own folder, and where in the bundle each goes."""
    study_file = study_file_of(directory)
    if study_file is not None:
        for path in own_files(study_file):
            yield path, "study-code" / path.relative_to(study_file.parent)


def _refuse_to_replace(target: Path, directory: Path) -> None:
    place = target.parent.resolve() / target.name
    if place.is_relative_to(directory) and not target.name.endswith(_SUFFIXES):
        raise ForeignDirectoryError(
            f"{target} is in the directory that is packed, where only a file that ends in "
            f"{' or '.join(_SUFFIXES)} may be a bundle; give another (--bundle-path)"
        )

    if os.path.lexists(target) and not _is_bundle(target, directory.name):
        raise ForeignDirectoryError(
            f"{target} is there and is not an earlier bundle of {directory}; move it away, or give "
            "another file (--bundle-path)"
        )


def _is_bundle(path: Path, name: str) -> bool:
    if path.is_symlink() or not path.is_file():
        return False

    try:
        with tarfile.open(path, mode="r:gz") as bundle:
            first = bundle.next()
    except (tarfile.TarError, OSError, EOFError, zlib.error):
        return False

    return first is not None and first.name == name


def _packed(directory: Path, leave_out: set[Path]) -> Iterator[Path]:
    yield directory
    for path in sorted(directory.rglob("*")):
        is_of_here = path in (directory / LOCK_NAME, directory / EXPORTED)
        if path.absolute() not in leave_out and not is_of_here:
            yield path
