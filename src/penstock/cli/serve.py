"""``penstock serve``: the live page of studies, while they run and afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from penstock.cli.arguments import given_text
from penstock.cli.output import errors_told, say

__all__ = ["page_beside", "serve"]


@errors_told()
def serve(
    studies: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="STUDY|DIR...",
            parser=given_text,
            help="Study files, output directories of studies, or folders that hold several; "
            "./study.yaml if not given.",
            show_default=False,
        ),
    ] = None,
    *,
    port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65_535,
            metavar="P",
            help="Where; 0 for any port that is free. Else 8765, or one that is free.",
        ),
    ] = None,
    host: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS",
            help="The address of this machine that answers; others than its own can be reached "
            "over the network.",
        ),
    ] = "127.0.0.1",
    control: Annotated[
        bool,
        typer.Option("--control", help="Have buttons: pause, resume, stop, set, unblind."),
    ] = False,
    show: Annotated[bool, typer.Option("--open", help="Open it in a browser.")] = False,
) -> None:
    """Serve the live page of studies: while they run, afterwards, and after a crash."""
    import webbrowser

    from penstock._base.extras import load_extra
    from penstock.cli.target import find_folder

    serving = load_extra("penstock.web.serving", extra="web", what="the live page")
    directories = [find_folder(each) for each in studies] if studies else [find_folder(None)]
    with serving.listen(host, port) as at:
        server, address = serving.open_server(directories, at, control=control)
        if host not in serving.LOOPBACK:
            say(
                f"warning: {host} can be reached over the network, and what is sent is not "
                "encrypted: whoever sees the address with its token can look"
                + (" and act" if control else "")
            )

        say(f"the live page: {address}", "Ctrl-C ends it; studies go on")
        if show:
            webbrowser.open(address)

        server.run(sockets=[at])


@contextmanager
def page_beside(directory: Path, *, is_wanted: bool, control: bool | None = None) -> Iterator[None]:
    """Serve the live page of a study inside the block, and print its address.

    Args:
        directory: The study's output directory.
        is_wanted: Whether to; else nothing is imported for it.
        control: Whether it has buttons; only where somebody says so.

    Raises:
        ValidationError: the page cannot be served.
    """
    if not is_wanted:
        yield
        return

    from penstock._base.extras import load_extra

    serving = load_extra("penstock.web.serving", extra="web", what="the live page")
    with serving.served_beside(directory, control=control is True) as address:
        say(f"the live page: {address}")
        yield
