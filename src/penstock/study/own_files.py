"""What a study is made of beside its file: the code and the data in its folder that it names."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from penstock.errors import StudyFileError
from penstock.study.files import read_mapping

__all__ = ["own_files"]


def own_files(study_file: Path) -> list[Path]:
    """List a study file and the files of its folder that it names, also by way of others.

    A file is named where a value of the study file is its path, or a reference to something in it
    (``agents.py:solve``, ``agents:solve``), and where such a Python file imports it. Nothing is
    imported; what lies outside of the folder is left out, and so are files that begin with a dot.

    Args:
        study_file: The study file.
    """
    study_file = study_file.absolute()
    folder = study_file.parent
    found = {study_file}
    waiting = [path for path in _declared(study_file) if _is_own(path, folder)]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += (each for each in _imported_by(path, folder) if _is_own(each, folder))

    return sorted(found)


def _is_own(path: Path, folder: Path) -> bool:
    return (
        path.is_file()
        and path.resolve().is_relative_to(folder.resolve())
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )


def _declared(study_file: Path) -> Iterator[Path]:
    try:
        declared = read_mapping(study_file)
    except StudyFileError:
        return

    for text in _texts(declared):
        reference, _, _ = text.rpartition(":")
        for name in {text, reference} - {""}:
            if "\0" not in name and ".." not in Path(name).parts:
                yield study_file.parent / name
                yield from _of_module(name, study_file.parent)


def _imported_by(path: Path, folder: Path) -> Iterator[Path]:
    for module in _imported(path) if path.suffix == ".py" else ():
        for start in (folder, path.parent):
            yield from _of_module(module, start)


def _of_module(name: str, folder: Path) -> Iterator[Path]:
    """Yield where a module would lie, and the packages that it would be in."""
    parts = name.split(".")
    if all(part.isidentifier() for part in parts):
        for depth in range(1, len(parts) + 1):
            package = folder.joinpath(*parts[:depth])
            yield package.with_suffix(".py")
            yield package / "__init__.py"


def _imported(path: Path) -> Iterator[str]:
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return

    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            yield module
            yield from (f"{module}.{alias.name}".strip(".") for alias in node.names)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
