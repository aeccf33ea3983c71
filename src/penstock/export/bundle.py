"""Packing the output directory of a study into one file."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

from penstock._base.files import set_aside
from penstock.errors import StoreError
from penstock.store.lock import LOCK_NAME, hold_directory

__all__ = ["bundle_results"]


def bundle_results(directory: Path | str, to: Path | str | None = None) -> Path:
    """Pack a study's output directory into a ``.tar.gz``.

    It is written aside and renamed into place, and does not contain itself where it lies in the
    directory. The directory is held meanwhile, so that its store is packed in one state.

    Args:
        directory: The output directory.
        to: The file; ``<directory>.tar.gz`` beside the directory where not given.

    Returns:
        The file.

    Raises:
        StoreError: there is no such directory.
        DirectoryInUseError: a study is running in it.
        OSError: the file cannot be written.
    """
    directory = Path(directory).resolve()
    if not directory.is_dir():
        raise StoreError(f"{directory} is no directory; give a study's output directory")

    target = Path(to).absolute() if to else directory.with_name(f"{directory.name}.tar.gz")
    target.parent.mkdir(parents=True, exist_ok=True)
    is_ours = (directory / "study.sqlite").exists()
    with (
        hold_directory(directory) if is_ours else nullcontext(),
        set_aside(target) as aside,
        aside.open("wb") as file,
        tarfile.open(target, mode="w:gz", fileobj=file) as bundle,
    ):
        for path in _packed(directory, leave_out={target.resolve(), aside.resolve()}):
            inside = Path(directory.name) / path.relative_to(directory)
            bundle.add(path, arcname=inside, recursive=False)

    return target


def _packed(directory: Path, leave_out: set[Path]) -> Iterator[Path]:
    yield directory
    for path in sorted(directory.rglob("*")):
        if path.absolute() not in leave_out and path != directory / LOCK_NAME:
            yield path
