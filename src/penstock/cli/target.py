"""STUDY on the command line: a study file, or a reference to a study in Python."""

from __future__ import annotations

import os
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from penstock.errors import BindingError, PenstockError
from penstock.study.files import load_study
from penstock.study.model import Study
from penstock.study.references import load_reference

__all__ = ["find_study"]


def find_study(target: str) -> Study:
    """Load the study that a person named.

    The study file's folder (for ``module:attr`` the working directory) comes first in
    ``sys.path``, as it does for ``python script.py``, so that agents may import what lies there.

    Raises:
        PenstockError: there is no such study, or it is invalid; what to do.
    """
    path = Path(target)
    file_ref, _, attribute = target.rpartition(":")
    if path.suffix.lower() == ".py" and path.is_file():
        raise BindingError(f"{target} is Python; say which study in it: {target}:NAME")

    if path.is_dir():
        raise BindingError(f"{target} is a folder; give the study file in it")

    if not path.exists() and file_ref and attribute:
        return _from_python(file_ref, attribute)

    if not path.exists() and not path.suffix:
        raise BindingError(f"there is no study {target!r}; give a file, or module:attr")

    _put_first(path.absolute().parent)
    return load_study(path)


def _from_python(file_ref: str, attribute: str) -> Study:
    folder, name = Path.cwd(), file_ref
    if file_ref.endswith(".py"):
        path = Path(file_ref).absolute()
        folder, name = path.parent, path.name

    _put_first(folder)
    found = _called(f"{name}:{attribute}", folder)
    if not isinstance(found, Study):
        kind = type(found).__name__
        raise BindingError(f"{file_ref}:{attribute} is no study but {kind}: {found!r:.80}")

    # In a file, paths are relative to it; a study of a module may come from anywhere.
    if found.base_dir is None and file_ref.endswith(".py"):
        return found.model_copy(update={"base_dir": folder})

    return found


def _called(ref: str, folder: Path) -> Any:
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
