"""Problems in a file of their own: a row of a ``.jsonl`` or ``.csv`` file is a problem."""

from __future__ import annotations

import codecs
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, field_validator

from penstock._base.fact import Declaration, Name, Text
from penstock._base.parsing import RowError, csv_rows, json_rows
from penstock.errors import ValidationError
from penstock.study.paths import path_fault
from penstock.study.problem import Problem

__all__ = ["ProblemFile", "find_problems", "read_problems", "read_rows"]


class ProblemFile(Declaration):
    """Where problems come from, and which column holds what.

    Args:
        file: A ``.jsonl`` or ``.csv`` file; ``${NAME}`` stands for an environment variable.
        id: The column of the problem's id.
        brief: The column of what an agent is told.
        family: The column of the problem's family.
        expected: The column of the right answer; it becomes ``payload["expected"]``.
        delimiter: What stands between the cells of a ``.csv`` file: one character.
        encoding: How the file's text is written: ``utf-8``, ``cp1252``, ``utf-16``, ...
    """

    file: Name
    id: Text = "problem_id"
    brief: Text = "brief"
    family: Text | None = None
    expected: Text | None = None
    delimiter: Annotated[Text, Field(min_length=1, max_length=1)] = ","
    encoding: Text = "utf-8-sig"

    @field_validator("encoding")
    @classmethod
    def _is_known(cls, encoding: str) -> str:
        try:
            codecs.lookup(encoding)
        except LookupError:
            raise ValueError(f"no encoding is called {encoding!r}; try utf-8 or cp1252") from None

        return encoding


def find_problems(source: ProblemFile) -> str:
    """Return the path of the file, with the values of its variables put in.

    Raises:
        ValueError: a variable is not set, or the path leads out of the study file's folder.
    """

    def value(named: re.Match[str]) -> str:
        if not (found := os.environ.get(named[1])):
            raise ValueError(
                f"the file {source.file!r} names the environment variable {named[1]}, which is "
                f"not set; set it first, to an absolute path: `export {named[1]}=/...`"
            )

        return found

    file = re.sub(r"\$\{(\w+)\}", value, source.file)
    if fault := path_fault(file):
        raise ValueError(
            f"the file {fault}; write an absolute path, or `${{NAME}}/...` with an environment "
            "variable that holds one"
        )

    return file


def read_problems(path: Path, source: ProblemFile) -> list[Problem]:
    """Read every problem of a file; columns that have no other use go into the payload.

    A row that has a mapping as its ``payload`` is a problem as it stands, unless columns were
    named and it has others than a problem's fields. One column may have several uses.

    Raises:
        OSError: the file cannot be read.
        ValueError: a row is not a mapping, lacks a column that was named, or is not a problem; the
            message says in which line.
    """
    problems = []
    for line, row in read_rows(path, source.delimiter, source.encoding):
        try:
            problems.append(_problem(row, source))
        except ValidationError as error:
            raise ValueError(f"{path}, line {line}: {'; '.join(error.errors)}") from error
        except ValueError as error:
            raise ValueError(f"{path}, line {line}: {error}") from error

    if not problems:
        raise ValueError(f"{path} holds no problem")

    return problems


def _problem(row: dict[str, Any], source: ProblemFile) -> Problem:
    if isinstance(row.get("payload"), dict) and (
        source.model_fields_set <= {"file"} or row.keys() <= Problem.model_fields.keys()
    ):
        return Problem(**row)

    named = [source.id, source.brief, source.family, source.expected]
    missing = [name for name in named if name is not None and name not in row]
    if missing:
        raise ValueError(f"no column {', '.join(missing)}; columns: {', '.join(row)}")

    problem_id, brief = row[source.id], row[source.brief]
    if not isinstance(problem_id, str) and type(problem_id) is not int:
        raise ValueError(
            f"the column {source.id}, which names the problem, is {json.dumps(problem_id)}; an id "
            "is a text or a whole number"
        )

    if isinstance(brief, (dict, list)):
        raise ValueError(  # noqa: TRY004 - what is wrong with a file is told as one
            f"the column {source.brief}, which an agent is told, is {json.dumps(brief)[:80]}; a "
            "brief is a text: name a column of texts, and let prompts read the rest of the payload"
        )

    family = row.get(source.family or "family")
    used = {source.id, source.brief, source.family or "family", source.expected}
    payload = {name: value for name, value in row.items() if name not in used}
    if source.expected is not None:
        payload["expected"] = row[source.expected]

    return Problem(
        problem_id=str(problem_id),
        family="unknown" if family is None else str(family),
        brief="" if brief is None else brief if isinstance(brief, str) else json.dumps(brief),
        payload=payload,
    )


def read_rows(
    path: Path, delimiter: str = ",", encoding: str = "utf-8-sig"
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Read the rows of a ``.jsonl`` or ``.csv`` file, each with its line.

    Args:
        path: The file.
        delimiter: What stands between the cells of a ``.csv`` file.
        encoding: How its text is written.

    Raises:
        OSError: the file cannot be read.
        ValueError: it holds something else; the message says in which line.
    """
    suffix = path.suffix.lower()
    if suffix not in {".csv", ".jsonl"}:
        raise ValueError(f"{path}: its name must end with .jsonl or .csv")

    with path.open(encoding=encoding, newline="") as file:
        try:
            yield from csv_rows(file, delimiter) if suffix == ".csv" else json_rows(file)
        except UnicodeError as error:
            name = "UTF-8" if encoding == "utf-8-sig" else encoding
            raise ValueError(
                f"{path} is not {name}: {error}; say how it is written (`encoding: cp1252`, or "
                "utf-16), or save it as UTF-8"
            ) from error
        except RowError as error:
            raise ValueError(f"{path}, line {error.line}: {error}") from error
