"""What a command is about: a study file, a study in Python, or a study's output directory."""

from __future__ import annotations

import os
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import typer

from penstock.errors import BindingError, PenstockError, StoreError
from penstock.store import STORE_FILE
from penstock.store.files.directory import resolved_directory
from penstock.store.reader import StoreReader

if TYPE_CHECKING:  # imported where a study is read: a look at a directory reads none
    from penstock.study.model import Study

__all__ = ["Target", "find_directory", "find_folder", "find_study", "find_target"]

_DEFAULT = Path("study.yaml")


class Target(NamedTuple):
    """A study, and where its results are or would go."""

    study: Study
    output_dir: Path


def find_target(named: str | None, output_dir: Path | None = None) -> Target:
    """Load the study that a person named.

    Args:
        named: A study file, the folder of a ``study.yaml``, the output directory of a study that
            was read from a file, or ``module:attr`` or ``file.py:attr``; where not given, the
            working directory if it holds results, else ``./study.yaml``.
        output_dir: Where results go, in place of the study's own; relative to the working
            directory.

    Raises:
        PenstockError: there is no such study, or it is invalid; what to do.
        typer.BadParameter: none is named, and there is no ``./study.yaml``.
    """
    directory = _results(named)
    if directory is not None:
        study = _from_file(_file_of(directory), directory)
        return Target(study, resolved_directory(output_dir or directory))

    study = find_study(named, output_dir)
    own = study.resolve(study.output_dir or ".")
    where = own if output_dir is None else output_dir.absolute()
    return Target(study, resolved_directory(where))


def find_directory(named: str | None) -> Path:
    """Return the output directory that a person named, or that of the study they named.

    Args:
        named: A directory, a study file or a study in Python; where not given, the working
            directory if it holds results, else that of ``./study.yaml``.

    Raises:
        PenstockError: there is no such directory and no such study; what to do.
    """
    if (directory := _results(named)) is not None:
        return directory

    path = Path(named or _DEFAULT)
    if path.is_dir() and not _holds_study_file(path):
        return path

    if not (path.exists() or path.suffix or ":" in path.name):
        raise StoreError(
            f"there is no directory {named!r}; give a study's output directory or its study file"
        )

    return find_target(named).output_dir


def find_folder(named: str | None) -> Path:
    """Return the directory that a person named, which may hold several studies' results.

    What is no directory is a study, and stands for its output directory (see `find_directory`).
    """
    folder = Path(named or "")
    return folder if named and folder.is_dir() else find_directory(named)


def _results(named: str | None) -> Path | None:
    """Return the directory that is named, where it holds results; else None."""
    directory = Path.cwd() if named is None else Path(named)
    return directory if (directory / STORE_FILE).is_file() else None


def _file_of(directory: Path) -> Path:
    """Return the study file of a directory's study."""
    with StoreReader(directory) as store:
        file = store.study_file()

    if file is None:
        raise BindingError(
            f"{directory} does not know its study file: the study was made in Python, or last run "
            "by an older version. Run that Python code again, or give the study file and "
            f"--output-dir {directory}"
        )

    if not file.is_file():
        raise BindingError(
            f"the study file of {directory} was {file}, and it is not there now; give it from "
            f"where it is, and --output-dir {directory}"
        )

    return file


def find_study(named: str | None, output_dir: Path | None = None) -> Study:
    """Load the study that a person named, as `find_target` does.

    The study file's folder (for ``module:attr`` the working directory) comes first in
    ``sys.path``, as it does for ``python script.py``, so that agents may import what lies there.

    Raises:
        PenstockError: there is no such study, or it is invalid; what to do.
    """
    if named is None:
        return _from_file(_default(), output_dir)

    path = Path(named)
    file_ref, _, attribute = named.rpartition(":")
    if path.suffix.lower() == ".py" and path.is_file():
        raise BindingError(f"{named} is Python; say which study in it: {named}:NAME")

    if path.is_dir():
        if not _holds_study_file(path):
            raise BindingError(
                f"{named} is a folder without results ({STORE_FILE}) and without {_DEFAULT}; give "
                "the study file, with its name"
            )

        path /= _DEFAULT

    if not path.exists() and file_ref and attribute:
        return _from_python(file_ref, attribute)

    if not path.exists() and not path.suffix:
        raise BindingError(f"there is no study {named!r}; give a file, or module:attr")

    return _from_file(path, output_dir)


def _holds_study_file(folder: Path) -> bool:
    from penstock.store.files.ownership import RECORD

    # What lies among results is a copy, also where their store is gone.
    return (folder / _DEFAULT).is_file() and not (folder / RECORD).is_file()


def _default() -> Path:
    if not _DEFAULT.exists():
        raise typer.BadParameter(
            f"no study is named, and there is no {_DEFAULT} in {Path.cwd()}; "
            "give a study file, or a study's output directory"
        )

    return _DEFAULT


def _from_file(path: Path, output_dir: Path | None) -> Study:
    from penstock.store.files.ownership import study_file_of
    from penstock.study.files import load_study

    folder = path.absolute().parent
    is_kept = path.name == _DEFAULT.name and (folder / STORE_FILE).is_file()
    original = study_file_of(folder) if is_kept else None
    _put_first(folder if original is None else original.parent)
    study = load_study(path, check_output_dir=output_dir is None and original is None)
    if original is None:
        return study

    # It was written with the results: its code lies where the study was read from.
    places = {"base_dir": original.parent, "study_file": original}
    return study.model_copy(update={**places, "output_dir": output_dir or folder})


def _from_python(file_ref: str, attribute: str) -> Study:
    from penstock.study.model import Study

    folder, name = Path.cwd(), file_ref
    if file_ref.endswith(".py"):
        path = Path(file_ref).absolute()
        folder, name = path.parent, path.name

    _put_first(folder)
    found = _called(f"{name}:{attribute}", folder)
    if not isinstance(found, Study):
        kind = type(found).__name__
        raise BindingError(f"{file_ref}:{attribute} is not a study but {kind}: {found!r:.80}")

    # In a file, paths are relative to it; a study of a module may come from anywhere.
    if found.base_dir is None and file_ref.endswith(".py"):
        return found.model_copy(update={"base_dir": folder})

    return found


def _called(ref: str, folder: Path) -> Any:
    from penstock.study.references import load_reference

    try:
        with redirect_stdout(sys.stderr):  # what a module prints is not for machines
            found = load_reference(ref, folder)
            return found() if callable(found) else found
    except (ImportError, AttributeError) as error:
        raise BindingError(str(error)) from error
    except PenstockError:
        raise
    except Exception as error:
        said = f"{type(error).__name__}: {error}"
        raise BindingError(f"{ref} cannot be loaded: {said}") from error


def _put_first(folder: Path) -> None:
    place = os.fspath(folder)
    if sys.path[:1] != [place]:
        sys.path.insert(0, place)
