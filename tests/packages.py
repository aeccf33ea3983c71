"""Packages that are installed for one test, with what they register."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent

__all__ = ["install_package"]


def install_package(
    folder: Path,
    name: str,
    *,
    entry_points: Mapping[str, Mapping[str, str]],
    modules: Mapping[str, str] | None = None,
) -> None:
    """Install a package as pip would, in a folder that is on the path of the test.

    Args:
        folder: The folder.
        name: The package's name; its version is 1.0.
        entry_points: Group -> name -> ``module:attribute``.
        modules: Module -> its source.
    """
    about = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = []
    for group, registered in entry_points.items():
        lines += [f"[{group}]", *(f"{key} = {value}" for key, value in registered.items())]

    (about / "entry_points.txt").write_text("\n".join(lines) + "\n")
    for module, source in (modules or {}).items():
        (folder / f"{module}.py").write_text(dedent(source), encoding="utf-8")
