"""The commands: ours, each imported when it is called, and those that installed packages add.

A package registers a function, as Typer takes it, or a ``typer.Typer`` under the command's name in
the group ``penstock.commands``. It is imported when the command, or the list of all, is asked for;
one that cannot be imported says so in its place and takes no other command with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from inspect import cleandoc
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from penstock._base.entry_points import entry_point_names, load_entry_point
from penstock.errors import BindingError

__all__ = ["OURS", "Commands"]

OURS = {
    name: name.replace("-", "_")
    for name in (
        *("init", "run", "check", "plan", "preview", "status", "watch", "serve", "pause", "resume"),
        *("stop", "set", "unblind", "show", "analyze", "report", "figures", "compare", "export"),
        *("rescore", "bundle", "purge", "deliver", "doctor", "simulate-model"),
    )
} | {"set": "set_values"}
"""The name of each command, in the order of the help, to that of its file and function."""

_GROUP = "penstock.commands"
_PANEL = "From installed packages"


class Commands(TyperGroup):
    """Our own commands, then those that packages add; no package takes the place of one of ours."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands: Any = _CommandsByName()

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002
        """List the commands; those of ours without reading their options, which takes longer."""
        told = {"Commands": [(name, _summary(_function(name).__doc__)) for name in OURS]}
        for name in list(self.commands)[len(OURS) :]:
            added = self.commands[name]
            panel = told.setdefault(added.rich_help_panel or _PANEL, [])
            panel.append((name, _summary(added.help)))

        for title, rows in told.items():
            with formatter.section(title):
                formatter.write_dl(rows)


def _summary(text: str | None) -> str:
    """Return the first paragraph of a command's help."""
    return cleandoc(text or "").partition("\n\n")[0]


class _CommandsByName(Mapping[str, Any]):
    def __iter__(self) -> Iterator[str]:
        yield from OURS
        yield from (name for name in entry_point_names(_GROUP) if name not in OURS)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __getitem__(self, name: str) -> Any:
        if name in OURS:
            return _command(name, _function(name))

        try:
            found = load_entry_point(_GROUP, name)
        except BindingError as error:
            found = _failing(error)

        if found is None:
            raise KeyError(name)

        return _command(name, found)


def _function(name: str) -> Any:
    file = OURS[name]
    return getattr(import_module(f"penstock.cli.{file}"), file)


def _command(name: str, function: Any) -> Any:
    if isinstance(function, typer.Typer):
        added = function
    else:
        added = typer.Typer(add_completion=False, rich_markup_mode=None)
        added.command()(function)

    command = get_command(added)
    command.name = name
    return command


def _failing(error: BindingError) -> Callable[[], None]:
    def command() -> None:
        from penstock.cli.output import errors_told

        with errors_told():
            raise error

    command.__doc__ = f"Cannot be loaded: {error}"
    return command
