"""``penstock deliver``: a durable subscriber hears what it has not heard yet."""

from __future__ import annotations

from typing import Annotated

import typer

from penstock.cli.arguments import JsonOption, TargetArgument, given_text
from penstock.cli.output import emit, errors_told, say

__all__ = ["deliver"]


@errors_told()
def deliver(
    study: TargetArgument,
    subscriber: Annotated[
        str,
        typer.Argument(
            metavar="MODULE:FUNCTION",
            parser=given_text,
            help="A subscriber or a listener: module:function or file.py:function.",
            show_default=False,
        ),
    ],
    *,
    name: Annotated[
        str, typer.Option(metavar="NAME", help="Under which its place is kept in the study.")
    ],
    event: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CLASS",
            help="A class of events, such as RunFinished; may be given more than once. All that "
            "are kept, without any.",
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Deliver to a durable subscriber what it has not heard yet of a study that nobody runs."""
    from functools import partial
    from pathlib import Path

    import anyio

    from penstock.cli.directory_records import Delivered
    from penstock.cli.target import find_directory
    from penstock.errors import BindingError
    from penstock.events.listening import subscriber_of
    from penstock.replay import adeliver
    from penstock.study.references import load_reference

    directory = find_directory(study)
    try:
        heard_by = subscriber_of(load_reference(subscriber, Path.cwd()))
    except (ImportError, AttributeError) as error:
        raise BindingError(f"subscriber {subscriber!r}: {error}") from error

    told = partial(adeliver, directory, heard_by, event or (), name=name)
    before, now = anyio.run(told)
    if json:
        place = str(directory.absolute())
        emit(Delivered(output_dir=place, name=name, before=before, acknowledged=now))
    elif now > before:
        say(f"{name} has heard everything up to event {now}; before, up to {before}")
    else:
        say(f"there is nothing that {name} has not heard")
