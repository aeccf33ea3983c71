"""The command line: a file a command, named by it, and what several of them share (floor 7).

People read stderr, machines read stdout. The exit code says what came of it: see `ExitCode`.
A command's file holds its options. It is imported when the command, or the list of all, is asked
for, and what it needs when it does its work, so that no command waits for what others need.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
from typing import Annotated

import typer

from penstock.cli.commands import Commands
from penstock.cli.exit_codes import ExitCode
from penstock.cli.output import ensure_descriptors
from penstock.running.garbage import NEW_OBJECTS

__all__ = ["app", "main"]

app = typer.Typer(
    name="penstock",
    cls=Commands,
    help="Run studies with language models; nothing paid for is lost, nothing is run twice.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # it would take the brackets of `penstock[dask]` for markup
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=f"Exit codes: {'; '.join(f'{code:d} {code.__doc__}' for code in ExitCode)}.",
)


def main() -> None:
    """Run the command line, and exit with its code."""
    ensure_descriptors()
    gc.set_threshold(NEW_OBJECTS)  # this process is ours, and nothing that it imports is garbage
    # numpy's threads, one a processor, spin while they wait; they sleep at once instead.
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")
    try:
        app()
    except SystemExit as ending:
        # A thread that hangs in an agent was given up long ago; it must not keep us from leaving.
        if any(not each.daemon for each in threading.enumerate()[1:]):
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(ending.code if isinstance(ending.code, int) else 1)

        gc.freeze()  # else the interpreter looks through all of it for garbage before it ends
        raise


def _show_version(wanted: bool) -> None:  # noqa: FBT001 - typer's callback
    if wanted:
        from importlib.metadata import version

        typer.echo(f"penstock {version('penstock')}")
        raise typer.Exit


@app.callback()
def _penstock(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version.", callback=_show_version, is_eager=True),
    ] = False,
) -> None:
    pass
