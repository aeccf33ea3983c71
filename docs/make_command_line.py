"""Writes the tables of docs/command-line.md from the commands, the exit codes and the JSON lines.

python docs/make_command_line.py

A test sees that the page is what this writes, so each of them is described in one place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from make_options import described, table
from pydantic import BaseModel

from penstock.cli import (
    app,
    directory_records,
    plan_records,
    records,
    run_records,
    steering_records,
)
from penstock.cli.commands import OURS
from penstock.cli.exit_codes import ExitCode

PAGE = Path(__file__).parent / "command-line.md"


def page(text: str) -> str:
    """Put the tables as they should be into the page."""
    made = {"commands": commands(), "exit codes": exit_codes()}
    made |= {f"options of {name}": options(command) for name, command in _commands().items()}
    made |= {f"fields of {name}": fields(shape) for name, shape in shapes().items()}
    for name, content in made.items():
        begin, end = f"<!-- table: {name} -->\n", f"<!-- end: {name} -->"
        text = re.sub(
            f"(?<={re.escape(begin)}).*?(?={re.escape(end)})",
            lambda _, content=content: content,
            text,
            flags=re.DOTALL,
        )

    return text


def commands() -> str:
    """Write what each command does."""
    rows = (
        (f"[`{name}`](#penstock-{name})", _linked(command.help or ""))
        for name, command in _commands().items()
    )
    return table(("command", "what it does"), rows)


def options(command: Any) -> str:
    """Write the options of a command, in the words of its help."""
    rows = (
        (_spelt(each), _linked(each.help or ""))
        for each in command.params
        if each.opts[0].startswith("-") and not getattr(each, "hidden", False)
    )
    return table(("option", "what it does"), rows)


def exit_codes() -> str:
    """Write what each exit code means."""
    return table(("code", "meaning"), ((f"{code:d}", code.__doc__ or "") for code in ExitCode))


def shapes() -> dict[str, type[BaseModel]]:
    """List the lines for machines by their event, and the objects in them by their names."""
    found = {
        name: getattr(module, name)
        for module in (records, plan_records, directory_records, run_records, steering_records)
        for name in module.__all__
        if name not in ("NUMBERS", "Record")
    }
    return {_event(shape) or name: shape for name, shape in found.items()}


def fields(shape: type[BaseModel]) -> str:
    """Write the fields of a line, or of an object in one."""
    meanings = described(shape)
    kinds = shape.model_json_schema()["properties"]
    rows = ((f"`{name}`", _kind(kinds[name]), meaning) for name, meaning in meanings.items())
    return table(("field", "type", "meaning"), rows)


def _commands() -> dict[str, Any]:
    group: Any = typer.main.get_command(app)
    return {name: group.commands[name] for name in OURS}


def _event(shape: type[BaseModel]) -> str | None:
    field = shape.model_fields.get("event")
    return None if field is None else str(field.default)


def _spelt(option: Any) -> str:
    value = f" {option.metavar}" if option.metavar and not option.is_flag else ""
    spellings = [f"`{each}{value}`" for each in (*option.opts, *option.secondary_opts)]
    return ", ".join(spellings)


def _kind(schema: dict[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(map(_kind, schema["anyOf"]))

    if "const" in schema:
        return f"`{schema['const']}`"

    return {"$ref": "object"}.get(next(iter(schema)), schema.get("type", "object"))


def _linked(text: str) -> str:
    """Write a text of the help in one line; its option names as code."""
    return re.sub(r"(?<![`\w-])(--[a-z][\w-]*)", r"`\1`", " ".join(text.split()))


def unmarked() -> Iterator[str]:
    """List the tables that the page should have and has no place for."""
    text = PAGE.read_text(encoding="utf-8")
    names = [f"options of {name}" for name, each in _commands().items() if len(each.params) > 1]
    names += [f"fields of {name}" for name in shapes()]
    for name in ("commands", "exit codes", *names):
        if f"<!-- table: {name} -->\n" not in text:
            yield name


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
