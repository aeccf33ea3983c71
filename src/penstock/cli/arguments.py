"""What several commands take: a study, a directory, the wish for JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

__all__ = [
    "DirectoryArgument",
    "JsonOption",
    "StudyArgument",
    "TargetArgument",
    "given_path",
    "number_or_auto",
]


def given_text(text: str) -> str:
    """Refuse the empty text that a shell makes of a variable that is not set."""
    if not text.strip():
        raise typer.BadParameter("it is empty; is a variable of the shell not set?")

    return text


def given_path(text: str) -> Path:
    """Read a path; an empty one is refused, where ``Path("")`` would be the working directory."""
    return Path(given_text(str(text)))


def number_or_auto(text: str) -> int | Literal["auto"]:
    """Read how many runs may be in flight."""
    if text == "auto":
        return "auto"

    if not text.isdecimal() or int(text) < 1:
        raise typer.BadParameter(f"{text!r} is neither a whole number from 1 nor auto")

    return int(text)


TargetArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="STUDY|DIR",
        parser=given_text,
        help="A study file, or the output directory of a study; ./study.yaml if not given. Or "
        "module:attr or file.py:attr, where attr is a Study or a function that returns one.",
        show_default=False,
    ),
]
StudyArgument = Annotated[
    str,
    typer.Argument(
        metavar="STUDY",
        parser=given_text,
        help="A study file (.yaml, .yml, .json), or module:attr or file.py:attr, where attr is a "
        "Study or a function that returns one.",
        show_default=False,
    ),
]
DirectoryArgument = Annotated[
    Path,
    typer.Argument(
        metavar="DIR",
        parser=given_path,
        help="A study's output directory.",
        show_default=False,
    ),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Write JSON to stdout, one object a line.")
]
