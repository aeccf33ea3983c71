"""What several commands take: a study, a directory, the wish for JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

__all__ = ["DirectoryArgument", "JsonOption", "StudyArgument", "number_or_auto"]

StudyArgument = Annotated[
    str,
    typer.Argument(
        metavar="STUDY",
        help="A study file (.yaml, .yml, .json), or module:attr or file.py:attr, where attr is a "
        "Study or a function that returns one.",
        show_default=False,
    ),
]
DirectoryArgument = Annotated[
    Path, typer.Argument(metavar="DIR", help="A study's output directory.", show_default=False)
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Write JSON to stdout, one object a line.")
]


def number_or_auto(text: str) -> int | Literal["auto"]:
    """Read how many runs may be in flight."""
    if text == "auto":
        return "auto"

    if not text.isdecimal() or int(text) < 1:
        raise typer.BadParameter(f"{text!r} is neither a whole number from 1 nor auto")

    return int(text)
