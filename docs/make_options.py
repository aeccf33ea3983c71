"""Writes the tables of docs/options.md from the docstrings of what the options are.

python docs/make_options.py

A test sees that the page is what this writes, so an option is described in one place.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import typer

from penstock.cli import app
from penstock.options import HOST_DEFAULTS, RunnerOptions
from penstock.planning.selection import Selection
from penstock.study.execution import Execution, Retry

PAGE = Path(__file__).parent / "options.md"

ON_THE_COMMAND_LINE = {"retry": "retries", "show_progress": "progress"}
"""Options that `penstock run` calls otherwise, a unit at the end apart."""


def flags() -> dict[str, str]:
    """List the options of `penstock run`: the name of its parameter -> its first spelling."""
    command: Any = typer.main.get_command(app)
    parameters = command.commands["run"].params
    return {each.name: each.opts[0] for each in parameters if each.opts[0].startswith("--")}


def flag_of(option: str) -> str | None:
    """Return how `penstock run` spells an option of a runner; None where it has none."""
    return flags().get(ON_THE_COMMAND_LINE.get(option, option.removesuffix("_s")))


def described(documented: type) -> dict[str, str]:
    """Read what a class's docstring says of each of its arguments or attributes."""
    text = inspect.getdoc(documented) or ""
    section = re.split(r"\n(?:Args|Attributes):\n", text)[1]
    entries = re.findall(r"^    (\w+): (.*?)(?=^    \w|\Z)", section, re.MULTILINE | re.DOTALL)
    return {name: " ".join(meaning.split()) for name, meaning in entries}


def page(text: str) -> str:
    """Put the tables as they should be into the page."""
    for name, table in {"execution": execution(), "retry": retry(), "host": host()}.items():
        marks = f"<!-- table: {name} -->\n", f"<!-- end: {name} -->"
        text = re.sub(f"(?<={marks[0]}).*?(?={marks[1]})", lambda _, t=table: t, text, flags=re.S)

    return text


def execution() -> str:
    """Write the options that a study file has too."""
    meanings = described(Execution)
    defaults = Execution().model_dump()
    rows = (
        (f"`{name}`", _flag(name), _kind(name), _default(defaults[name]), _linked(meaning))
        for name, meaning in meanings.items()
    )
    return table(("option", "command line", "type", "default", "what it does"), rows)


def retry() -> str:
    """Write the fields of a retry."""
    defaults = Retry().model_dump()
    rows = (
        (f"`{name}`", _default(defaults[name]), _linked(meaning))
        for name, meaning in described(Retry).items()
    )
    return table(("field", "default", "what it does"), rows)


def host() -> str:
    """Write the options that only Python, or the command line, gives."""
    meanings = described(RunnerOptions)
    defaults: Mapping[str, Any] = HOST_DEFAULTS
    rows = (
        (f"`{name}`", _flag(name), _default(default), _linked(meanings[name]))
        for name, default in defaults.items()
    )
    return table(("option", "command line", "default", "what it does"), rows)


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Write a table in Markdown."""
    header = list(header)
    return "".join(_lines([header, ["---"] * len(header), *rows]))


def _lines(rows: Iterable[Iterable[str]]) -> Iterator[str]:
    for row in rows:
        cells = " | ".join(cell.replace("|", r"\|") for cell in row)
        yield f"| {cells} |\n".replace("|  |", "| |")


def _flag(option: str) -> str:
    found = flag_of(option)
    return f"`{found}`" if found else ""


def _kind(option: str) -> str:
    annotation: Any = RunnerOptions.__annotations__[option]
    said = annotation.__forward_arg__.removesuffix(" | None")
    return " or ".join(f"`{part}`" for part in said.split(" | "))


def _default(value: Any) -> str:
    if value in ({}, ()):
        return "none"

    if value == Selection():
        return "every run"

    return "see below" if isinstance(value, dict) else f"`{value}`"


def _linked(meaning: str) -> str:
    """Turn the marks of a docstring into those of Markdown."""
    return re.sub(r"`{1,2}([^`]+)`{1,2}", r"`\1`", meaning)


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
