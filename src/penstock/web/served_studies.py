"""The studies that are served: their output directories, each under a name of its own."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from penstock.control.controlled import Controlled
from penstock.store import STORE_FILE
from penstock.store.files.directory import results_below
from penstock.web.looking import LiveStudy

__all__ = ["Studies"]

_UNNAMEABLE = re.compile(r"[^A-Za-z0-9._-]+")


class Studies:
    """Studies by name; a name is looked up, and never a path.

    Args:
        served: Runners, output directories, and folders that hold output directories. What is
            begun in a folder later on is found when somebody looks at the list.
        control: Whether they may be acted on.
    """

    def __init__(self, served: Iterable[Controlled | Path], *, control: bool = False) -> None:
        self._control = control
        self._by_name: dict[str, LiveStudy] = {}
        self._names: dict[Path, str] = {}
        self._folders: list[Path] = []
        for each in served:
            if not isinstance(each, Path):
                self._add(each.output_dir, runner=each)
            elif _holds_studies(each):
                self._folders.append(each)
            else:
                self._add(each)

        self.look()

    def look(self) -> None:
        """Look for studies that were begun in the folders since."""
        for folder in self._folders:
            for each in results_below(folder):
                self._add(each)

    def find(self, name: str) -> LiveStudy | None:
        """Return the study of a name; None where there is none."""
        return self._by_name.get(name)

    def names(self) -> list[str]:
        """List the names, in the order in which the studies were given."""
        return list(self._by_name)

    @property
    def only(self) -> str | None:
        """The name of the study where there is one, and no folder that may hold others."""
        return next(iter(self._by_name)) if len(self._by_name) == 1 and not self._folders else None

    def _add(self, directory: Path, runner: Controlled | None = None) -> None:
        directory = directory.resolve()
        if directory in self._names:
            return

        wanted = _UNNAMEABLE.sub("-", directory.name).strip(".-") or "study"
        name, number = wanted, 1
        while name in self._by_name:
            number += 1
            name = f"{wanted}-{number}"

        self._names[directory] = name
        self._by_name[name] = LiveStudy(directory, runner=runner, control=self._control)


def _holds_studies(folder: Path) -> bool:
    return folder.is_dir() and not (folder / STORE_FILE).exists() and any(results_below(folder))
