"""Paths in a study file: a relative one stays in the file's folder, an absolute one says where.

A study file may come from someone else, and is edited by hand: results must not land beside the
study because of one ``..`` too many. Whoever runs a study says where results go in their own words
(``output_dir=``, ``--output-dir``), which are not checked.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path, PureWindowsPath
from typing import Any

__all__ = ["misleading_paths", "path_fault"]

_ADVICE = {
    "output_dir": "write an absolute path, or say where when it is run (--output-dir)",
    "response_cache": "write an absolute path",
    "design_spec.matrix_path": "write an absolute path",
    "design_spec.options.matrix_path": "write an absolute path",
}


def misleading_paths(payload: Mapping[str, Any], *, ignored: Collection[str] = ()) -> Iterator[str]:
    """List the paths of a study file that lead out of its folder, each with its place.

    The path of a file of problems is not among them: it may hold ``${NAME}``, see `path_fault`.

    Args:
        payload: What the file holds, valid or not.
        ignored: Places that are not looked at.
    """
    for place, advice in _ADVICE.items():
        if place in ignored:
            continue

        found: Any = payload
        for key in place.split("."):
            found = found.get(key) if isinstance(found, Mapping) else None

        if isinstance(found, str) and (fault := path_fault(found)):
            yield f"{place}: {fault}; {advice}"


def path_fault(path: str) -> str | None:
    r"""Return what is wrong with a path in a study file; None if it is absolute or stays inside.

    The words of the path decide, and they do so alike on every system: ``\`` separates as ``/``
    does. Symbolic links are followed wherever they lead: whoever made the folder made them.
    """
    if re.search(r"[\x00-\x1f\x7f]", path):
        return f"{path!r} holds a control character"

    if Path(path).is_absolute():
        return None

    if PureWindowsPath(path).anchor:
        return f"{path!r} names a drive, or a root without one, of another system"

    names = [name for name in re.split(r"[/\\]", path) if name not in {"", "."}]
    if names and names[0].startswith("~"):
        return f"{path!r} begins with `~`, which only a shell expands"

    depth = 0
    for name in names:
        depth += -1 if name == ".." else 1
        if depth < 0:
            return f"{path!r} leaves the folder of the study file"

    return None
