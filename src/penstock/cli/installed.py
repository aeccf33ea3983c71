"""Commands that installed packages add to the command line.

A package registers a function, as Typer takes it, or a ``typer.Typer`` under the command's name in
the group ``penstock.commands``. It is imported when the command, or the list of all, is asked for;
one that cannot be imported says so in its place and takes no other command with it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from penstock._base.entry_points import entry_point_names, load_entry_point
from penstock.cli.output import errors_told
from penstock.errors import BindingError

__all__ = ["InstalledCommands"]

_GROUP = "penstock.commands"
_PANEL = "From installed packages"


class InstalledCommands(TyperGroup):
    """Our own commands, then those that packages add; no package takes the place of one of ours."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of all commands, in the order of the help."""
        own = super().list_commands(ctx)
        return [*own, *(name for name in entry_point_names(_GROUP) if name not in own)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command; None where neither we nor a package has one of that name."""
        return super().get_command(ctx, cmd_name) or _installed(cmd_name)


def _installed(name: str) -> Any:
    try:
        found = load_entry_point(_GROUP, name)
    except BindingError as error:
        found = _failing(error)

    if found is None:
        return None

    if not isinstance(found, typer.Typer):
        function, found = found, typer.Typer(add_completion=False)
        found.command(rich_help_panel=_PANEL)(function)

    command = get_command(found)
    command.name = name
    return command


def _failing(error: BindingError) -> Callable[[], None]:
    def command() -> None:
        with errors_told():
            raise error

    command.__doc__ = f"Cannot be loaded: {error}"
    return command
