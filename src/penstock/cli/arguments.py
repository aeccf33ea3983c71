"""What several commands take: a study, a directory, and options that mean the same in each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

__all__ = [
    "ConcurrencyOption",
    "DirectoryArgument",
    "DryRunOption",
    "JsonOption",
    "MaxFailuresOption",
    "OutputDirOption",
    "ProgressOption",
    "ReasonOption",
    "StudyArgument",
    "TargetArgument",
    "UnblindOption",
    "VerboseOption",
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
        help="A study file, its folder, or a study's output directory; ./study.yaml if not given. "
        "Or module:attr or file.py:attr, where attr is a Study or a function that returns one.",
        show_default=False,
    ),
]
StudyArgument = Annotated[
    str,
    typer.Argument(
        metavar="STUDY",
        parser=given_text,
        help="A study file (.yaml, .yml, .json) or its folder, or module:attr or file.py:attr, "
        "where attr is a Study or a function that returns one.",
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
OutputDirOption = Annotated[
    Path | None,
    typer.Option(
        parser=given_path, metavar="DIR", help="Where results go, in place of the study's own."
    ),
]
ConcurrencyOption = Annotated[
    Any,
    typer.Option(
        "--concurrency",
        "--parallelism",
        parser=number_or_auto,
        metavar="N|auto",
        help="Runs in flight at once, or as many as agents keep up with; else the study's.",
    ),
]
MaxFailuresOption = Annotated[
    int | None,
    typer.Option(
        min=0,
        metavar="F",
        help="Stop when more runs than this have failed, and exit 10; without it all runs "
        "are made, and the exit code is 10 if any failed.",
    ),
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Check everything, and run and write nothing.")
]
ProgressOption = Annotated[
    bool | None, typer.Option(help="Show progress; the default is to, but with --json not to.")
]
ReasonOption = Annotated[
    str, typer.Option(metavar="TEXT", help="Why; it is kept with who did it and when.")
]
UnblindOption = Annotated[
    str | None,
    typer.Option(
        metavar="REASON",
        help="Show what conditions came to although runs are left; why is kept, and reported.",
    ),
]
VerboseOption = Annotated[bool, typer.Option("--verbose", "-v", help="Say more on stderr.")]
