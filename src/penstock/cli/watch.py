"""``penstock watch``: a study while it runs, here or elsewhere, as `penstock run` shows it."""

from __future__ import annotations

from typing import Annotated

import typer

from penstock.cli.arguments import JsonOption, TargetArgument
from penstock.cli.output import errors_told

__all__ = ["watch"]


@errors_told()
def watch(
    study: TargetArgument = None,
    *,
    wait: Annotated[
        bool,
        typer.Option(
            "--wait", help="Wait where no process runs it, also after one was killed; Ctrl-C ends."
        ),
    ] = False,
    json: JsonOption = False,
) -> None:
    """Show how a study goes while it runs; where no process runs it, what was last saved."""
    import anyio

    from penstock.cli.target import find_directory
    from penstock.cli.watching import Watching

    code = anyio.run(Watching(find_directory(study), json=json, waits=wait).run)
    if code:
        raise typer.Exit(code)
