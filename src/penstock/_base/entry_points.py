"""What installed packages register with penstock: entry points, found by group and name.

A package that is installed only makes a name known; it is imported when a study, or a person, uses
that name. The groups, and what each registers, stand in the docs' page on extending penstock.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock.errors import BindingError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = ["entry_point_names", "load_entry_point"]


def entry_point_names(group: str) -> list[str]:
    """List the names that installed packages register in a group, sorted; nothing is imported.

    Args:
        group: The group, such as ``penstock.agents``.
    """
    return sorted({found.name for found in _registered(group, _installed())})


def load_entry_point(group: str, name: str) -> Any | None:
    """Import what an installed package registers under a name.

    Args:
        group: The group, such as ``penstock.agents``.
        name: The name.

    Returns:
        What is registered; None where no package registers that name.

    Raises:
        BindingError: it cannot be imported, or two packages register different things.
    """
    found = {each.value: each for each in _registered(group, _installed()) if each.name == name}
    if not found:
        return None

    if len(found) > 1:
        both = " and ".join(map(_described, found.values()))
        raise BindingError(f"{name!r} is registered in {group} by {both}; uninstall one of them")

    ((_, entry_point),) = found.items()
    try:
        return entry_point.load()
    except Exception as error:  # importing runs the package's code
        raise BindingError(
            f"{name!r} ({group}) is registered by {_described(entry_point)}, which cannot be "
            f"loaded: {type(error).__name__}: {error}; mend or uninstall that package"
        ) from error


def _described(entry_point: EntryPoint) -> str:
    package = entry_point.dist
    owner = "an unknown package" if package is None else f"{package.name} {package.version}"
    return f"{owner} as {entry_point.value}"


def _installed() -> tuple[tuple[str, int], ...]:
    """Stamp the folders that packages are installed in: another stamp when one comes or goes."""
    return tuple((folder, _changed_at_ns(Path(folder))) for folder in sys.path)


def _changed_at_ns(folder: Path) -> int:
    try:
        return folder.stat().st_mtime_ns
    except OSError:
        return 0


@lru_cache(maxsize=32)
def _registered(group: str, _stamp: tuple[tuple[str, int], ...]) -> Sequence[EntryPoint]:
    """Read a group once for each stamp: all installed packages are looked at, which takes 4 ms."""
    from importlib.metadata import entry_points  # noqa: PLC0415 - 12 ms, and seldom needed

    return tuple(entry_points(group=group))
