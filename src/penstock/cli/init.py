"""``penstock init``: a small study that runs as it is, to begin with."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from penstock.cli.arguments import JsonOption, given_path
from penstock.cli.output import emit, errors_told, say
from penstock.errors import PenstockError

__all__ = ["init"]

_GITIGNORE = """\
# What a study makes, and keys: neither belongs in a repository.
artifacts/
results/
.env
__pycache__/
"""
_NAMES = {"env.example": ".env.example"}
"""Files of a template that have another name where it is copied to."""


class Template(StrEnum):
    """What the study that is written is about."""

    quickstart = "quickstart"
    chat = "chat"
    python = "python"
    paired = "paired"


@errors_told()
def init(
    directory: Annotated[
        Path,
        typer.Argument(
            metavar="DIR", parser=given_path, help="Where it goes; here, where not given."
        ),
    ] = Path(),
    *,
    template: Annotated[
        Template,
        typer.Option(
            help="quickstart: an agent in Python; chat: a chat model, no code; python: all of it "
            "in Python; paired: two methods on the same problems, with a claim."
        ),
    ] = Template.quickstart,
    json: JsonOption = False,
) -> None:
    """Write a small study that runs as it is, with its problems, its agent and a README."""
    from penstock.cli.directory_records import Initialized

    texts = {**dict(_files(template)), ".gitignore": _GITIGNORE}
    if there := [name for name in texts if (directory / name).exists()]:
        raise PenstockError(
            f"{directory.absolute()} holds {', '.join(there)} already, and nothing is written "
            "over; give another folder: penstock init DIR"
        )

    directory.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        with (directory / name).open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)

    if json:
        emit(
            Initialized(template=template.value, path=str(directory.absolute()), files=tuple(texts))
        )
        return

    say(
        f"{directory.absolute()}: {', '.join(texts)}",
        f"next: {_next(template, directory)}",
    )


def _files(template: Template) -> Iterator[tuple[str, str]]:
    """Yield the files of a template, each with its name and its text."""
    folder = files("penstock.cli") / "templates" / template.value
    for each in sorted(folder.iterdir(), key=lambda each: each.name):
        if each.is_file():
            yield _NAMES.get(each.name, each.name), each.read_text(encoding="utf-8")


def _next(template: Template, directory: Path) -> str:
    there = "" if directory == Path() else f"cd {directory} && "
    return there + ("python study.py" if template is Template.python else "penstock run")
