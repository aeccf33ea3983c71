"""One word for one thing: the table of words in the docs' design page names what there is."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, get_args

import pydantic
import pytest
import typer

import penstock as ps
from penstock.cli import app
from penstock.options import RunnerOptions
from penstock.store.views import SCHEMA

PAGE = Path(__file__).parents[1] / "docs" / "design.md"
HEADER = ["word", "study file", "Python", "command line", "column", "older names"]


def rows() -> list[list[str]]:
    section = PAGE.read_text(encoding="utf-8").split("\n## Words\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def names(column: str) -> list[str]:
    place = HEADER.index(column)
    return [name for row in rows()[2:] for name in re.findall(r"`([^`]+)`", row[place])]


def models_in(annotation: Any) -> Iterator[type[pydantic.BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
        yield annotation

    for argument in get_args(annotation):
        yield from models_in(argument)


def stands_in_a_study_file(path: str) -> bool:
    model: type[pydantic.BaseModel] | None = ps.Study
    for part in path.split("."):
        if model is None or part not in model.model_fields:
            return False

        model = next(models_in(model.model_fields[part].annotation), None)

    return True


def stands_in_python(name: str) -> bool:
    owner, _, member = name.rpartition(".")
    if owner:
        found = getattr(ps, owner)
        return member in getattr(found, "model_fields", ()) or hasattr(found, member)

    return name in RunnerOptions.__annotations__ or name in ps.__all__


def stands_on_the_command_line(name: str) -> bool:
    command: Any = typer.main.get_command(app)
    return any(name in each.opts for verb in command.commands.values() for each in verb.params)


def test_every_row_says_what_a_thing_is_called_everywhere() -> None:
    header, _, *said = rows()
    assert header == HEADER
    assert all(len(row) == len(HEADER) for row in said)
    assert len({row[0] for row in said}) == len(said) > 15


@pytest.mark.parametrize("path", names("study file"))
def test_what_the_table_says_of_the_study_file_is_read_there(path: str) -> None:
    assert stands_in_a_study_file(path)


@pytest.mark.parametrize("name", names("Python"))
def test_what_the_table_says_of_python_can_be_said_there(name: str) -> None:
    assert stands_in_python(name)


@pytest.mark.parametrize("name", names("command line"))
def test_what_the_table_says_of_the_command_line_is_an_option_there(name: str) -> None:
    assert stands_on_the_command_line(name)


@pytest.mark.parametrize("name", names("older names"))
def test_an_older_name_is_still_understood(name: str) -> None:
    assert (
        stands_in_a_study_file(name) or stands_in_python(name) or stands_on_the_command_line(name)
    )


@pytest.mark.parametrize("name", names("column"))
def test_what_the_table_says_of_a_column_can_be_selected(name: str) -> None:
    table, _, column = name.partition(".")
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(SCHEMA)
        assert column in {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}


def test_the_pages_send_a_reader_to_files_that_are_there_and_to_every_room() -> None:
    house = Path(ps.__file__).parent
    design = PAGE.read_text(encoding="utf-8")
    contributing = (PAGE.parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")
    files = re.findall(r"`([a-z_]+(?:/[a-z_]+)*\.py)`", design.split("\n## Where to look\n")[1])
    assert len(files) > 30
    assert [name for name in files if not (house / name).exists()] == []

    rooms = {each.name for each in house.iterdir() if (each / "__init__.py").exists()}
    rooms |= {each.stem for each in house.glob("*.py")} - {"__init__"}
    for page in (design, contributing):
        table = page.split("| 7 face |")[1].split("\n\n")[0]
        assert rooms <= set(re.findall(r"`([a-z_]+)/?`", table))
